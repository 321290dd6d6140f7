import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { Dialer } from "../../client/dialer.ts";
import { sealed } from "../../client/links/sealed.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import { EnvelopeAlertSchema } from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import {
  CLIENT_RANDOMNESS_BYTES,
  ClientEnvelope,
  type ClientEnvelopeEffect,
} from "../../protocol/envelope/client.ts";
import { SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { WEBSOCKET_PATH, WEBSOCKET_SUBPROTOCOL } from "../../protocol/limits.ts";
import type { DialledLink } from "../../protocol/link.ts";
import { decodePlain } from "../../protocol/plain.ts";
import { configFrom } from "../config.ts";
import type { Log } from "../observe.ts";
import { createServer, type PosthornServer } from "../server.ts";
import { helloBytes } from "../testdata/raw-peer.ts";
import { openIdentities } from "./identity-file.ts";

const HEADER_BYTES = 16;
/** The second one begins as a sealed link does; the third would make a large array by itself. */
const TEXTS = ["hello", "\u0001\u0001\u0000", "67108864", "9007199254740991", ""];

/** A device's half, and a real socket under it. */
class Device {
  readonly socket: WebSocket;
  readonly machine: ClientEnvelope;
  readonly came: Buffer[] = [];
  readonly ends: ClientEnvelopeEffect[] = [];
  isEstablished = false;
  status: number | undefined;

  constructor(port: number) {
    const url = `ws://127.0.0.1:${port}${WEBSOCKET_PATH}`;
    this.socket = new WebSocket(url, WEBSOCKET_SUBPROTOCOL, { perMessageDeflate: false });
    const randomness = Buffer.alloc(CLIENT_RANDOMNESS_BYTES, 7);
    const options = {
      suites: [SUITE_XWING_AES256],
      expects: { kind: "none" },
      randomness,
    } as const;
    this.machine = new ClientEnvelope(NATIVE_CRYPTO, options, 0);
    this.socket.on("message", (data: RawData) => {
      this.came.push(data as Buffer);
      this.machine.received(Uint8Array.from(data as Buffer), 0);
    });
    this.socket.on("close", (status) => {
      this.status = status;
    });
  }

  /** What the machine has to say now, as binary messages. */
  say(): void {
    for (const effect of this.machine.effects()) {
      if (effect.kind === "write") this.socket.send(effect.bytes);
      if (effect.kind === "established") this.isEstablished = true;
      if (effect.kind === "close") this.ends.push(effect);
    }
  }

  /** The hello alone. */
  async hello(): Promise<void> {
    await once(this.socket, "open");
    this.say();
  }

  async establish(): Promise<void> {
    await this.hello();
    await once(this.socket, "message");
    this.say();
    assert.equal(this.isEstablished, true);
  }

  /** Types of the records that came, or none when they are frames. */
  get types(): number[] {
    const all = Buffer.concat(this.came);
    const found: number[] = [];
    for (let at = 0; at < all.length; at += HEADER_BYTES + all.readUInt32BE(at + 12)) {
      found.push(all[at] as number);
    }
    return found;
  }
}

describe("[ENV-59] a text to a service", () => {
  const codes: string[] = [];
  let told: () => void = () => {};
  const ignore = () => {};
  const log: Log = {
    debug: ignore,
    info: (at, data) => {
      if (at !== "link.closed" && at !== "session.closed") return;
      codes.push((data as { code: string }).code);
      told();
    },
    warn: ignore,
    error: ignore,
  };
  let folder = "";
  let server: PosthornServer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "posthorn-text-"));
    server = await createServer(
      configFrom({ file: { port: 0, data: folder, envelope: "required" } }),
      log,
    );
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Until the transport is closed and the service has said why. */
  async function ended({ socket }: Device): Promise<string[]> {
    const logged = new Promise<void>((resolve) => {
      told = resolve;
    });
    if (socket.readyState !== WebSocket.CLOSED) await once(socket, "close");
    if (codes.length === 0) await logged;
    return codes.splice(0);
  }

  for (const text of TEXTS) {
    const name = JSON.stringify(text);
    test(`[LNK-5] before anything else: ${name} ends the link as a clear one`, async () => {
      const device = new Device(server.address.port);
      await once(device.socket, "open");
      device.socket.send(text);
      assert.deepEqual(await ended(device), ["FRAME_MALFORMED"]);
      assert.equal(device.status, 4000 + ErrorCode.FRAME_MALFORMED);
      const detail = "a text message";
      const value = { code: ErrorCode.FRAME_MALFORMED, detail, requirement: "LNK-5" };
      assert.deepEqual(
        Buffer.concat(device.came),
        Buffer.from(encodeFrame({ kind: "close", value })),
      );
    });

    test(`[ENV-20] between the hellos: ${name} is a fault of the handshake`, async () => {
      const device = new Device(server.address.port);
      await device.hello();
      device.socket.send(text);
      assert.deepEqual(await ended(device), ["ENVELOPE_MALFORMED"]);
      assert.equal(device.status, 1000, "nor does the transport say why [ENV-49]");
      // The hello had been answered before: ServerHello, then the alert.
      assert.deepEqual(device.types, [2, 5]);
      const alert = decodePlain(EnvelopeAlertSchema, Buffer.concat(device.came).subarray(-2));
      assert.deepEqual(alert, { code: 40 });
    });

    test(`[ENV-50] among sealed records: ${name} is answered by a sealed alert`, async () => {
      const device = new Device(server.address.port);
      await device.establish();
      device.socket.send(text);
      assert.deepEqual(await ended(device), ["ENVELOPE_MALFORMED"]);
      assert.equal(device.status, 1000, "nor does the transport say why [ENV-49]");
      device.say();
      assert.deepEqual(device.types, [2, 4]);
      const [end] = device.ends;
      assert.ok(end?.kind === "close" && end.by === "peer");
      assert.equal(end.because.code, ErrorCode.ENVELOPE_RECORD_REFUSED);
    });
  }

  test("[ENV-48] what follows a text is not read, sealed or clear", async () => {
    const device = new Device(server.address.port);
    await once(device.socket, "open");
    device.socket.send("\u0001");
    device.say();
    device.socket.send(helloBytes());
    assert.deepEqual(await ended(device), ["FRAME_MALFORMED"]);
    assert.equal(device.came.length, 1);
  });
});

