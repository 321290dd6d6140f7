import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { SecureDevice, type SecureDeviceOptions } from "../../fuzz/secure/secure-device.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import { configFrom } from "../../server/config.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { dialersOf } from "../node.ts";

const LOG: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (at, data) => assert.fail(`${at} ${JSON.stringify(data)}`),
};

let folder = "";
let server: PosthornServer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-messenger-"));
  const file = { port: 0, data: join(folder, "data"), longPoll: { coalesceMs: 0 } };
  server = await createServer(configFrom({ file }), LOG);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

let userCount = 0;
/** A name that no other test uses. */
function user(name: string): string {
  userCount += 1;
  return `${name}${userCount}`;
}

async function device(
  t: TestContext,
  scheme: string,
  options: Pick<SecureDeviceOptions, "userId"> & Partial<SecureDeviceOptions>,
): Promise<SecureDevice> {
  const dialers = dialersOf(`${scheme}://127.0.0.1:${server.address.port}`);
  const opened = await SecureDevice.open({ deviceId: "phone", dialers, ...options });
  t.after(() => opened.close());
  return opened;
}

/** Two devices with an open chat between them. */
async function pair(t: TestContext, options: Partial<SecureDeviceOptions> = {}) {
  const ann = await device(t, "tcp", { userId: user("ann"), ...options });
  const bob = await device(t, "ws", { userId: user("bob"), ...options });
  const chat = ann.messenger.secureChat(bob.identity.device);
  await chat.settled();
  await bob.until("no chat", () => bob.messenger.chats.some(({ isOpen }) => isOpen));
  const [theirs] = bob.messenger.chats;
  assert.ok(theirs);
  return { ann, bob, chat, theirs };
}

