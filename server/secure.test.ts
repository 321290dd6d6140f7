import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, connect } from "../client/client.ts";
import type { ClientEvent } from "../client/events.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { RefusedError } from "../client/results.ts";
import { signerOf } from "../fuzz/secure/devices.ts";
import { KeyDirectoryService } from "../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
import { SecurePacketSchema } from "../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { encodeFrame } from "../protocol/frames.ts";
import { certify } from "../protocol/secure/identity.ts";
import { configFrom } from "./config.ts";
import type { Log } from "./observe.ts";
import { createServer, type PosthornServer } from "./server.ts";
import { attachRaw, rawPeer } from "./testdata/raw-peer.ts";

const LIST = KeyDirectoryService.method.listDevices;
const MARKER = "PACKET-MARKER-";
const KEY_BYTES = 32;

let folder = "";
let server: PosthornServer;
const logged: string[] = [];
const note = (...said: readonly unknown[]) => void logged.push(JSON.stringify(said));
const LOG: Log = { debug: note, info: note, warn: note, error: note };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-secure-"));
  const file = { port: 0, data: folder, longPoll: { coalesceMs: 0 } };
  server = await createServer(configFrom({ file }), LOG);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

/** A device of a user with an account key of its own. */
class Device {
  readonly client: Client;
  readonly #userId: string;
  readonly #deviceId: string;
  readonly #events: AsyncIterableIterator<ClientEvent>;

  static async attach(userId: string, deviceId: string, scheme = "tcp"): Promise<Device> {
    const dialers = dialersOf(`${scheme}://127.0.0.1:${server.address.port}`);
    const options = { dialers, userId, deviceId, journal: memoryJournal(), upgradeMs: 0 };
    return new Device(await connect(options), userId, deviceId);
  }

  private constructor(client: Client, userId: string, deviceId: string) {
    this.client = client;
    this.#userId = userId;
    this.#deviceId = deviceId;
    this.#events = client.events();
  }

  async submit(kind: OperationKind): Promise<ErrorCode> {
    const operation = toBinary(OperationSchema, create(OperationSchema, { kind }));
    try {
      const { conversationSeq } = await this.client.submit(operation);
      assert.equal(conversationSeq, 0, "in no conversation");
      return ErrorCode.UNSPECIFIED;
    } catch (error) {
      if (error instanceof RefusedError) return error.code;
      throw error;
    }
  }

