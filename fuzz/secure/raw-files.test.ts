import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { fileJournal } from "../../client/file-journal.ts";
import { dialersOf } from "../../client/node.ts";
import { SecureIdentity } from "../../client/secure/identity.ts";
import { filePeers, fileSecureIdentity } from "../../client/secure/secret-files.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { configFrom } from "../../server/config.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { LmdbStore } from "../../server/store/lmdb.ts";
import { userRefOf } from "../../server/store/store.ts";
import { SecureDevice } from "./secure-device.ts";

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const STORE_LIMITS = { mapBytes: 64 * 1024 * 1024, timelineEventsMax: 1_000_000 };
const WINDOW_BYTES = 32;
const KEY_BYTES = 32;
const WEEK_MS = 7 * 86_400_000;

const DRAWN = randomBytes(12).toString("hex");
let textCount = 0;
/** A text that is nowhere else; every other one is longer than a page of a store. */
function secretText(): string {
  textCount += 1;
  return `PLAINTEXT-${DRAWN}-${textCount}-${textCount % 2 ? "" : "word ".repeat(1_500)}`;
}
/** What all of them have in common, in the forms in which a program may write it. */
const MARKERS = ["utf8", "utf16le", "hex", "base64"].map((form) => {
  const marker = Buffer.from(`PLAINTEXT-${DRAWN}`, form === "utf16le" ? form : "utf8");
  if (form === "hex") return Buffer.from(marker.toString("hex"));
  // Cut to whole groups: what follows is not known.
  return form === "base64" ? Buffer.from(marker.toString("base64").slice(0, 44)) : marker;
});

/** Every file below a folder, as it lies there. */
function filesIn(folder: string): [string, Buffer][] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path)]);
}

function filesWith(folder: string, wanted: readonly Uint8Array[]): string[] {
  const files = filesIn(folder);
  assert.ok(files.length > 0, `${folder} has files`);
  const found = files.filter(([, file]) => wanted.some((bytes) => file.includes(bytes as Buffer)));
  return found.map(([path]) => path);
}

/** All of a packet, in pieces that lie within it wherever a page ends. */
function windowsOf(packets: readonly Uint8Array[]): Buffer[] {
  return packets.flatMap((packet) => {
    const count = Math.floor(packet.length / WINDOW_BYTES);
    const bytes = Buffer.from(packet);
    return Array.from({ length: count }, (_, index) =>
      bytes.subarray(index * WINDOW_BYTES, (index + 1) * WINDOW_BYTES),
    );
  });
}

/** A service, its folder, and the folders of its devices. */
class Scenery {
  readonly folder = mkdtempSync(join(tmpdir(), "posthorn-raw-"));
  /** Every packet that a device has sent. */
  readonly packets: Uint8Array[] = [];
  #server: PosthornServer | undefined;
  #port = 0;
  #copyCount = 0;
  readonly #devices: SecureDevice[] = [];

