import assert from "node:assert/strict";
import { test } from "node:test";
import {
  directConversationId,
  directUsers,
  isConversationId,
  madeConversationId,
} from "./conversation-id.ts";
import { sha256 } from "./sha256.ts";

test("[CNV-1] a direct conversation's id is the same for both, and says who they are", () => {
  assert.equal(directConversationId("bob", "ann"), "d:ann:bob");
  assert.equal(directConversationId("ann", "bob"), "d:ann:bob");
  assert.deepEqual(directUsers("d:ann:bob"), ["ann", "bob"]);
  assert.deepEqual(directUsers("d:ann:ann"), ["ann", "ann"]);
  for (const id of ["d:bob:ann", "d:ann", "d:ann:bob:cyd", "d::bob", "g:ann:bob", "d:a b:c"]) {
    assert.equal(directUsers(id), undefined, id);
    assert.equal(isConversationId(id), false, id);
  }
});

test("[CNV-2] a made conversation's id is derived from who makes it and a nonce", () => {
  const nonce = Uint8Array.from({ length: 16 }, (_, index) => index);
  const id = madeConversationId(sha256, "ann", nonce);
  assert.equal(id, "g:a3vzs4xxpsja4eeevyr5wizt5k");
  assert.ok(isConversationId(id));
  assert.notEqual(madeConversationId(sha256, "bob", nonce), id);
  assert.equal(madeConversationId(sha256, "ann", nonce.subarray(1)), undefined);
});
