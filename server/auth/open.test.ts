import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { openAuthenticator } from "./open.ts";

test("[AUT-4] without authentication a device is who it says", async () => {
  const claim = { token: "", userId: "alice", deviceId: "phone" };
  const principal = { tenant: "", userId: "alice" };
  const { authenticate } = openAuthenticator();
  assert.deepEqual(await authenticate(claim), { kind: "authenticated", principal });
});

test("[BCK-3] and a backend likewise, but none that is a user too", async () => {
  const { authenticate } = openAuthenticator();
  const claim = { token: "", userId: "", deviceId: "", backendId: "desk" };
  const backend = { tenant: "", backendId: "desk" };
  assert.deepEqual(await authenticate(claim), { kind: "backend", backend });
  for (const backendId of ["", "a/b", "backend:desk", "a".repeat(65)]) {
    assert.equal((await authenticate({ ...claim, backendId })).kind, "refused", backendId);
  }
});

test("[SES-5] [AUT-5] and must say something legal; a token it sends is not repeated", async () => {
  for (const userId of ["", "a/b", ".a", "a".repeat(65), "\u00e4"]) {
    const claim = { token: "a-token-of-elsewhere", userId, deviceId: "phone" };
    const identity = await openAuthenticator().authenticate(claim);
    assert.ok(identity.kind === "refused");
    assert.equal(identity.code, ErrorCode.HELLO_INVALID);
    assert.equal(identity.requirement, "SES-5");
    assert.ok(!identity.detail.includes("a-token"));
  }
});
