import { join } from "node:path";
import { WebSocket } from "ws";
import { type Client, connect } from "../../client/client.ts";
import type { Dialer } from "../../client/dialer.ts";
import { longPoll } from "../../client/links/longpoll.ts";
import { sealed } from "../../client/links/sealed.ts";
import { type WebSocketConstructor, webSocket } from "../../client/links/websocket.ts";
import { fileJournal, nodeEnvelope, tcp } from "../../client/node.ts";
import { RefusedError } from "../../client/results.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { FaultProxy } from "../fault-proxy.ts";

/** Messages of one device under way at a time. */
const IN_FLIGHT_MAX = 64;

/** One device of the demo: a real client behind a proxy of its own. */
export class DemoDevice {
  readonly name: string;
  readonly userId: string;
  readonly peerId: string;
  readonly proxy: FaultProxy;
  readonly #client: Client;
  readonly #dialers: readonly Dialer[];
  #turn: number;
  /** What was accepted, in the order in which it was sent. */
  readonly accepted: string[] = [];
  /** What this device was shown: sender's device, text and conversation number. */
  readonly transcript: { readonly from: string; readonly text: string; readonly seq: number }[] =
    [];
  refusedCount = 0;

  private constructor(
    identity: { readonly name: string; readonly userId: string; readonly peerId: string },
    parts: { readonly proxy: FaultProxy; readonly client: Client; readonly turn: number },
    dialers: readonly Dialer[],
  ) {
    this.name = identity.name;
    this.userId = identity.userId;
    this.peerId = identity.peerId;
    this.proxy = parts.proxy;
    this.#client = parts.client;
    this.#turn = parts.turn;
    this.#dialers = dialers;
    void this.#read();
  }

  /** @param turn which transport it begins on: 0 TCP, 1 WebSocket, 2 long poll */
  static async start(options: {
    readonly name: string;
    readonly userId: string;
    readonly peerId: string;
    readonly serverPort: number;
    readonly folder: string;
    readonly turn: number;
    /** Whom links are sealed to; undefined: they are not. */
    readonly pin: Uint8Array | undefined;
  }): Promise<DemoDevice> {
    const proxy = new FaultProxy(options.serverPort);
    await proxy.listen();
    const { port } = proxy;
    const implementation = WebSocket as unknown as WebSocketConstructor;
    const clear = [
      tcp({ host: "127.0.0.1", port }),
      webSocket(`ws://127.0.0.1:${port}`, { implementation }),
      longPoll(`http://127.0.0.1:${port}`, { holdMs: 2_000 }),
    ];
    const envelope = options.pin && nodeEnvelope({ trust: [options.pin] });
    const dialers = envelope ? clear.map((dialer) => sealed(dialer, envelope)) : clear;
    const client = await connect({
      dialers: [dialers[options.turn] as Dialer],
      userId: options.userId,
      deviceId: options.name,
      journal: await fileJournal(join(options.folder, options.name)),
      backoff: { baseMs: 30, capMs: 400 },
      timers: { keepaliveMs: 1_000, idleMs: 3_000, ageMs: 0 },
      handshakeMs: 3_000,
      agent: "posthorn-demo",
    });
    return new DemoDevice(options, { proxy, client, turn: options.turn }, dialers);
  }

  get status() {
    return this.#client.status;
  }

  /** Resolves once the device is attached for the first time: its user then exists. */
  async attached(): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = () => {
        if (this.#client.status.state !== "open") return;
        stop();
        resolve();
      };
      const stop = this.#client.onStatus(look);
      look();
    });
  }

  /** Moves to another transport in the middle of things. */
  async moveLink(turn: number): Promise<void> {
    this.#turn = (this.#turn + turn) % this.#dialers.length;
    await this.#client.move([this.#dialers[this.#turn] as Dialer]);
  }

  /** Sends all texts, in order, several under way. */
  async sendAll(
    texts: readonly string[],
    pace: { mayStart(): Promise<void>; onDurable(): void },
  ): Promise<void> {
    const underWay = new Set<Promise<void>>();
    const slots: (string | undefined)[] = [];
    for (const [index, text] of texts.entries()) {
      await pace.mayStart();
      slots.push(undefined);
      const one = this.#sendOne(text)
        .then((accepted) => {
          if (accepted) slots[index] = text;
          pace.onDurable();
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
      if (underWay.size >= IN_FLIGHT_MAX) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    this.accepted.push(...slots.filter((text) => text !== undefined));
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.proxy.close();
  }

  async #sendOne(text: string): Promise<boolean> {
    try {
      await this.#client.send(this.peerId, text);
      return true;
    } catch (error) {
      // An empty message is refused, always and only.
      const empty = error instanceof RefusedError && error.code === ErrorCode.MESSAGE_EMPTY;
      if (!empty || text !== "") throw error;
      this.refusedCount += 1;
      return false;
    }
  }

  async #read(): Promise<void> {
    for await (const event of this.#client.events()) {
      // A second device of a user is told of. [DEV-13]
      if (event.kind === "device") continue;
      if (event.kind !== "message") throw new Error(`${this.name} was shown ${event.kind}`);
      const { senderUserId, senderDeviceId, content, conversationSeq } = event;
      const from = `${senderUserId}/${senderDeviceId}`;
      this.transcript.push({ from, text: String(content), seq: conversationSeq });
    }
  }
}
