import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { fileJournal } from "../../client/file-journal.ts";
import { SecureIdentity } from "../../client/secure/identity.ts";
import { filePeers, fileSecureIdentity } from "../../client/secure/secret-files.ts";
import { SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { parseMessage, type SealedMessage } from "../../protocol/secure/message.ts";
import { Wiretap } from "../attacker/wiretap.ts";
import { sameDevice } from "./evil-scene.ts";
import { EvilService, type PassingPacket } from "./evil-service.ts";
import { KeySearch, type OpenedBy } from "./key-search.ts";
import { reachableBytes } from "./reachable-bytes.ts";
import { SecureDevice } from "./secure-device.ts";

const PARAMETERS = { rekeyMessages: 4, rekeyS: 600, lifetimeS: 3600, franking: false };

/** Every file below a folder, as it lies there. */
function filesIn(folder: string): Buffer[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path));
}

/** Text that stands for bytes, as these bytes too. */
function bytesOf(text: string): Uint8Array[] {
  const decoded: Uint8Array[] = [];
  for (const [hex] of text.matchAll(/([0-9a-f]{2}){32,}/g)) decoded.push(Buffer.from(hex, "hex"));
  if (/^[\w+/-]{43,}={0,2}$/.test(text)) decoded.push(Buffer.from(text, "base64"));
  return decoded;
}

async function openDevice(t: TestContext, service: EvilService, tap: Wiretap, userId: string) {
  const folder = mkdtempSync(join(tmpdir(), `posthorn-close-${userId}-`));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const address = { userId, deviceId: "phone" };
  const memory = fileSecureIdentity(join(folder, "device"), join(folder, "account"));
  const device = await SecureDevice.open({
    ...address,
    identity: await SecureIdentity.open(NATIVE_CRYPTO, memory, address),
    journal: await fileJournal(join(folder, "journal")),
    peers: filePeers(join(folder, "peers")),
    parameters: PARAMETERS,
    dialers: [service.way("tcp", address, tap.port)],
  });
  t.after(() => device.close());
  return { device, address, folder };
}

type Device = Awaited<ReturnType<typeof openDevice>>;

/** Everything that there is of two devices: in memory, and in their files. */
function remains(devices: readonly Device[], more: readonly object[]): Uint8Array[] {
  const roots = devices.flatMap(({ device }) => [device, device.messenger, device.client]);
  const reached = reachableBytes([...roots, ...more]);
  assert.ok(reached.objectCount > 500, `only ${reached.objectCount} objects were reached`);
  const files = devices.flatMap(({ folder }) => filesIn(folder));
  const texts = [...reached.strings, ...files.map((file) => file.toString("latin1"))];
  return [...reached.bytes, ...files, ...texts.flatMap(bytesOf)];
}

/** Which messages any bytes open. */
function openedBy(
  messages: readonly SealedMessage[],
  bytes: readonly Uint8Array[],
  wire: readonly Uint8Array[],
) {
  const search = new KeySearch(messages, wire);
  const unlike = new Map(bytes.map((piece) => [Buffer.from(piece).toString("latin1"), piece]));
  const found = [...unlike.values()].flatMap((piece): OpenedBy[] => search.search(piece));
  return { found, tried: search.tried };
}

function messagesIn(packets: readonly PassingPacket[]): SealedMessage[] {
  return packets.flatMap(({ bytes }) => {
    const { kind } = fromBinary(SecurePacketSchema, bytes);
    const parsed = kind.case === "message" ? parseMessage(kind.value) : undefined;
    return parsed === undefined ? [] : [parsed];
  });
}

test("[SEC-65] after the close nothing that is left opens what was recorded", async (t) => {
  const service = await EvilService.open();
  t.after(() => service.close());
  const tap = await Wiretap.open(service.port);
  t.after(() => tap.close());
  const ann = await openDevice(t, service, tap, "ann");
  const bob = await openDevice(t, service, tap, "bob");
  const chat = ann.device.messenger.secureChat(bob.address);
  await chat.settled();
  await bob.device.until("no chat", () => bob.device.messenger.chats.some(({ isOpen }) => isOpen));
  const [theirs] = bob.device.messenger.chats;
  assert.ok(theirs);
  const wait = async (annCount: number, bobCount: number) => {
    await ann.device.until("texts", () => ann.device.texts.length === annCount);
    await bob.device.until("texts", () => bob.device.texts.length === bobCount);
  };
  for (let round = 1; round <= 8; round += 1) {
    await chat.send(`ann ${round}`);
    await theirs.send(`bob ${round}`);
    await wait(round, round);
  }
  // Two are overtaken: their keys are kept until they come.
  const held: PassingPacket[] = [];
  service.packets = (packet) => {
    if (held.length === 2 || !sameDevice(packet.to, bob.address)) return packet;
    held.push(packet);
    return undefined;
  };
  for (const text of ["late 1", "late 2", "on time"]) await chat.send(text);
  await wait(8, 9);
  const before = remains([ann, bob], [chat, theirs]);
  const [late] = held;
  assert.ok(late);
  await service.inject(bob.address, late);
  // Not so many that Bob would have to answer, with new keys.
  await chat.send("one more");
  await wait(8, 11);
  await chat.close();
  await bob.device.until("closed", () => theirs.state === "closed");

  const messages = messagesIn(service.seen);
  const wire = Buffer.concat(tap.heard);
  for (const { bytes } of service.seen) assert.ok(wire.includes(Buffer.from(bytes)), "on the wire");
  const epochs = new Set(messages.map(({ header }) => header.epoch));
  assert.ok(epochs.size >= 3, `${epochs.size} epochs`);
  assert.equal(messages.length, 8 + 8 + 3 + 1 + 1);

  // The search finds what can be found: what was overtaken, and what came later.
  const control = openedBy(messages, before, tap.heard);
  const opened = new Set(control.found.map(({ message }) => message));
  const overtaken = held.map((packet) => messages.findIndex(isIn(packet)));
  assert.deepEqual(opened, new Set([...overtaken, messages.length - 2, messages.length - 1]));
  assert.deepEqual(new Set(control.found.map(({ as }) => as)), new Set(["MK", "CK"]));

  const after = remains([ann, bob], [chat, theirs]);
  const files = [...filesIn(service.folder), wire];
  const result = openedBy(messages, [...after, ...files], tap.heard);
  assert.deepEqual(result.found, []);
  assert.ok(result.tried > 10_000);
  t.diagnostic(
    `${messages.length} messages, ${control.tried} windows before, ${result.tried} after`,
  );
});

function isIn({ bytes }: PassingPacket) {
  return ({ tag }: SealedMessage) => Buffer.from(bytes).includes(Buffer.from(tag));
}
