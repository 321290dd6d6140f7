import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { BucketTable } from "../../protocol/bucket-table.ts";
import { dailyRule, type Rate, ruleOf } from "../../protocol/token-bucket.ts";
import { userRefOf } from "../store/store.ts";
import type { DecodedOperation, KnownOperation, Sender } from "./plan.ts";

/** How much one user may do, with all of its devices together. */
export interface OperationRates {
  readonly operations: Rate;
  /** 0: as many as it likes. */
  readonly messagesPerDay: number;
  readonly conversationsPerDay: number;
}

export type OperationRefusal = "operations" | "messages" | "conversations" | "endings";

type OperationCase = KnownOperation["case"];

/** What an operation costs that is read, or told, by more than one message is. [LIM-4] */
const COSTS: ReadonlyMap<OperationCase, number> = new Map<OperationCase, number>([
  ["createConversation", 10],
  ["changeMembers", 5],
  ["joinConversation", 5],
  ["leaveConversation", 5],
  ["changeConversation", 5],
  ["changeContacts", 5],
  ["changeBlocks", 5],
  ["changeProfile", 10],
  ["publishDevice", 10],
]);
/** What counts as a message, or takes as much room as one. [LIM-5] */
const MESSAGES: ReadonlySet<OperationCase> = new Set<OperationCase>([
  "sendDirect",
  "sendMessage",
  "editMessage",
  "sendPacket",
]);
/** By what a user gets rid of a device, which must not be able to prevent that. [LIM-6] */
const ENDINGS: ReadonlySet<OperationCase> = new Set<OperationCase>(["endDevice", "revokeDevice"]);
const ENDING_RATE: Rate = { atOnce: 100, perSecond: 1 };
/** So many bytes of an operation are one more of its kind. [LIM-4] */
const WEIGHT_BYTES = 16 * 1024;
/** Users of whom something is known, by each bucket. [LIM-2] */
const USERS_MAX = 100_000;

/** What one operation takes, of which bucket. */
interface Share {
  readonly kind: OperationRefusal;
  readonly table: BucketTable;
  readonly key: string;
  readonly count: number;
}

/**
 * What users have left of what they may submit. A refusal takes nothing, and is the result of its
 * submit for ever, as every other one is. [LIM-3] [SEQ-6]
 */
export class OperationBudget {
  readonly #operations: BucketTable;
  readonly #messages: BucketTable;
  readonly #conversations: BucketTable;
  readonly #endings: BucketTable;
  readonly #refused: (kind: OperationRefusal) => void;

  constructor(rates: OperationRates, refused: (kind: OperationRefusal) => void = () => {}) {
    const operations = ruleOf(rates.operations);
    this.#operations = new BucketTable(operations, USERS_MAX);
    this.#messages = new BucketTable(dailyRule(rates.messagesPerDay), USERS_MAX);
    this.#conversations = new BucketTable(dailyRule(rates.conversationsPerDay), USERS_MAX);
    this.#endings = new BucketTable(operations && ruleOf(ENDING_RATE), USERS_MAX);
    this.#refused = refused;
  }

  /**
   * The operations, with a refusal in the place of each that there is nothing left for. Bytes that
   * are none cost as much as one, and are refused as what they are.
   *
   * @param sizes of the operations, in bytes
   */
  judge(
    decoded: readonly DecodedOperation[],
    sizes: readonly number[],
    sender: Sender,
    nowMs: number,
  ): readonly DecodedOperation[] {
    const user = userRefOf(sender.tenant, sender.userId);
    return decoded.map((item, at) => {
      if (item.kind === "refuse") {
        this.#operations.spend(user, 1, nowMs);
        return item;
      }
      const weight = 1 + Math.floor((sizes[at] ?? 0) / WEIGHT_BYTES);
      const shares = this.#sharesOf(item.operation.case, weight, { user, ...sender });
      const retryAfterMs = this.#take(shares, nowMs);
      if (retryAfterMs === 0) return item;
      return { kind: "refuse", code: ErrorCode.TOO_OFTEN, retryAfterMs };
    });
  }

  #sharesOf(
    kind: OperationCase,
    weight: number,
    { user, deviceId }: { readonly user: string; readonly deviceId: string },
  ): readonly Share[] {
    if (ENDINGS.has(kind)) {
      const key = `${user}/${deviceId}`;
      return [{ kind: "endings", table: this.#endings, key, count: 1 }];
    }
    const count = (COSTS.get(kind) ?? 1) * weight;
    const shares: Share[] = [{ kind: "operations", table: this.#operations, key: user, count }];
    if (MESSAGES.has(kind)) {
      shares.push({ kind: "messages", table: this.#messages, key: user, count: weight });
    }
    if (kind === "createConversation") {
      shares.push({ kind: "conversations", table: this.#conversations, key: user, count: 1 });
    }
    return shares;
  }

  /** All of it or nothing; 0, or how long until there is all of it. */
  #take(shares: readonly Share[], nowMs: number): number {
    let longest = 0;
    let scarce: OperationRefusal | undefined;
    for (const { kind, table, key, count } of shares) {
      const waitMs = table.waitMs(key, count, nowMs);
      if (waitMs > longest) [longest, scarce] = [waitMs, kind];
    }
    if (scarce !== undefined) this.#refused(scarce);
    else for (const { table, key, count } of shares) table.spend(key, count, nowMs);
    return longest;
  }
}