describe("a messenger of secure chats", () => {
  for (const [first, second] of [
    ["tcp", "http"],
    ["ws", "tcp"],
    ["http", "ws"],
  ] as const) {
    test(`[SEC-24] [SEC-51] ${first} and ${second}: asks, agrees, talks, ends`, async (t) => {
      const ann = await device(t, first, { userId: user("ann") });
      // One of them as in a browser.
      const bob = await device(t, second, { userId: user("bob"), crypto: NOBLE_CRYPTO });
      const chat = ann.messenger.secureChat(bob.identity.device);
      assert.equal(chat.state, "asking");
      await chat.settled();
      assert.equal(chat.state, "confirmed");
      assert.equal(chat.trust, "first-seen");
      await chat.send("one");
      await bob.until("no text", () => bob.texts.length === 1);
      const [theirs] = bob.messenger.chats;
      assert.ok(theirs && !theirs.isOurs);
      for (const text of ["two", "three"]) await theirs.send(text);
      await ann.until("no texts", () => ann.texts.length === 2);
      assert.deepEqual([...bob.texts, ...ann.texts], ["one", "two", "three"]);
      await theirs.close();
      await ann.until("not closed", () => chat.state === "closed");
      assert.equal(chat.code, ErrorCode.GOODBYE);
      await assert.rejects(chat.send("late"), { code: ErrorCode.SECURE_NOT_OPEN });
      assert.deepEqual(ann.messenger.chats, []);
    });
  }

  test("[SEC-12] [SEC-13] safety numbers are the same on both sides; comparing them is kept", async (t) => {
    const { ann, bob, chat, theirs } = await pair(t);
    const [annId, bobId] = [ann.identity.device.userId, bob.identity.device.userId];
    const number = await ann.messenger.safetyNumber(bobId);
    assert.match(number.digits, /^(\d{5} ){11}\d{5}$/);
    const theirNumber = await bob.messenger.safetyNumber(annId);
    assert.equal(theirNumber.digits, number.digits);
    assert.equal(await ann.messenger.judgeCode(bobId, theirNumber.code), "same");
    assert.equal(await ann.messenger.judgeCode(bobId, number.code), "other-people");
    const lie = Uint8Array.from(theirNumber.code);
    lie[lie.length - 1] = (lie.at(-1) as number) ^ 1;
    assert.equal(await ann.messenger.judgeCode(bobId, lie), "different");
    await ann.messenger.verify(number);
    assert.equal(chat.state, "verified");
    assert.equal(theirs.state, "confirmed");
    await chat.close();
    const again = ann.messenger.secureChat(bob.identity.device);
    await again.settled();
    assert.equal(again.state, "verified");
  });

  test("[SEC-11] [SEC-12] what is verified is what was shown, whatever is said next", async (t) => {
    const ann = await device(t, "tcp", { userId: user("ann") });
    const bob = await device(t, "tcp", { userId: user("bob") });
    const eve = await device(t, "tcp", { userId: user("eve") });
    const { userId } = bob.identity.device;
    const shown = await ann.messenger.safetyNumber(userId);
    // From now on the service says that eve's account is bob's.
    const call = ann.client.call.bind(ann.client);
    ann.client.call = ((method, request, options) => {
      const asked = { ...request, userId: eve.identity.device.userId };
      return call(method, asked as typeof request, options);
    }) as typeof ann.client.call;
    await ann.messenger.verify(shown);
    const known = await ann.peers.load(userId);
    assert.deepEqual(known?.fingerprint, shown.fingerprint);
    assert.equal((await ann.messenger.safetyNumber(userId)).trust, "changed");
    ann.client.call = call;
    assert.equal((await ann.messenger.safetyNumber(userId)).trust, "verified");
  });

  test("[SEC-32] a directory that does not answer about one stops nobody else", async (t) => {
    const { ann, bob, chat } = await pair(t);
    const eve = await device(t, "tcp", { userId: user("eve") });
    const call = bob.client.call.bind(bob.client);
    bob.client.call = ((method, request, options) => {
      const isEve = (request as { userId?: string }).userId === eve.identity.device.userId;
      return isEve ? new Promise(() => {}) : call(method, request, options);
    }) as typeof bob.client.call;
    eve.messenger.secureChat(bob.identity.device);
    await ann.client.send(bob.identity.device.userId, "plainly");
    await chat.send("in secret");
    await bob.until("stopped", () => bob.texts.includes("in secret"));
  });

  test("[SEC-34] a device that has lost its chats is offered a new one", async (t) => {
    const { ann, bob, chat } = await pair(t);
    const { identity, peers } = bob;
    await bob.vanish();
    const dialers = dialersOf(`tcp://127.0.0.1:${server.address.port}`);
    const { userId, deviceId } = identity.device;
    const again = await SecureDevice.open({ userId, deviceId, dialers, identity, peers });
    t.after(() => again.close());
    await chat.send("into the void");
    await ann.until(
      "no new chat",
      () => ann.messenger.chats.filter((one) => one.isOpen).length > 1,
    );
    const fresh = ann.messenger.chats.find((one) => one !== chat && one.isOpen);
    await fresh?.send("here again");
    await again.until("no text", () => again.texts.includes("here again"));
  });

  test("[SEC-62] many messages both ways go through epochs, in order, each once", async (t) => {
    const parameters = { rekeyMessages: 3, rekeyS: 600, lifetimeS: 3600, franking: false };
    const { ann, bob, chat, theirs } = await pair(t, { parameters });
    const said = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    await Promise.all(said.flatMap((text) => [chat.send(text), theirs.send(text)]));
    await bob.until("not all", () => bob.texts.length >= said.length);
    await ann.until("not all", () => ann.texts.length >= said.length);
    assert.deepEqual(ann.texts, said);
    assert.deepEqual(bob.texts, said);
  });

  test("[SEC-103] nobody has a device make new keys for every message", async (t) => {
    const often = { rekeyMessages: 7, rekeyS: 600, lifetimeS: 3600, franking: false };
    const ann = await device(t, "tcp", { userId: user("ann") });
    const eve = await device(t, "tcp", { userId: user("eve"), parameters: often });
    eve.messenger.secureChat(ann.identity.device);
    const refusal = (of: SecureDevice) =>
      of.events.find((event) => event.kind === "secure-refused")?.code;
    await ann.until("not refused", () => refusal(ann) !== undefined);
    assert.equal(refusal(ann), ErrorCode.SECURE_MALFORMED);
    assert.deepEqual(ann.messenger.chats, []);
    // Nor by her answer; who puts up with it has the chat.
    const bob = await device(t, "tcp", { userId: user("bob"), rekeyMessagesMin: 7 });
    const refused = ann.messenger.secureChat(eve.identity.device);
    const taken = bob.messenger.secureChat(eve.identity.device);
    await taken.settled();
    assert.equal(taken.state, "confirmed");
    const codes = () => ann.events.filter(({ kind }) => kind === "secure-refused").length;
    await ann.until("not refused", () => codes() === 2);
    assert.equal(refused.state, "offered");
  });

  test("[SEC-29] two devices that ask each other at once end with one chat", async (t) => {
    const ann = await device(t, "tcp", { userId: user("ann") });
    const bob = await device(t, "tcp", { userId: user("bob") });
    const chats = [
      ann.messenger.secureChat(bob.identity.device),
      bob.messenger.secureChat(ann.identity.device),
    ];
    const open = (of: SecureDevice) => of.messenger.chats.filter(({ isOpen }) => isOpen);
    await ann.until("none open", () => open(ann).length === 1);
    await bob.until("none open", () => open(bob).length === 1);
    await Promise.all(chats.map((chat) => chat.settled()));
    await open(ann)[0]?.send("hello");
    await bob.until("no text", () => bob.texts.length === 1);
    assert.deepEqual(
      open(ann).map(({ sessionId }) => sessionId),
      open(bob).map(({ sessionId }) => sessionId),
    );
  });

  test("[SEC-11] another account key is told, ends the chat, and waits for the user", async (t) => {
    const { ann, bob, chat } = await pair(t);
    const { userId } = bob.identity.device;
    const another = { userId, deviceId: "laptop" };
    await assert.rejects(device(t, "tcp", another), { code: ErrorCode.PEER_IDENTITY_CHANGED });
    assert.equal(chat.state, "confirmed");
    const laptop = await device(t, "tcp", { ...another, replaceAccount: true });
    await ann.until("still open", () => chat.state === "closed");
    assert.equal(chat.code, ErrorCode.PEER_IDENTITY_CHANGED);
    const told = () => ann.events.filter(({ kind }) => kind === "secure-identity-changed").length;
    await ann.until("not told", () => told() > 0);
    const refused = ann.messenger.secureChat(laptop.identity.device);
    await refused.settled();
    assert.equal(refused.code, ErrorCode.PEER_IDENTITY_CHANGED);
    const theirs = laptop.messenger.secureChat(ann.identity.device);
    await laptop.until("not offered", () => theirs.state === "offered");
    await ann.until("not told again", () => told() >= 3);
    const shown = await ann.messenger.safetyNumber(userId);
    assert.equal(shown.trust, "changed");
    await assert.rejects(ann.messenger.verify(shown), { code: ErrorCode.PEER_IDENTITY_CHANGED });
    await ann.messenger.trust(shown);
    ann.messenger.secureChat(laptop.identity.device);
    // Theirs, which is offered once more, or ours: as the fingerprints say. [SEC-29]
    const open = () => ann.messenger.chats.find(({ isOpen }) => isOpen);
    await ann.until("not open", () => open() !== undefined);
    assert.equal(open()?.trust, "seen-before");
  });

  test("[SEC-66] a message that is to be forgotten is told when its time is over", async (t) => {
    const { bob, chat } = await pair(t);
    await chat.send("for a second", { lifetimeS: 1 });
    await bob.until("not over", () => bob.events.some(({ kind }) => kind === "secure-expired"));
    const message = bob.events.find((event) => event.kind === "secure-message");
    const expired = bob.events.find((event) => event.kind === "secure-expired");
    assert.equal(expired?.id, message?.id);
  });
});
