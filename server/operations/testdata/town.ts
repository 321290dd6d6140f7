import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  ConversationSettingsSchema,
  HistoryVisibility,
  type JoinRule,
  type MemberRole,
  MemberSchema,
} from "../../../gen/posthorn/v1/conversation_pb.ts";
import { errorRule } from "../../../gen/posthorn/v1/error_rules.ts";
import {
  type Event,
  EventSchema,
  type ReactionChanged,
} from "../../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../../platform/native-crypto.ts";
import { madeConversationId } from "../../../protocol/conversation-id.ts";
import { count, has } from "../../../protocol/number-set.ts";
import type { Attachment } from "../../../protocol/session/facts.ts";
import { numbersIn } from "../../store/documents.ts";
import { MemoryStore } from "../../store/memory.ts";
import type { Plan } from "../../store/plans.ts";
import { type DocumentRef, type PlannedSubmit, userRefOf } from "../../store/store.ts";
import { CONVERSATION_RULES } from "../conversations.ts";
import { messageRetention } from "../lifetimes.ts";
import { USER_RULES } from "../own-lists.ts";
import { decodeOperation, type OperationRules, planOperations, readsOf } from "../plan.ts";

export type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;
export interface Settings {
  readonly title?: string;
  readonly history?: HistoryVisibility;
  readonly join?: JoinRule;
  readonly lifetimeS?: number;
}

/** Few enough members for every threshold to be near. */
export const SMALL_RULES: OperationRules = {
  contentBytes: 1_000,
  frameBytes: 262_144,
  crypto: NATIVE_CRYPTO,
  conversations: {
    ...CONVERSATION_RULES,
    fanOutMembersMax: 4,
    receiptMembersMax: 3,
    membersMax: 6,
    conversationsMax: 5,
    recallWindowMs: 1_000,
  },
  users: { ...USER_RULES, contactsMax: 3, blocksMax: 3, profileToldMax: 2 },
};

/** An event with the number that it is delivered with. */
export interface Told {
  readonly seq: number;
  readonly event: Event;
}

/** How long messages are kept here. */
export const KEPT_MS = 2_592_000_000;
const TENANT = "acme";
const PAGE = { count: 100_000, bytes: 1_000_000_000 };

/** Users whose operations go the whole way: decoded, planned, committed, delivered. */
export class Town {
  nowMs = 1_800_000_000_000;
  readonly store: MemoryStore;
  readonly #attachments = new Map<string, Attachment>();
  readonly #next = new Map<string, number>();
  readonly #rules: OperationRules;
  readonly #tenant: string;

  /** @param beside a town of another tenant, at the same service */
  static async of(
    userIds: readonly string[],
    rules: OperationRules = SMALL_RULES,
    beside?: Town,
  ): Promise<Town> {
    const town = new Town(rules, beside);
    for (const userId of userIds) await town.attach(userId);
    return town;
  }

  private constructor(rules: OperationRules, beside: Town | undefined) {
    this.#rules = rules;
    this.#tenant = beside === undefined ? TENANT : `beside-${beside.#tenant}`;
    if (beside !== undefined) {
      this.store = beside.store;
      return;
    }
    this.store = new MemoryStore({
      nowMs: () => this.nowMs,
      newSessionId: () => new Uint8Array(16),
      newTimelineEpoch: () => 1,
      retention: messageRetention(KEPT_MS),
    });
  }

  async attach(userId: string): Promise<void> {
    const device = this.#deviceOf(userId);
    const outcome = await this.store.prepare({
      device,
      outbox: { epoch: 0, resultsThrough: 0, next: 1 },
      cursor: { epoch: 0, seq: 0, start: "earliest" },
    });
    assert.ok(outcome.kind === "prepared");
    await this.store.attach({ device, attachment: outcome.attachment });
    this.#attachments.set(userId, outcome.attachment);
    this.#next.set(userId, 1);
  }

  /** @returns the name of the code, or the number that a message got (0: it is none) */
  async does(userId: string, kind: OperationKind): Promise<string | number> {
    const [result] = await this.doesAll(userId, [kind]);
    return result as string | number;
  }

  /** Several as one batch. */
  async doesAll(userId: string, kinds: readonly OperationKind[]): Promise<(string | number)[]> {
    for (;;) {
      const commit = await this.plans(userId, kinds);
      const results = await commit();
      if (results !== undefined) return results;
    }
  }