  async publish(): Promise<ErrorCode> {
    const userId = this.#userId;
    const { revision } = await this.client.call(LIST, { userId });
    const account = signerOf(userId);
    const device = { userId, deviceId: this.#deviceId, keys: signerOf("device").keys };
    const dates = { createdMs: Date.now(), expiresMs: 0 };
    const certificate = certify(NATIVE_CRYPTO, account, { device, ...dates });
    const value = { revision, accountKey: account.keys, certificate };
    return await this.submit({ case: "publishDevice", value });
  }

  send(toUserId: string, toDeviceId: string, text: string, ttlS = 60): Promise<ErrorCode> {
    const kind = { case: "message" as const, value: Buffer.from(text) };
    const packet = toBinary(SecurePacketSchema, create(SecurePacketSchema, { kind }));
    const value = { toUserId, toDeviceId, packet, ttlS };
    return this.submit({ case: "sendPacket", value });
  }

  /** The next event, but that a device is new; the one before it counts as handled. */
  async next(): Promise<ClientEvent> {
    for (;;) {
      const event = (await this.#events.next()).value as ClientEvent;
      if (event.kind !== "device") return event;
    }
  }

  /** The next packet's text; empty: without its packet. */
  async packetText(): Promise<string> {
    const event = await this.next();
    assert.equal(event.kind, "packet");
    const { packet } = event as ClientEvent & { readonly kind: "packet" };
    return packet === undefined ? "" : Buffer.from(packet).toString();
  }

  async acknowledges(): Promise<void> {
    void this.#events.next();
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** Keys of packets that the service can still read. */
function keysOnDisk(): number {
  const file = readFileSync(join(folder, "perishable-keys")).subarray(KEY_BYTES);
  let count = 0;
  for (let at = 0; at < file.length; at += KEY_BYTES) {
    if (file.subarray(at, at + KEY_BYTES).some((byte) => byte !== 0)) count += 1;
  }
  return count;
}

function filesWith(text: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const paths = names.filter((name) => statSync(join(folder, name)).isFile());
  return paths.filter((name) => readFileSync(join(folder, name)).includes(text));
}

/** How long a condition takes to come true, milliseconds. */
async function until(holds: () => boolean): Promise<number> {
  const startedMs = performance.now();
  while (!holds()) {
    assert.ok(performance.now() < startedMs + 10_000, "never");
    await setTimeout(10);
  }
  return performance.now() - startedMs;
}

describe("a service of secure chats", () => {
  for (const scheme of ["tcp", "ws", "http"]) {
    test(`[SEC-81] [RPC-5] [RPC-8] devices ask for directories over ${scheme}`, async () => {
      const userId = `carol-${scheme}`;
      const phone = await Device.attach(userId, "phone", scheme);
      const empty = await phone.client.call(LIST, { userId });
      assert.deepEqual([empty.revision, empty.accountKey, empty.devices], [0n, undefined, []]);
      assert.equal(await phone.publish(), ErrorCode.UNSPECIFIED);
      const asked = Array.from({ length: 40 }, () => phone.client.call(LIST, { userId }));
      for (const { revision, accountKey, devices } of await Promise.all(asked)) {
        assert.deepEqual([revision, devices.length], [1n, 1]);
        assert.deepEqual(accountKey?.ed25519, signerOf(userId).keys.ed25519);
      }
      const invalid = phone.client.call(LIST, { userId: "no user" });
      const isCode = (error: unknown) =>
        error instanceof RefusedError && error.code === ErrorCode.USER_ID_INVALID;
      await assert.rejects(invalid, isCode);
      await phone.close();
    });
  }

  test("[RPC-4] what is not served or no request is refused, and the link goes on", async () => {
    const peer = await rawPeer("tcp", server.address.port);
    await attachRaw(peer, { deviceId: "rpc" });
    const name = "posthorn.v1.KeyDirectoryService/ListDevices";
    const calls = [
      ["posthorn.v1.KeyDirectoryService/Nothing", Uint8Array.of()],
      ["x".repeat(129), Uint8Array.of()],
      ["", Uint8Array.of()],
      [name, Uint8Array.of(0x0a, 0x05)],
      [name, Uint8Array.of(0x0a, 0x01, 0x62)],
    ] as const;
    const codes: number[] = [];
    for (const [index, [method, request]] of calls.entries()) {
      await peer.send(encodeFrame({ kind: "call", value: { id: index + 1, method, request } }));
      const reply = await peer.until("reply");
      assert.ok(reply?.kind === "reply" && reply.value.id === index + 1);
      codes.push(reply.value.code);
    }
    const unknown = ErrorCode.METHOD_UNKNOWN;
    const { CALL_MALFORMED, UNSPECIFIED } = ErrorCode;
    assert.deepEqual(codes, [unknown, unknown, unknown, CALL_MALFORMED, UNSPECIFIED]);
    peer.close();
  });

  test("[SEC-86] [SEC-87] [SEC-89] a packet comes to its device, and a change to both", async () => {
    const [phone, laptop, desk] = await Promise.all([
      Device.attach("alice", "phone"),
      Device.attach("bob", "laptop"),
      Device.attach("bob", "desk"),
    ]);
    assert.equal(await phone.send("bob", "laptop", "x"), ErrorCode.DEVICE_UNKNOWN);
    assert.equal(await laptop.publish(), ErrorCode.UNSPECIFIED);
    assert.equal(await phone.send("bob", "laptop", `${MARKER}one`), ErrorCode.UNSPECIFIED);
    for (const device of [laptop, desk]) assert.equal((await device.next()).kind, "directory");
    assert.match(await laptop.packetText(), /PACKET-MARKER-one/);
    assert.equal(await desk.packetText(), "");
    assert.equal(await phone.publish(), ErrorCode.UNSPECIFIED);
    assert.equal((await phone.next()).kind, "directory");
    assert.equal(await laptop.send("alice", "phone", "back"), ErrorCode.UNSPECIFIED);
    assert.match(await phone.packetText(), /back/);
    assert.equal(await desk.publish(), ErrorCode.UNSPECIFIED);
    for (const device of [phone, laptop, desk]) {
      const event = await device.next();
      assert.deepEqual(
        [event.kind, event.kind === "directory" && [event.userId, event.revision]],
        ["directory", ["bob", 2]],
      );
    }
    await Promise.all([phone, laptop, desk].map((device) => device.close()));
  });

  test("[SEC-93] [SEC-94] [SEC-95] what was read or expired is erased on a quiet service", async () => {
    const phone = await Device.attach("dora", "phone");
    const laptop = await Device.attach("emil", "laptop");
    assert.equal(await laptop.publish(), ErrorCode.UNSPECIFIED);
    await until(() => keysOnDisk() === 0);
    assert.equal((await laptop.next()).kind, "directory");
    assert.equal(await phone.send("emil", "laptop", `${MARKER}two`), ErrorCode.UNSPECIFIED);
    assert.equal(keysOnDisk(), 1);
    assert.match(await laptop.packetText(), /PACKET-MARKER-two/);
    await laptop.acknowledges();
    // The device may wait 200 ms before it says so. [SEQ-12]
    assert.ok((await until(() => keysOnDisk() === 0)) < 1_500, "soon");
    await laptop.close();
    assert.equal(await phone.send("emil", "laptop", `${MARKER}three`, 1), ErrorCode.UNSPECIFIED);
    assert.equal(keysOnDisk(), 1);
    assert.ok((await until(() => keysOnDisk() === 0)) < 2_500, "soon after it expired");
    const again = await Device.attach("emil", "laptop");
    const kinds = [await again.next(), await again.next(), await again.next()];
    assert.deepEqual(
      kinds.map((event) => event.kind === "packet" && event.packet),
      [false, undefined, undefined],
    );
    assert.deepEqual(filesWith(MARKER), []);
    assert.ok(!logged.join("").includes(MARKER) && logged.length > 0);
    await Promise.all([phone, again].map((device) => device.close()));
  });

  test("[SEC-90] [SEC-92] queues are bounded, and a revoked device's packets go", async () => {
    const phone = await Device.attach("fred", "phone");
    const laptop = await Device.attach("gina", "laptop");
    assert.equal(await laptop.publish(), ErrorCode.UNSPECIFIED);
    await laptop.close();
    const sent = Array.from({ length: 70 }, (_, index) => phone.send("gina", "laptop", `${index}`));
    const codes = await Promise.all(sent);
    assert.equal(codes.filter((code) => code === ErrorCode.UNSPECIFIED).length, 64);
    assert.equal(codes.filter((code) => code === ErrorCode.PACKET_QUEUE_FULL).length, 6);
    const other = await Device.attach("gina", "other");
    const value = { revision: 1n, deviceId: "laptop" };
    assert.equal(await other.submit({ case: "revokeDevice", value }), ErrorCode.UNSPECIFIED);
    assert.ok((await until(() => keysOnDisk() === 0)) < 1_500, "soon");
    assert.equal(await phone.send("gina", "laptop", "x"), ErrorCode.DEVICE_UNKNOWN);
    await Promise.all([phone, other].map((device) => device.close()));
  });
});
