import { deepEqual } from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import {
  ConversationRecordSchema,
  ConversationKind as Kind,
  MemberRole as Role,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { assert } from "../../protocol/violation.ts";
import { conversationRef } from "../../server/operations/conversations.ts";
import { messageIn } from "../../server/operations/entries.ts";
import { type Store, userRefOf } from "../../server/store/store.ts";
import type { Asked, Calls } from "../conversations/asked.ts";
import { Bench, TENANT, USERS } from "../conversations/bench.ts";
import {
  ALL_STEPS,
  drawnHistory,
  type History,
  type HistoryOptions,
} from "../conversations/drawn.ts";
import { countsOf } from "../conversations/judge.ts";
import {
  type By,
  isGone,
  type ModelConversation,
  type ModelMember,
  type ModelMessage,
} from "../conversations/model-state.ts";
import { type Play, playHistory, type Watch } from "../conversations/play.ts";
import { property } from "../property.ts";

interface Law {
  readonly name: string;
  readonly title: string;
  readonly kinds?: readonly string[];
  readonly history: HistoryOptions;
  readonly watch: (play: Play) => Watch;
}

/** A claim about histories that is judged by itself, whatever the model thinks. */
function law({ name, title, kinds = [], history, watch }: Law) {
  return property<History>({
    name,
    title,
    smokeRuns: 10,
    kinds,
    arbitrary: drawnHistory(history),
    start: (seen) => ({
      check: async (drawn) => playHistory(drawn, await Bench.start(), { seen, watch }),
    }),
  });
}

const WHOLE = { count: 1_000_000, bytes: 1e9 };
const SAID = /said-\d+\./g;

export const conversationsRecall = law({
  name: "conversations-recall",
  title:
    "[CNV-17] [CNV-19] [CNV-25] [CNV-72] what was recalled, was before an edit, or in a draft " +
    "that is gone, is nowhere in anything that is kept, however they met",
  kinds: ["recall done", "edit done", "stale", "together"],
  history: {
    asked: { send: 10, edit: 8, recall: 8, react: 2, join: 2, change: 1, direct: 2, draft: 6 },
    steps: { ...ALL_STEPS, cross: 10 },
    batchMax: 3,
  },
  watch: ({ bench, model }) => ({
    committed: () => {
      const live = new Set<string>();
      for (const { messages } of model.state.conversations.values()) {
        for (const { text } of messages) live.add(text ?? "");
      }
      for (const { drafts } of model.state.users.values()) {
        for (const { line } of drafts.values()) live.add(line.text ?? "");
      }
      const { documents, logs } = bench.disk;
      const kept = [
        ...[...documents.values()].map(({ bytes }) => bytes),
        ...[...logs.values()].flatMap((entries) => entries.map(({ event }) => event)),
      ];
      for (const bytes of kept) {
        const [found] = Buffer.from(bytes).toString("latin1").match(SAID) ?? [];
        assert(found === undefined || live.has(found), `${found} is still there`);
      }
    },
  }),
});

/** Where somebody was called, written down as it was said. */
interface Call {
  readonly in: string;
  readonly seq: number;
  readonly calls: Calls;
}

export const conversationsMentions = law({
  name: "conversations-mentions",
  title:
    "[CNV-15] [CNV-20] [CNV-22] [CNV-33] whoever is called is told once, however many there are, " +
    "and counts it until it is read or recalled",
  kinds: ["send done", "edit done", "mark done", "recall done"],
  history: {
    asked: { send: 14, edit: 4, recall: 3, mark: 6, join: 3, change: 3, leave: 1 },
    steps: { submit: 12, begin: 2, finish: 2, wait: 1 },
    batchMax: 1,
  },
  watch: watchMentions,
});

function watchMentions({ bench, model }: Play): Watch {
  const said: Call[] = [];
  return {
    committed: async (asked, _, answer) => {
      const conversation = "in" in asked && model.state.conversations.get(asked.in);
      if (typeof answer !== "number" || !conversation) return;
      if ((asked.kind === "send" || asked.kind === "edit") && asked.calls !== undefined) {
        const call = { in: asked.in, seq: answer, calls: asked.calls };
        said.push(call);
        await judgeTold(bench.store, call, { conversation, isNew: asked.kind === "send" });
      }
      for (const userId of conversation.members.keys()) {
        const { mentions } = await countsOf(bench.store, conversation, userId);
        const expected = openCalls(said, userId, { conversation, nowMs: bench.nowMs });
        deepEqual(mentions, expected, `how often ${userId} is called`);
      }
    },
  };
}

/** The timeline of everybody who is called ends with the message. */
async function judgeTold(
  store: Store,
  { seq, calls }: Call,
  { conversation, isNew }: { conversation: ModelConversation; isNew: boolean },
): Promise<void> {
  for (const [userId, { role, visibleFrom }] of conversation.members) {
    if (!isCalled(calls, userId, role) || visibleFrom > seq) continue;
    const { entries } = await store.loadTimeline(userRefOf(TENANT, userId), 0, WHOLE);
    const told = entries.map((entry) =>
      messageIn(entry.event)?.conversationId === conversation.id ? entry.conversationSeq : 0,
    );
    assert(told.at(-1) === seq, `${userId} is not told`);
    const count = told.filter((one) => one === seq).length;
    assert(!isNew || count === 1, `${userId} is told ${count} times`);
  }
}

/** Messages that call a member, and that it has not read. */
function openCalls(
  said: readonly Call[],
  userId: string,
  { conversation, nowMs }: { conversation: ModelConversation; nowMs: number },
): number {
  const { id, members, messages, read, floor } = conversation;
  const { role, visibleFrom } = members.get(userId) as ModelMember;
  const open = said.filter(
    (call) =>
      call.in === id &&
      call.seq >= Math.max(visibleFrom, floor) &&
      isCalled(call.calls, userId, role) &&
      !read.get(userId)?.has(call.seq) &&
      !isGone(messages[call.seq - 1] as ModelMessage, nowMs),
  );
  return new Set(open.map((call) => call.seq)).size;
}

function isCalled({ users, roles, everyone }: Calls, userId: string, role: Role): boolean {
  return everyone || users.includes(userId) || roles.includes(role);
}

export const conversationsReceipts = law({
  name: "conversations-receipts",
  title:
    "[CNV-34] [CNV-35] nobody is told any more what somebody has read who hides it, whatever was " +
    "planned before",
  kinds: ["mark done", "preferences done", "stale"],
  history: {
    asked: { mark: 10, preferences: 8, direct: 8, send: 3, join: 1, leave: 1 },
    steps: { submit: 8, cross: 8, wait: 1 },
    batchMax: 3,
  },
  watch: watchReceipts,
});

function watchReceipts({ bench }: Play): Watch {
  const hidden = new Set<string>();
  /** Who has shown its own at some time of the batch: of which of its marks, is not asked. */
  const shown = new Set<string>(USERS);
  const heads = new Map<string, number>();
  return {
    committed: (asked, { userId }) => {
      if (asked.kind !== "preferences") return;
      if (asked.hidden) hidden.add(userId);
      else hidden.delete(userId);
      if (!asked.hidden) shown.add(userId);
    },
    settled: async () => {
      for (const one of USERS) {
        const after = heads.get(one) ?? 0;
        const user = userRefOf(TENANT, one);
        const { entries, bounds } = await bench.store.loadTimeline(user, after, WHOLE);
        heads.set(one, bounds.head);
        for (const { event } of entries) {
          const { kind } = fromBinary(EventSchema, event);
          const reader = kind.case === "marksChanged" ? kind.value.userId : one;
          assert(reader === one || shown.has(reader), `${one} is told what ${reader} hides`);
        }
      }
      shown.clear();
      for (const one of USERS) if (!hidden.has(one)) shown.add(one);
    },
  };
}

/** Who is in a conversation as what, as the store has it. */
interface Kept {
  readonly kind: Kind;
  readonly isOpen: boolean;
  readonly title: string;
  readonly roles: ReadonlyMap<string, Role>;
}

export const conversationsRoles = law({
  name: "conversations-roles",
  title:
    "[CNV-5] [CNV-10] [CNV-18] [CNV-43] [CNV-46] [CNV-47] [CNV-48] nobody does what its role " +
    "does not allow, and no members are left without an owner",
  kinds: ["change done", "leave done", "join done", "settings done", "change LAST_OWNER"],
  history: {
    asked: { change: 14, join: 5, leave: 4, settings: 3, send: 4, edit: 1, recall: 2, create: 1 },
    steps: { submit: 10, begin: 3, finish: 3 },
    batchMax: 1,
  },
  watch: ({ bench, model }) => {
    let before = new Map<string, Kept>();
    return {
      committed: async (asked, by, answer) => {
        const after = await keptIn(bench.store, [...model.state.conversations.keys()]);
        if (typeof answer === "number") judgeDeed(asked, by, { before, answer, model });
        for (const [id, now] of after) judgeRoles(by.userId, before.get(id), now);
        before = after;
      },
    };
  },
});

async function keptIn(store: Store, ids: readonly string[]): Promise<Map<string, Kept>> {
  const refs = ids.map((id) => conversationRef(TENANT, id));
  const { documents } = await store.loadForPlanning({ users: [], documents: refs });
  const kept = new Map<string, Kept>();
  for (const [index, id] of ids.entries()) {
    const document = documents.get(refs[index] as (typeof refs)[number]);
    if (document === undefined || document.revision === 0) continue;
    const { kind, settings, members } = fromBinary(ConversationRecordSchema, document.bytes);
    const roles = new Map(members.map(({ userId, role }) => [userId, role]));
    const title = JSON.stringify([settings?.title, settings?.history, settings?.join]);
    kept.set(id, { kind, isOpen: settings?.join === 2, title, roles });
  }
  return kept;
}

/** Whatever was done to members, its doer was above all of it. */
function judgeRoles(doer: string, before: Kept | undefined, now: Kept): void {
  const { roles } = now;
  const hasOwner = [...roles.values()].includes(Role.OWNER);
  assert(roles.size === 0 || hasOwner, "members without an owner [CNV-46]");
  // Its maker may give what it likes, below its own.
  const own = before === undefined ? Role.OWNER : (before.roles.get(doer) ?? Role.UNSPECIFIED);
  const isChanged = before !== undefined && before.title !== now.title;
  assert(!isChanged || own >= Role.ADMIN, `${doer} may not change settings [CNV-48]`);
  for (const userId of new Set([...(before?.roles.keys() ?? []), ...roles.keys()])) {
    const [was, is] = [before?.roles.get(userId) ?? 0, roles.get(userId) ?? 0];
    if (was === is || own === Role.OWNER) continue;
    const below = own === Role.ADMIN && was < Role.ADMIN && is < Role.ADMIN;
    const reader = now.kind === Kind.CHANNEL ? Role.READER : Role.MEMBER;
    const comes = was === 0 && before?.isOpen === true && is === reader;
    const isOwn = userId === doer && (is === 0 || comes);
    assert(below || isOwn, `${doer}, ${own}, may not make ${userId} ${is}, who was ${was}`);
  }
}

/** What was said was said by who may. */
function judgeDeed(
  asked: Asked,
  { userId }: By,
  given: { before: ReadonlyMap<string, Kept>; answer: number; model: Play["model"] },
): void {
  if (asked.kind !== "send" && asked.kind !== "edit" && asked.kind !== "recall") return;
  const kept = given.before.get(asked.in);
  const own = kept?.roles.get(userId);
  if (kept === undefined) return;
  assert(own !== undefined, `${userId} is a stranger [CNV-4]`);
  const writes = kept.kind === Kind.CHANNEL ? Role.ADMIN : Role.MEMBER;
  const { sender } =
    given.model.state.conversations.get(asked.in)?.messages[given.answer - 1] ?? {};
  if (asked.kind === "recall") assert(sender === userId || own >= Role.ADMIN, "not its to recall");
  else assert(sender === userId && own >= writes, `${userId} may not write, or not for others`);
}