  /** Plans on what is there now. @returns commits it later; that answers undefined when stale */
  async plans(userId: string, kinds: readonly OperationKind[]) {
    const decoded = kinds.map((kind) =>
      decodeOperation(toBinary(OperationSchema, create(OperationSchema, { kind }))),
    );
    const sender = { tenant: this.#tenant, userId, deviceId: "phone" };
    const state = await this.store.loadForPlanning(readsOf(decoded, sender, this.#rules));
    const plans = planOperations(decoded, sender, state, this.#rules);
    return () => this.#commit(userId, plans);
  }

  async #commit(userId: string, plans: readonly Plan[]): Promise<(string | number)[] | undefined> {
    const { generation, outbox } = this.#attachments.get(userId) as Attachment;
    const first = this.#next.get(userId) ?? 1;
    const submits: PlannedSubmit[] = plans.map((plan, index) => {
      return { seq: first + index, digest: 0, plan };
    });
    const batch = {
      device: this.#deviceOf(userId),
      generation,
      outboxEpoch: outbox.epoch,
      submits,
    };
    const outcome = await this.store.commit(batch);
    if (outcome.kind === "stale") return undefined;
    assert.ok(outcome.kind === "committed", outcome.kind);
    const { through, results } = outcome.receipt;
    this.#next.set(userId, through + 1);
    await this.store.advance({
      device: this.#deviceOf(userId),
      generation,
      outboxEpoch: outbox.epoch,
      deliveredThrough: 0,
      resultsThrough: through,
    });
    return results.map(({ code, conversationSeq }) =>
      code === 0 ? conversationSeq : errorRule(code).name,
    );
  }

  /** All that a user's devices are delivered. */
  async told(userId: string): Promise<readonly Told[]> {
    const { entries } = await this.store.loadTimeline(userRefOf(this.#tenant, userId), 0, PAGE);
    return entries.map(({ conversationSeq, event }) => ({
      seq: conversationSeq,
      event: fromBinary(EventSchema, event),
    }));
  }

  /** The same, a line each: what was said, or what kind of event it is. */
  async lines(userId: string): Promise<readonly string[]> {
    return (await this.told(userId)).map(lineOf);
  }

  /** Makes a conversation. @returns its id */
  async makes(
    userId: string,
    members: Readonly<Record<string, MemberRole>> = {},
    { kind = ConversationKind.GROUP, nonce = 1, settings = {} }: Making = {},
  ): Promise<string> {
    const bytes = new Uint8Array(16).fill(nonce);
    const result = await this.does(userId, {
      case: "createConversation",
      value: {
        nonce: bytes,
        kind,
        settings: create(ConversationSettingsSchema, {
          title: "a title",
          history: HistoryVisibility.ALL,
          ...settings,
        }),
        members: Object.entries(members).map(([one, role]) =>
          create(MemberSchema, { userId: one, role }),
        ),
      },
    });
    assert.equal(result, 0);
    return madeConversationId(NATIVE_CRYPTO.sha256, userId, bytes) as string;
  }

  /** @returns as {@link does} */
  says(userId: string, conversationId: string, text: string, more: Saying = {}) {
    const content = { kind: { case: "text" as const, value: text } };
    const value = { conversationId, content, ...more };
    return this.does(userId, { case: "sendMessage", value });
  }

  #deviceOf(userId: string) {
    return { user: userRefOf(this.#tenant, userId), deviceId: "phone" };
  }

  numbers(ref: DocumentRef): number[] {
    const set = numbersIn(this.store.disk.document(ref));
    const highest = set.at(-1)?.through ?? 0;
    const numbers = Array.from({ length: highest }, (_, index) => index + 1);
    assert.equal(numbers.filter((number) => has(set, number)).length, count(set));
    return numbers.filter((number) => has(set, number));
  }
}

interface Making {
  readonly kind?: ConversationKind;
  /** One byte of it. */
  readonly nonce?: number;
  readonly settings?: Settings;
}

export type Saying = Omit<
  Extract<OperationKind, { case: "sendMessage" }>["value"],
  "$typeName" | "conversationId" | "content"
>;

function lineOf({ seq, event: { kind } }: Told): string {
  switch (kind.case) {
    case "message": {
      const { content, editCount, recalledByUserId, senderUserId } = kind.value;
      if (recalledByUserId !== "") return `${seq} recalled by ${recalledByUserId}`;
      if (content === undefined)
        return `${seq} ${senderUserId === "" ? "kept no longer" : "expired"}`;
      const text = content.kind.case === "text" ? content.kind.value : content.kind.case;
      return `${seq} ${text}${editCount === 0 ? "" : ` (edit ${editCount})`}`;
    }
    case "reactionChanged":
      return `${kind.value.conversationSeq} ${reactionOf(kind.value)}`;
    case "conversationChanged": {
      const { byUserId, members, leftUserIds } = kind.value;
      const roles = members.map(({ userId, role }) => ` ${userId}=${role}`);
      return `${byUserId}:${roles.join("")}${leftUserIds.map((one) => ` -${one}`).join("")}`;
    }
    default:
      return kind.case ?? "nothing";
  }
}

function reactionOf({ removed, reaction }: ReactionChanged): string {
  return `${removed ? "-" : "+"}${reaction}`;
}
