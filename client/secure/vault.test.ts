import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { SecureDevice } from "../../fuzz/secure/secure-device.ts";
import { stolenFrom } from "../../fuzz/secure/stored.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { readPacket } from "../../protocol/secure/handshake.ts";
import { parseMessage } from "../../protocol/secure/message.ts";
import { StateReader } from "../../protocol/secure/stored-state.ts";
import { configFrom } from "../../server/config.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { JournalError } from "../journal.ts";
import { dialersOf } from "../node.ts";
import { memorySecureIdentity, SecureIdentity } from "./identity.ts";
import { memoryPeers } from "./known-peers.ts";
import { SECURE_PARAMETERS_DEFAULT } from "./options.ts";
import { type SecureVault, type VaultChanges, type WebKey, wrappedVault } from "./vault.ts";

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
  readonly records = new Map<string, Uint8Array>();
  /** What each write was of, in order. */
  readonly writes: VaultChanges[] = [];
  fails = false;
  #life = 0;

  async take() {
    this.#life += 1;
    const life = this.#life;
    const keep = async (changes: VaultChanges) => {
      // As long as a disk may take; more comes meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.fails) throw new JournalError(ErrorCode.DATA_UNWRITABLE, "the place is full");
      if (life !== this.#life) throw new JournalError(ErrorCode.DATA_LOCKED, "it was taken");
      this.writes.push(new Map(changes));
      for (const [name, record] of changes) {
        if (record === undefined) this.records.delete(name);
        else this.records.set(name, Uint8Array.from(record));
      }
    };
    const copies = [...this.records].map(([name, of]) => [name, Uint8Array.from(of)] as const);
    return { records: new Map(copies), keep };
  }
}

const one = (byte: number) => new Map([["a", Uint8Array.of(byte)]]);

/** A device that can come back: it keeps its identity, its peers, and a vault. */
async function device(userId: string, place: Place, parameters = SECURE_PARAMETERS_DEFAULT) {
  const memory = memorySecureIdentity();
  const peers = memoryPeers();
  const name = { userId, deviceId: "phone" };
  const dialers = dialersOf(`tcp://127.0.0.1:${server.address.port}`);
  const open = async () => {
    const identity = await SecureIdentity.open(NATIVE_CRYPTO, memory, name);
    const vault = wrappedVault(place, key);
    return await SecureDevice.open({ ...name, dialers, identity, peers, vault, parameters });
  };
  return { first: await open(), again: open };
}

