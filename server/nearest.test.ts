import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

test("finds what was meant by spelling, by ending, and whatever the case", () => {
  const names = ["serve", "chat", "send", "tail", "token"];
  assert.equal(nearest("srve", names), "serve");
  assert.equal(nearest("tokne", names), "token");
  assert.equal(nearest("SERVE", names), "serve");
  assert.equal(nearest("linksMax", ["links.max", "limits.linksMax"]), "limits.linksMax");
  assert.equal(nearest("tcp", ["host", "transports-tcp"]), "transports-tcp");
});

test("says nothing when nothing is near", () => {
  assert.equal(nearest("frobnicate", ["serve", "chat"]), undefined);
  assert.equal(nearest("x", ["ab"]), undefined);
  assert.equal(nearest("", ["serve"]), undefined);
  assert.equal(nearest("serve", []), undefined);
});
