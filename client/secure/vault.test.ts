import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SecureDevice } from "../../fuzz/secure/secure-device.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { configFrom } from "../../server/config.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { JournalError } from "../journal.ts";
import { dialersOf } from "../node.ts";
import { memorySecureIdentity, SecureIdentity } from "./identity.ts";
import { memoryPeers } from "./known-peers.ts";
import { type SecureVault, type WebKey, wrappedVault } from "./vault.ts";

const LOG: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (at, data) => assert.fail(`${at} ${JSON.stringify(data)}`),
};

let folder = "";
let server: PosthornServer;
let key: WebKey;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-vault-"));
  server = await createServer(configFrom({ file: { port: 0, data: join(folder, "data") } }), LOG);
  const algorithm = { name: "AES-GCM", length: 256 };
  key = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A place in memory that shows what is done with it. */
class Place implements SecureVault {
  bytes: Uint8Array | undefined;
  writeCount = 0;
  fails = false;
  #life = 0;

  async take() {
    this.#life += 1;
    const life = this.#life;
    const keep = async (bytes: Uint8Array) => {
      if (this.fails) throw new JournalError(ErrorCode.DATA_UNWRITABLE, "the place is full");
      if (life !== this.#life) throw new JournalError(ErrorCode.DATA_LOCKED, "it was taken");
      this.bytes = bytes;
      this.writeCount += 1;
    };
    return { state: this.bytes, keep };
  }
}

/** A device that can come back: it keeps its identity, its peers, and a vault. */
async function device(userId: string, place: Place) {
  const memory = memorySecureIdentity();
  const peers = memoryPeers();
  const name = { userId, deviceId: "phone" };
  const dialers = dialersOf(`tcp://127.0.0.1:${server.address.port}`);
  const open = async () => {
    const identity = await SecureIdentity.open(NATIVE_CRYPTO, memory, name);
    const vault = wrappedVault(place, key);
    return await SecureDevice.open({ ...name, dialers, identity, peers, vault });
  };
  return { first: await open(), again: open };
}

describe("a vault of secure chats", () => {
  test("[SEC-69] [SEC-70] chats go on after a restart, in the order they were in", async (t) => {
    const place = new Place();
    const ann = await device("ann", place);
    const bob = await device("bob", new Place());
    t.after(() => bob.first.close());
    const chat = ann.first.messenger.secureChat(bob.first.identity.device);
    await chat.settled();
    await chat.send("before");
    await bob.first.until("no text", () => bob.first.texts.length === 1);
    await ann.first.vanish();
    // Said while it was away.
    await bob.first.messenger.chats[0]?.send("meanwhile");
    const again = await ann.again();
    t.after(() => again.close());
    await again.until("no text", () => again.texts.length === 1);
    const [restored] = again.messenger.chats;
    assert.equal(restored?.state, "confirmed");
    await restored?.send("after");
    await bob.first.until("no text", () => bob.first.texts.length === 2);
    assert.deepEqual([bob.first.texts, again.texts], [["before", "after"], ["meanwhile"]]);
    assert.equal(
      [...bob.first.events, ...again.events].filter(({ kind }) => kind === "secure-refused").length,
      0,
    );
  });

  test("[SEC-69] what is kept is ciphertext, and is kept before anything leaves", async (t) => {
    const place = new Place();
    const cat = await device("cat", place);
    const dan = await device("dan", new Place());
    t.after(() => Promise.all([cat.first.close(), dan.first.close()]));
    const chat = cat.first.messenger.secureChat(dan.first.identity.device);
    await chat.settled();
    const before = place.writeCount;
    await chat.send("one");
    assert.ok(place.writeCount > before);
    const kept = Buffer.from(place.bytes ?? []);
    assert.ok(kept.length > 1_000);
    for (const secret of ["dan", "phone", Buffer.from(chat.sessionId)]) {
      assert.ok(!kept.includes(secret));
    }
    const other = { name: "AES-GCM", length: 256 };
    const wrong = await crypto.subtle.generateKey(other, false, ["encrypt", "decrypt"]);
    const copy = new Place();
    copy.bytes = place.bytes;
    assert.equal((await wrappedVault(copy, wrong).take()).state, undefined);
  });

  test("[SEC-69] what was opened and not handled is handed out in the next life", async (t) => {
    const place = new Place();
    const gus = await device("gus", place);
    const hal = await device("hal", new Place());
    t.after(() => hal.first.close());
    const chat = hal.first.messenger.secureChat(gus.first.identity.device);
    await chat.settled();
    // The application gets the first one in hand, and dies over it.
    gus.first.pause();
    await chat.send("first");
    await chat.send("second");
    await gus.first.until("not in hand", () => gus.first.inHand === "first");
    await gus.first.vanish();
    const again = await gus.again();
    t.after(() => again.close());
    await again.until("lost", () => again.texts.length === 2);
    assert.deepEqual(again.texts, ["first", "second"]);
  });

  test("[SEC-71] who took it before keeps nothing any more, so that nothing is used twice", async () => {
    const vault = wrappedVault(new Place(), key);
    const first = await vault.take();
    assert.equal(first.state, undefined);
    await first.keep(Uint8Array.of(1, 2, 3));
    const second = await vault.take();
    assert.deepEqual(second.state, Uint8Array.of(1, 2, 3));
    await assert.rejects(first.keep(Uint8Array.of(4)), { code: ErrorCode.DATA_LOCKED });
    await second.keep(Uint8Array.of(5));
    assert.deepEqual((await vault.take()).state, Uint8Array.of(5));
  });

  test("[SEC-71] a chat whose state somebody else has taken says nothing more", async (t) => {
    const place = new Place();
    const ivy = await device("ivy", place);
    const jon = await device("jon", new Place());
    t.after(() => Promise.all([ivy.first.vanish(), jon.first.close()]));
    const chat = ivy.first.messenger.secureChat(jon.first.identity.device);
    await chat.settled();
    await chat.send("one");
    await jon.first.until("no text", () => jon.first.texts.length === 1);
    // Another tab.
    assert.ok((await wrappedVault(place, key).take()).state);
    await assert.rejects(chat.send("two"), { code: ErrorCode.DATA_LOCKED });
    await ivy.first.until("not told", () => ivy.first.failure !== undefined);
    assert.equal(ivy.first.client.status.unsettledCount, 0);
    assert.deepEqual(jon.first.texts, ["one"]);
  });

  test("[SEC-71] what cannot be decrypted now is not lost", async (t) => {
    const vault = wrappedVault(new Place(), key);
    await (await vault.take()).keep(Uint8Array.of(1, 2, 3));
    const busy = new DOMException("the key is not there yet", "InvalidAccessError");
    const decrypt = t.mock.method(crypto.subtle, "decrypt", () => Promise.reject(busy));
    await assert.rejects(vault.take(), { name: "InvalidAccessError" });
    decrypt.mock.restore();
    assert.deepEqual((await vault.take()).state, Uint8Array.of(1, 2, 3));
  });

  test("[SEC-69] a vault that fails keeps everything from leaving, and says so", async (t) => {
    const place = new Place();
    const eve = await device("eve", place);
    const fay = await device("fay", new Place());
    t.after(() => Promise.all([eve.first.vanish(), fay.first.close()]));
    const chat = eve.first.messenger.secureChat(fay.first.identity.device);
    await chat.settled();
    await chat.send("one");
    await fay.first.until("no text", () => fay.first.texts.length === 1);
    place.fails = true;
    await assert.rejects(chat.send("two"), { code: ErrorCode.DATA_UNWRITABLE });
    await assert.rejects(chat.send("three"), { code: ErrorCode.DATA_UNWRITABLE });
    await eve.first.until("not told", () => eve.first.failure !== undefined);
    assert.equal(eve.first.client.status.unsettledCount, 0);
    assert.deepEqual(fay.first.texts, ["one"]);
  });
});
