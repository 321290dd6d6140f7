import { join } from "node:path";
import { WebSocket } from "ws";
import { type Client, connect } from "../../client/client.ts";
import { type Conversations, conversationsOf } from "../../client/conversations/conversations.ts";
import type { Dialer } from "../../client/dialer.ts";
import type { ClientEvent } from "../../client/events.ts";
import { longPoll } from "../../client/links/longpoll.ts";
import { sealed } from "../../client/links/sealed.ts";
import { type WebSocketConstructor, webSocket } from "../../client/links/websocket.ts";
import { fileJournal, nodeEnvelope, tcp } from "../../client/node.ts";
import { RefusedError, SessionError } from "../../client/results.ts";

/** What a device was delivered, in the order in which it was. */
export interface Delivered {
  /** In the timeline. */
  readonly seq: number;
  readonly conversationId: string;
  readonly conversationSeq: number;
  /** Undefined: recalled. */
  readonly text: string | undefined;
  readonly editCount: number;
  readonly mentioned: readonly string[];
}

export interface MemberOptions {
  readonly userId: string;
  readonly deviceId: string;
  readonly serverPort: number;
  readonly folder: string;
  /** Which transport it begins on: 0 TCP, 1 WebSocket, 2 long poll. */
  readonly turn: number;
  /** Whom links are sealed to; undefined: they are not. */
  readonly pin: Uint8Array | undefined;
}

/** One device of a user: it goes away and comes back, and what it was delivered stays with it. */
export class GroupMember {
  readonly userId: string;
  readonly delivered: Delivered[] = [];
  readonly #options: MemberOptions;
  #turn: number;
  #client: Client | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: MemberOptions) {
    this.#options = options;
    this.userId = options.userId;
    this.#turn = options.turn;
  }

  get isHere(): boolean {
    return this.#client !== undefined;
  }

  /** Attaches, as a process that begins would: with nothing but its journal. */
  async comes(): Promise<void> {
    const { userId, deviceId, folder } = this.#options;
    const client = await connect({
      dialers: [this.#dialer()],
      userId,
      deviceId,
      journal: await fileJournal(join(folder, `${userId}-${deviceId}`)),
      backoff: { baseMs: 30, capMs: 400 },
      timers: { keepaliveMs: 5_000, idleMs: 15_000, ageMs: 0 },
      handshakeMs: 10_000,
      agent: "posthorn-demo",
    });
    this.#client = client;
    this.#reading = this.#read(client);
    await new Promise<void>((resolve) => {
      const look = () => {
        if (client.status.state !== "open" && client === this.#client) return;
        stop();
        resolve();
      };
      const stop = client.onStatus(look);
      look();
    });
  }

  /** In the middle of whatever it does. What it has submitted goes on when it comes back. */
  async goes(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
    await this.#reading;
  }

  /** Comes back over the next transport. */
  async comesBack(): Promise<void> {
    this.#turn += 1;
    await this.comes();
  }

  /**
   * Does something, also when it goes away meanwhile: it is in its journal.
   *
   * @returns the code with which it was refused
   */
  async does(action: (conversations: Conversations) => Promise<unknown>) {
    while (this.#client === undefined) await turn();
    try {
      await action(conversationsOf(this.#client));
      return undefined;
    } catch (error) {
      if (error instanceof RefusedError) return error.code;
      if (error instanceof SessionError) return undefined;
      throw error;
    }
  }

  async #read(client: Client): Promise<void> {
    for await (const event of client.events()) this.#take(event);
  }

  #take(event: ClientEvent): void {
    if (event.kind !== "message" && event.kind !== "recalled") return;
    const { seq, conversationId, conversationSeq } = event;
    const said = event.kind === "message" ? event : undefined;
    this.delivered.push({
      seq,
      conversationId,
      conversationSeq,
      text: said && String(said.content),
      editCount: said?.editCount ?? 0,
      mentioned: said?.mentions?.userIds ?? [],
    });
  }

  #dialer(): Dialer {
    const { serverPort: port, pin } = this.#options;
    const implementation = WebSocket as unknown as WebSocketConstructor;
    const ways = [
      tcp({ host: "127.0.0.1", port }),
      webSocket(`ws://127.0.0.1:${port}`, { implementation }),
      longPoll(`http://127.0.0.1:${port}`, { holdMs: 2_000 }),
    ];
    const way = ways[this.#turn % ways.length] as Dialer;
    return pin === undefined ? way : sealed(way, nodeEnvelope({ trust: [pin] }));
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