  async start(): Promise<void> {
    const file = { port: this.#port, data: join(this.folder, "data"), longPoll: { coalesceMs: 0 } };
    this.#server = await createServer(configFrom({ file }), SILENT);
    this.#port = this.#server.address.port;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()));
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  /** The folder of the service as it is; while it is stopped, whole. */
  copy(): string {
    this.#copyCount += 1;
    const to = join(this.folder, `copy${this.#copyCount}`);
    cpSync(join(this.folder, "data"), to, { recursive: true });
    return to;
  }

  async device(scheme: string, userId: string): Promise<SecureDevice> {
    const of = (name: string) => join(this.folder, "devices", userId, name);
    const name = { userId, deviceId: "phone" };
    const memory = fileSecureIdentity(of("device"), of("account"));
    const device = await SecureDevice.open({
      ...name,
      identity: await SecureIdentity.open(NATIVE_CRYPTO, memory, name),
      journal: await fileJournal(of("journal")),
      peers: filePeers(of("peers")),
      dialers: dialersOf(`${scheme}://127.0.0.1:${this.#port}`),
    });
    const { client } = device;
    const submit = client.submit.bind(client);
    this.#devices.push(device);
    client.submit = (operation) => {
      const { kind } = fromBinary(OperationSchema, operation);
      if (kind.case === "sendPacket") this.packets.push(Uint8Array.from(kind.value.packet));
      return submit(operation);
    };
    return device;
  }

  /** Nothing that was said is in any file, of the service or of a device. */
  noPlaintext(...copies: readonly string[]): void {
    for (const folder of [join(this.folder, "data"), join(this.folder, "devices"), ...copies]) {
      assert.deepEqual(filesWith(folder, MARKERS), []);
    }
  }
}

/** How many packets whoever has a copy of the folder can still get for Bob. */
async function waitingIn(copy: string, nowMs: number): Promise<Uint8Array[]> {
  const store = await LmdbStore.open({ folder: copy, nowMs: () => nowMs, ...STORE_LIMITS });
  const limit = { count: 1_000, bytes: 10_000_000 };
  const { entries } = await store.loadTimeline(userRefOf("", "bob"), 0, limit, "phone");
  await store.close();
  return entries.map(({ event }) => Uint8Array.from(event));
}

function recoverable(events: readonly Uint8Array[], packets: readonly Uint8Array[]): number {
  const said = Buffer.concat(events);
  return packets.filter((packet) => said.includes(Buffer.from(packet))).length;
}

/** The keys of what waits, in a copy. */
function keysIn(copy: string): Buffer[] {
  const file = readFileSync(join(copy, "perishable-keys"));
  const slots = Array.from({ length: Math.floor(file.length / KEY_BYTES) - 1 }, (_, slot) =>
    file.subarray((slot + 1) * KEY_BYTES, (slot + 2) * KEY_BYTES),
  );
  return slots.filter((slot) => slot.some((byte) => byte !== 0));
}

async function openChat(ann: SecureDevice, bob: SecureDevice) {
  const chat = ann.messenger.secureChat(bob.identity.device);
  await chat.settled();
  const theirs = () => bob.messenger.chats.find(({ isOpen }) => isOpen);
  await bob.until("no chat", () => theirs() !== undefined);
  return { chat, theirs: theirs() };
}

for (const [first, second] of [
  ["tcp", "ws"],
  ["http", "tcp"],
] as const) {
  test(`[SEC-89] [SEC-93] ${first} and ${second}: no file says what was said, or keeps it`, async (t) => {
    const scenery = new Scenery();
    t.after(() => scenery.clear());
    await scenery.start();
    await live(t, scenery, [first, second]);
  });
}

async function live(t: TestContext, scenery: Scenery, [first, second]: readonly [string, string]) {
  const ann = await scenery.device(first, "ann");
  const bob = await scenery.device(second, "bob");
  const { chat, theirs } = await openChat(ann, bob);
  const said = [secretText(), secretText()];
  for (const text of said) {
    await chat.send(text);
    await theirs?.send(text);
  }
  await bob.until("texts", () => bob.texts.length === 2);
  await ann.until("texts", () => ann.texts.length === 2);
  assert.deepEqual([ann.texts, bob.texts], [said, said]);
  scenery.noPlaintext(scenery.copy());

  // Bob is away, and as a process that was killed: nothing of his chat is left.
  await bob.client.close();
  const before = scenery.packets.length;
  for (let count = 0; count < 3; count += 1) await chat.send(secretText());
  const away = scenery.packets.slice(before);
  assert.equal(away.length, 3);
  await scenery.stop();
  const waiting = scenery.copy();
  scenery.noPlaintext(waiting);
  const keys = keysIn(waiting);
  assert.ok(keys.length >= 3);
  // Not even what is sealed for Bob lies there as it came; with the keys beside it, it is found.
  assert.deepEqual(filesWith(waiting, windowsOf(scenery.packets)), []);
  assert.equal(recoverable(await waitingIn(waiting, Date.now()), away), 3);
  const expired = scenery.copy();
  await expire(expired);
  gone(expired, keys, scenery);
  assert.equal(recoverable(await waitingIn(expired, Date.now()), scenery.packets), 0);

  await scenery.start();
  const late = await scenery.device(second, "bob");
  const refused = () => late.events.filter(({ kind }) => kind === "secure-refused").length;
  await late.until("what waited", () => refused() === 3);
  assert.deepEqual(late.texts, []);
  // What it cannot open any more has it offer a chat anew: nobody has to ask.
  await ann.until("a chat anew", () =>
    ann.messenger.chats.some(({ isOpen, isOurs }) => isOpen && !isOurs),
  );
  const again = ann.messenger.chats.find(({ isOpen, isOurs }) => isOpen && !isOurs);
  await again?.send(secretText());
  await late.until("a text", () => late.texts.length === 1);
  const erased = () => keysIn(join(scenery.folder, "data")).length === 0;
  await late.until("all is acknowledged, and erased", erased);
  t.diagnostic(`${scenery.packets.length} packets, ${keys.length} keys`);
  await late.close();
  await bob.messenger.close();
  await scenery.stop();
  const acknowledged = scenery.copy();
  scenery.noPlaintext(acknowledged);
  gone(acknowledged, keys, scenery);
  assert.equal(recoverable(await waitingIn(acknowledged, Date.now()), scenery.packets), 0);
  await ann.close();
  scenery.noPlaintext();
}

/** As a service does that is started when everything is past its time. */
async function expire(copy: string): Promise<void> {
  const nowMs = () => Date.now() + 2 * WEEK_MS;
  const store = await LmdbStore.open({ folder: copy, nowMs, ...STORE_LIMITS });
  await store.sweep();
  await store.close();
}

/** Neither a packet nor the key of one is in any file. */
function gone(copy: string, keys: readonly Buffer[], { packets }: Scenery): void {
  assert.deepEqual(filesWith(copy, windowsOf(packets)), []);
  assert.deepEqual(filesWith(copy, keys), []);
}
