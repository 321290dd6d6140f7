import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Dialer } from "../client/dialer.ts";
import { dialersOf } from "../client/node.ts";
import { ConversationKind, MemberRole } from "../gen/posthorn/v1/conversation_pb.ts";
import {
  ListMessagesRequestSchema,
  ListMessagesResponseSchema,
} from "../gen/posthorn/v1/history_pb.ts";
import { madeConversationId } from "../protocol/conversation-id.ts";
import { sha256 } from "../protocol/sha256.ts";
import type { JobOptions } from "./job.ts";
import { wait } from "./limits.ts";
import { LoadDevice, operationIn, operationOf } from "./load.ts";
import { NodeProcess } from "./node-process.ts";

const SIZES = [10, 100, 1_000, 10_000] as const;
/** Messages that no member has all of yet. */
const WINDOW = 16;
/** Members that one operation adds. */
const ADDED_AT_ONCE = 1_000;
const PAGE_COUNT = 200;
const LIST_MESSAGES = "posthorn.v1.HistoryService/ListMessages";
const USER_PREFIX = "member";

/** How members get a message: each in its own timeline, or from the log after a hint. */
type FanOut = "timelines" | "log";

/**
 * One sender, and so many members, all of them attached: what reaches them, on both sides of the
 * threshold, and what it costs the service.
 */
export async function groups({ measureMs, report }: JobOptions): Promise<void> {
  for (const size of SIZES) {
    for (const fanOut of ["timelines", "log"] as const) {
      const { perSecond, cpuMicros } = await deliveries(size, fanOut, measureMs);
      const name = `group of ${size}, ${fanOut === "log" ? "read from the log" : "timelines"}`;
      report({ name, value: perSecond, unit: "deliveries/s" });
      report({ name: `${name}, service`, value: cpuMicros, unit: "us of CPU a delivery" });
    }
  }
}

async function deliveries(size: number, fanOut: FanOut, measureMs: number) {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-bench-"));
  const main = join(import.meta.dirname, "..", "cli", "main.ts");
  const threshold = fanOut === "log" ? "1" : "50000";
  const limits = ["--conversations-fan-out-members-max", threshold];
  limits.push("--conversations-members-max", "50000");
  const flags = ["--port", "0", "--data", join(folder, "data"), "--log-level", "error", ...limits];
  const server = await NodeProcess.start([main, "serve", ...flags], /tcp:\/\/127\.0\.0\.1:(\d+)/);
  try {
    const dialer = dialersOf(`tcp://127.0.0.1:${server.port}`)[0] as Dialer;
    const members = Array.from({ length: size }, (_, index) => new LoadDevice(nameOf(index), "d"));
    for (let at = 0; at < size; at += 200) {
      await Promise.all(members.slice(at, at + 200).map((member) => member.attach(dialer)));
    }
    const conversationId = await makeGroup(members);
    const group = new Group(members, conversationId, fanOut);
    group.start();
    await wait(1_000);
    const before = { count: group.deliveredCount, cpuMs: server.cpuMs };
    await wait(measureMs);
    const count = group.deliveredCount - before.count;
    const cpuMicros = ((server.cpuMs - before.cpuMs) * 1000) / count;
    for (const member of members) member.close();
    return { perSecond: (count * 1000) / measureMs, cpuMicros };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}

function nameOf(index: number): string {
  return `${USER_PREFIX}${index}`;
}

async function makeGroup(members: readonly LoadDevice[]): Promise<string> {
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
class Group {
  readonly #members: readonly LoadDevice[];
  readonly #conversationId: string;
  readonly #fanOut: FanOut;
  /** How many members have so many messages. */
  readonly #having = new Map<number, number>();
  deliveredCount = 0;

  constructor(members: readonly LoadDevice[], conversationId: string, fanOut: FanOut) {
    this.#members = members;
    this.#conversationId = conversationId;
    this.#fanOut = fanOut;
  }

  start(): void {
    for (const [index, member] of this.#members.entries()) {
      member.onSettled = () => {};
      // The sender has what it sends in its timeline, whatever the size of the group.
      if (this.#fanOut === "timelines" || index === 0) this.#takes(member);
      else this.#reads(member);
    }
    const [sender] = this.#members as [LoadDevice];
    for (let count = 0; count < WINDOW; count += 1) this.#send(sender);
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