/** Where the one session of a place would seal its next message after a restart. */
async function sendingPlace({ records }: Place) {
  const copy = new Place();
  for (const [name, record] of records) copy.records.set(name, record);
  const [state] = (await wrappedVault(copy, key).take()).records.values();
  const from = new StateReader(state ?? new Uint8Array(0));
  from.u32();
  const stolen = stolenFrom(from.maybe(() => from.bytes()) ?? new Uint8Array(0));
  return stolen && { epoch: stolen.epoch, next: stolen.chains[0]?.next ?? 0 };
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
    const before = place.writes.length;
    await chat.send("one");
    assert.ok(place.writes.length > before);
    const kept = [...place.records].flatMap(([name, record]) => [Buffer.from(name), record]);
    const all = Buffer.concat(kept);
    assert.ok(all.length > 1_000);
    const id = Buffer.from(chat.sessionId);
    for (const secret of ["dan", "phone", id, id.toString("hex")]) {
      assert.ok(!all.includes(secret));
    }
    const other = { name: "AES-GCM", length: 256 };
    const wrong = await crypto.subtle.generateKey(other, false, ["encrypt", "decrypt"]);
    const copy = new Place();
    for (const [name, record] of place.records) copy.records.set(name, record);
    const opened = await wrappedVault(copy, wrong).take();
    assert.equal(opened.records.size, 0);
    // What nobody can read goes with the next change.
    await opened.keep(one(1));
    assert.deepEqual([...copy.records.keys()], ["a"]);
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
    assert.equal(first.records.size, 0);
    await first.keep(one(1));
    const second = await vault.take();
    assert.deepEqual(second.records, one(1));
    await assert.rejects(first.keep(one(4)), { code: ErrorCode.DATA_LOCKED });
    await second.keep(one(5));
    assert.deepEqual((await vault.take()).records, one(5));
  });

  test("[SEC-71] a record does not open in another one's place", async () => {
    const place = new Place();
    const vault = wrappedVault(place, key);
    await (await vault.take()).keep(new Map([...one(1), ["b", Uint8Array.of(2)]]));
    const [a, b] = [place.records.get("a"), place.records.get("b")];
    assert.ok(a && b);
    place.records.set("a", b);
    assert.deepEqual([...(await vault.take()).records], [["b", Uint8Array.of(2)]]);
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
    assert.equal((await wrappedVault(place, key).take()).records.size, 1);
    await assert.rejects(chat.send("two"), { code: ErrorCode.DATA_LOCKED });
    await ivy.first.until("not told", () => ivy.first.failure !== undefined);
    assert.equal(ivy.first.client.status.unsettledCount, 0);
    assert.deepEqual(jon.first.texts, ["one"]);
  });

  test("[SEC-71] what cannot be decrypted now is not lost", async (t) => {
    const vault = wrappedVault(new Place(), key);
    await (await vault.take()).keep(one(1));
    const busy = new DOMException("the key is not there yet", "InvalidAccessError");
    const decrypt = t.mock.method(crypto.subtle, "decrypt", () => Promise.reject(busy));
    await assert.rejects(vault.take(), { name: "InvalidAccessError" });
    decrypt.mock.restore();
    assert.deepEqual((await vault.take()).records, one(1));
  });

  test("[SEC-69] a write is of what has changed, however much is open", async (t) => {
    const place = new Place();
    const ken = await device("ken", place);
    t.after(() => ken.first.vanish());
    const others = await Promise.all(["lea", "mia", "noa"].map((id) => device(id, new Place())));
    t.after(() => Promise.all(others.map(({ first }) => first.close())));
    const chats = others.map(({ first }) => ken.first.messenger.secureChat(first.identity.device));
    for (const chat of chats) await chat.settled();
    const [lea] = others;
    assert.ok(lea);
    const kinds = (since: number) =>
      place.writes
        .slice(since)
        .map((changes) =>
          [...changes].map(([name, of]) => `${of ? "" : "no "}${name.slice(0, 4)}`),
        );
    const before = place.writes.length;
    await chats[0]?.send("one");
    await chats[0]?.send("two");
    assert.deepEqual(kinds(before), [["chat"], ["chat"]]);
    const names = place.writes.slice(before).map((changes) => [...changes.keys()].join());
    assert.equal(new Set(names).size, 1, "the same record");
    assert.equal(place.records.size, 3);
    // What is opened is kept with its session, and is gone with the next change.
    const opened = place.writes.length;
    await lea.first.until("no texts", () => lea.first.texts.length === 2);
    await lea.first.messenger.chats[0]?.send("three");
    await ken.first.until("no text", () => ken.first.texts.length === 1);
    assert.deepEqual(kinds(opened), [["said", "chat"]]);
    await chats[1]?.send("four");
    assert.deepEqual(kinds(opened).at(-1)?.sort(), ["chat", "no said"]);
    await chats[2]?.close();
    assert.deepEqual(kinds(opened).at(-1), ["no chat"]);
    assert.equal(place.records.size, 2);
  });

  test("[SEC-69] [SEC-71] nothing leaves before its state is kept, whatever comes meanwhile", async (t) => {
    const parameters = { rekeyMessages: 3, rekeyS: 600, lifetimeS: 3600, franking: false };
    const place = new Place();
    const oda = await device("oda", place, parameters);
    const pia = await device("pia", new Place(), parameters);
    t.after(() => Promise.all([oda.first.close(), pia.first.close()]));
    const chat = oda.first.messenger.secureChat(pia.first.identity.device);
    await chat.settled();
    await pia.first.until("not open", () => pia.first.messenger.chats.some((one) => one.isOpen));
    const late: string[] = [];
    const { client } = oda.first;
    const submit = client.submit.bind(client);
    client.submit = async (operation) => {
      const { kind } = fromBinary(OperationSchema, operation);
      const packet = readPacket(kind.case === "sendPacket" ? kind.value.packet : new Uint8Array(0));
      const message = "kind" in packet && packet.kind === "message" && packet.message;
      const header = message ? parseMessage(message)?.header : undefined;
      if (header !== undefined) {
        const kept = await sendingPlace(place);
        const isKept =
          kept !== undefined &&
          (kept.epoch > header.epoch || (kept.epoch === header.epoch && kept.next > header.n));
        if (!isKept) late.push(`${header.epoch}/${header.n}: ${JSON.stringify(kept)}`);
      }
      return await submit(operation);
    };
    // Pia only listens: her answers for the ratchet's sake change the session, and are no work.
    const said = Array.from({ length: 90 }, (_, index) => index);
    for (const index of said) {
      const sent = chat.send(`${index}`);
      for (let turn = 0; turn < index % 7; turn += 1) await new Promise((go) => setImmediate(go));
      if (index % 5 === 0) await sent;
    }
    await pia.first.until("not all", () => pia.first.texts.length === said.length);
    assert.deepEqual(late, []);
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
