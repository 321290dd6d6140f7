import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConversationKind, MemberRole } from "../gen/posthorn/v1/conversation_pb.ts";
import {
  ListMessagesRequestSchema,
  ListMessagesResponseSchema,
} from "../gen/posthorn/v1/history_pb.ts";
import { madeConversationId } from "../protocol/conversation-id.ts";
import { sha256 } from "../protocol/sha256.ts";
import { type LoadDevice, operationIn, operationOf } from "./load.ts";

/** Members that one operation adds. */
const ADDED_AT_ONCE = 1_000;
const PAGE_COUNT = 200;
const LIST_MESSAGES = "posthorn.v1.HistoryService/ListMessages";

export interface LoadGroupOptions {
  /** How members get a message: each in its own timeline, or from the log after a hint. */
  readonly fanOut: "timelines" | "log";
  /** Messages that no member has all of yet. */
  readonly window: number;
}

/** Makes a group of all devices' users; the first is its owner. */
export async function makeGroup(members: readonly LoadDevice[]): Promise<string> {
  const [owner] = members as [LoadDevice];
  const nonce = new Uint8Array(16);
  const conversationId = madeConversationId(sha256, owner.userId, nonce) as string;
  const settings = { title: "a group" };
  const made = { nonce, kind: ConversationKind.GROUP, settings, members: [] };
  owner.submit(operationOf({ case: "createConversation", value: made }));
  let operationCount = 1;
  for (let at = 1; at < members.length; at += ADDED_AT_ONCE) {
    const set = members.slice(at, at + ADDED_AT_ONCE).map(({ userId }) => ({
      userId,
      role: MemberRole.MEMBER,
    }));
    owner.submit(operationOf({ case: "changeMembers", value: { conversationId, set } }));
    operationCount += 1;
  }
  await new Promise<void>((resolve) => {
    owner.onSettled = (count) => {
      operationCount -= count;
      if (operationCount === 0) resolve();
    };
    owner.pump();
  });
  return conversationId;
}

/** The members of one group, at work. The slowest of them sets the pace. */
export class LoadGroup {
  readonly #members: readonly LoadDevice[];
  readonly #conversationId: string;
  readonly #options: LoadGroupOptions;
  /** How many members have so many messages. */
  readonly #having = new Map<number, number>();
  deliveredCount = 0;

  constructor(members: readonly LoadDevice[], conversationId: string, options: LoadGroupOptions) {
    this.#members = members;
    this.#conversationId = conversationId;
    this.#options = options;
  }

  start(): void {
    for (const [index, member] of this.#members.entries()) {
      member.onSettled = () => {};
      // The sender has what it sends in its timeline, whatever the size of the group.
      if (this.#options.fanOut === "timelines" || index === 0) this.#takes(member);
      else this.#reads(member);
    }
    const [sender] = this.#members as [LoadDevice];
    for (let count = 0; count < this.#options.window; count += 1) this.#send(sender);
    sender.pump();
  }

  #takes(member: LoadDevice): void {
    let count = 0;
    member.onDelivered = (event) => {
      // Field 1 of Event: a message, and not that somebody came in.
      if (event[0] !== 0x0a) return;
      count += 1;
      this.#has(count);
    };
  }

  /** Reads on whenever it is told that there is more, a page at a time. */
  #reads(member: LoadDevice): void {
    let [through, head, isAsking] = [0, 0, false];
    const ask = () => {
      if (isAsking || through >= head) return;
      isAsking = true;
      const position = { case: "after" as const, value: BigInt(through) };
      const request = create(ListMessagesRequestSchema, {
        conversationId: this.#conversationId,
        position,
        countMax: PAGE_COUNT,
      });
      member.call(LIST_MESSAGES, toBinary(ListMessagesRequestSchema, request));
    };
    member.onAnswered = (response) => {
      const { entries } = fromBinary(ListMessagesResponseSchema, response);
      isAsking = false;
      for (const { conversationSeq } of entries) {
        through = Number(conversationSeq);
        this.#has(through);
      }
      ask();
    };
    member.onHead = (told) => {
      head = Math.max(head, told);
      ask();
    };
  }

  #has(count: number): void {
    this.deliveredCount += 1;
    const having = (this.#having.get(count) ?? 0) + 1;
    this.#having.set(count, having);
    if (having < this.#members.length) return;
    this.#having.delete(count);
    const [sender] = this.#members as [LoadDevice];
    this.#send(sender);
    sender.pump();
  }

  #send(sender: LoadDevice): void {
    sender.submit(operationIn(this.#conversationId));
  }
}
