import assert from "node:assert/strict";
import { test } from "node:test";
import { SteadyClock } from "../steady-clock.ts";
import { SecureChat } from "./chat.ts";
import { DISAPPEARING_MAX, DisappearingMessages } from "./disappearing.ts";

function chatWith(userId: string): SecureChat {
  const driver = { send: () => assert.fail(), close: () => assert.fail() };
  const peer = { userId, deviceId: "phone" };
  const sessionId = new Uint8Array(16);
  return new SecureChat(driver, { sessionId, peer, isOurs: false, state: "confirmed" });
}

test("[SEC-67] who floods a device with messages that end ends nobody else's", () => {
  const ended: string[] = [];
  const messages = new DisappearingMessages(new SteadyClock(), (_, id) => void ended.push(id));
  const [ann, eve] = [chatWith("ann"), chatWith("eve")];
  messages.add(ann, "for a day", 86_400);
  for (let count = 0; count < DISAPPEARING_MAX + 10; count += 1) {
    messages.add(eve, `flood ${count}`, 2 ** 32 - 1);
  }
  assert.equal(ended.length, 10);
  assert.ok(!ended.includes("for a day"));
  messages.stop();
});