/** Passes everything on between a device and the service, and says a text when it is asked to. */
class TextingRelay {
  /** After so many messages of the service to the device; -1: as the link opens. */
  textAfter = 0;
  text = "";
  /** Begins a message that never ends before the text. */
  isAbsorbing = false;
  readonly #server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  /** What devices sent, after the text. */
  readonly after: Buffer[] = [];

  async open(servicePort: number): Promise<void> {
    this.#server.on("connection", (device) => this.#connect(device, servicePort));
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(device: WebSocket, servicePort: number): void {
    const url = `ws://127.0.0.1:${servicePort}${WEBSOCKET_PATH}`;
    const service = new WebSocket(url, WEBSOCKET_SUBPROTOCOL, { perMessageDeflate: false });
    const opened = once(service, "open");
    let isSaid = false;
    let count = 0;
    const sayText = () => {
      isSaid = true;
      // A header that announces more than ever comes.
      if (this.isAbsorbing) device.send(Buffer.from(`04010001${"0".repeat(16)}00000100`, "hex"));
      device.send(this.text);
    };
    device.on("message", (data) => {
      if (isSaid) this.after.push(data as Buffer);
      void opened.then(() => service.send(data as Buffer));
    });
    service.on("message", (data) => {
      if (isSaid) return;
      if (count === this.textAfter) sayText();
      else device.send(data as Buffer);
      count += 1;
    });
    device.on(
      "close",
      () =>
        void opened.then(
          () => service.close(),
          () => {},
        ),
    );
    service.on("close", () => device.close());
    service.on("error", () => {});
    if (this.textAfter < 0) sayText();
  }
}

describe("[ENV-59] a text to a device", () => {
  let folder = "";
  let server: PosthornServer;
  let relay: TextingRelay;
  const ignore = () => {};
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "posthorn-text-"));
    const file = { port: 0, data: folder, envelope: "allowed" };
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
    server = await createServer(configFrom({ file }), log);
    relay = new TextingRelay();
    await relay.open(server.address.port);
  });
  after(async () => {
    await relay.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const clearWay = () => dialersOf(`ws://127.0.0.1:${relay.port}`)[0] as Dialer;
  const sealedWay = () =>
    sealed(clearWay(), nodeEnvelope({ trust: [openIdentities(folder).present.serverId] }));
  const dial = (way: Dialer) => way.dial(new AbortController().signal);

  interface Life {
    readonly frames: Uint8Array[];
    readonly code: ErrorCode;
  }

  /** What a link says of itself until its end. */
  function lifeOf(link: DialledLink, first: Uint8Array): Promise<Life> {
    const frames: Uint8Array[] = [];
    return new Promise((resolve) => {
      link.start({
        received: (bytes) => void frames.push(bytes),
        drained: ignore,
        closed: (code) => resolve({ frames, code }),
      });
      link.write(first);
    });
  }

  for (const text of TEXTS) {
    const name = JSON.stringify(text);
    for (const [when, textAfter] of [
      ["as the link opens", -1],
      ["in place of ServerHello", 0],
    ] as const) {
      test(`[ENV-20] ${when}: ${name} is a fault of the handshake`, async () => {
        Object.assign(relay, { text, textAfter, isAbsorbing: false });
        relay.after.length = 0;
        await assert.rejects(dial(sealedWay()), { code: ErrorCode.ENVELOPE_MALFORMED });
      });
    }

    test(`[ENV-50] among sealed records: ${name} is answered by a sealed alert`, async () => {
      Object.assign(relay, { text, textAfter: 1, isAbsorbing: false });
      relay.after.length = 0;
      const link = await dial(sealedWay());
      const { frames, code } = await lifeOf(link, helloBytes());
      assert.deepEqual([frames.length, code], [0, ErrorCode.ENVELOPE_MALFORMED]);
      const [alert] = relay.after;
      assert.deepEqual([alert?.[0], alert?.length], [4, HEADER_BYTES + 80]);
    });

    test(`[ENV-51] inside a record: ${name} ends the link, which is truncated`, async () => {
      Object.assign(relay, { text, textAfter: 1, isAbsorbing: true });
      const link = await dial(sealedWay());
      const { frames, code } = await lifeOf(link, helloBytes());
      assert.deepEqual([frames.length, code], [0, ErrorCode.ENVELOPE_TRUNCATED]);
    });

    test(`[LNK-5] on a clear link: ${name} is no frame`, async () => {
      Object.assign(relay, { text, textAfter: 0, isAbsorbing: false });
      const link = await dial(clearWay());
      const { frames, code } = await lifeOf(link, helloBytes());
      // The reader of frames is given one of one byte, which there is not; this one takes anything.
      assert.deepEqual(
        frames.map(({ length }) => length),
        [HEADER_BYTES],
      );
      assert.equal(code, ErrorCode.FRAME_MALFORMED);
    });
  }
});
