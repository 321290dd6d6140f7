import { deepEqual } from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  ConversationRecordSchema,
  type MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ListDraftsRequestSchema } from "../../gen/posthorn/v1/conversations_pb.ts";
import {
  count,
  intersection,
  NO_NUMBERS,
  type NumberSet,
  numbersFrom,
  union,
  without,
} from "../../protocol/number-set.ts";
import { addressBookIn, addressBookRef } from "../../server/operations/address-book.ts";
import { blocksRef } from "../../server/operations/blocks.ts";
import {
  conversationRef,
  conversationsRef,
  directsRef,
  messageLog,
} from "../../server/operations/conversations.ts";
import { mutedUntil, muteRef } from "../../server/operations/mutes.ts";
import { contactsRef } from "../../server/operations/presence.ts";
import { profileIn, profileRef } from "../../server/operations/profiles.ts";
import { talliesIn } from "../../server/operations/reactions.ts";
import {
  allMentionsRef,
  deliveredRef,
  mentionsRef,
  reactionsRef,
  readRef,
  recalledRef,
  roleMentionsRef,
  todoRef,
} from "../../server/operations/read-state.ts";
import { todoIn } from "../../server/operations/todos.ts";
import { draftsOf } from "../../server/services/drafts.ts";
import { namesIn, numbersIn } from "../../server/store/documents.ts";
import {
  type DocumentRef,
  NO_DOCUMENT,
  type Store,
  type StoredDocument,
  userRefOf,
} from "../../server/store/store.ts";
import { TENANT, USERS } from "./bench.ts";
import type { Model } from "./model.ts";
import type { ModelConversation, ModelMember, ModelUser } from "./model-state.ts";
import { draftLine, draftText, entryText, memberLine, memberText, numbersOf } from "./texts.ts";

const PAGE = { count: 1_000_000, bytes: 1e9 };
const ROLES: readonly MemberRole[] = [1, 2, 3, 4];

/** A user's whole timeline is what the model says, each entry once and in order. [CNV-15] */
export async function judgeTimeline(store: Store, model: Model, userId: string, after = 0) {
  const { entries } = await store.loadTimeline(userRefOf(TENANT, userId), after, PAGE);
  const texts = entries.map((entry) => `${entryText(entry)} @${entry.committedMs}`);
  deepEqual(texts, model.timeline(userId, after), `the timeline of ${userId}`);
  const seqs = entries.map(({ seq }) => seq);
  deepEqual(
    seqs,
    [...texts.keys()].map((index) => after + 1 + index),
    "no gaps [SEQ-10]",
  );
}

/** What the store keeps of a conversation is what the model says. */
export async function judgeConversation(store: Store, model: Model, id: string): Promise<void> {
  const conversation = model.state.conversations.get(id);
  if (conversation === undefined) return;
  const documents = await documentsOf(store, conversation);
  judgeRecord(conversation, documents(conversationRef(TENANT, id)));
  judgeMarks(conversation, documents);
  judgeMessages(conversation, documents);
  await judgeCounts(store, model, conversation);
  await judgeLog(store, model, conversation);
}

/** What users have begun to write and muted, for themselves, is what the model says. */
export async function judgePersonal(store: Store, model: Model): Promise<void> {
  for (const userId of USERS) {
    const { drafts, mutes } = model.state.users.get(userId) as ModelUser;
    const kept = [...drafts.values()].filter(({ line }) => line.text !== undefined);
    const asked = create(ListDraftsRequestSchema);
    const listed = await draftsOf(store, { tenant: TENANT, userId, deviceId: "" }, asked, 1e9);
    deepEqual(
      listed.drafts.map((draft) => draftText(draftLine(draft))),
      kept.map(({ line }) => draftText(line)).sort(byConversation),
      `the drafts of ${userId} [CNV-74]`,
    );
    const refs = [...mutes.keys()].map((id) => muteRef(TENANT, id, userId));
    const documents = await load(store, refs);
    deepEqual(
      refs.map((ref) => mutedUntil(documents(ref))),
      [...mutes.values()],
      `what ${userId} has muted`,
    );
  }
}

/** A line of a draft begins with its conversation's id. */
const byConversation = (one: string, other: string) => (one < other ? -1 : 1);

/** The lists of conversations are what the model says. */
export async function judgeLists(store: Store, model: Model): Promise<void> {
  for (const userId of USERS) {
    const refs = [conversationsRef(TENANT, userId), directsRef(TENANT, userId)] as const;
    const documents = await load(store, refs);
    const made = [...namesIn(documents(refs[0]))].sort();
    deepEqual(made, [...model.listed(userId)].sort(), `the conversations of ${userId}`);
    const direct = [...model.state.conversations.values()].filter(
      ({ kind, members, messages }) =>
        kind === ConversationKind.DIRECT && members.has(userId) && messages.length > 0,
    );
    const names = [...namesIn(documents(refs[1]))].sort();
    deepEqual(names, direct.map(({ id }) => id).sort(), `the direct conversations of ${userId}`);
  }
}

/** What users keep for themselves is what the model says. [USR-12] [USR-20] [USR-23] */
export async function judgeUsers(store: Store, model: Model): Promise<void> {
  for (const [userId, user] of model.state.users) {
    const refs = [blocksRef, contactsRef, profileRef, addressBookRef].map((refOf) =>
      refOf(TENANT, userId),
    );
    const documents = await load(store, refs);
    const [blocked, written, profile, book] = refs.map(documents) as [
      StoredDocument,
      StoredDocument,
      StoredDocument,
      StoredDocument,
    ];
    deepEqual(namesIn(blocked), [...user.blocks].sort(), `whom ${userId} blocks`);
    deepEqual(namesIn(written), user.written, `to whom ${userId} has written`);
    deepEqual(profileIn(profile).displayName, user.profile, `the name of ${userId}`);
    const { contacts } = addressBookIn(book);
    const called = contacts.map((contact) => [contact.userId, contact.alias]);
    const known = [...user.contacts].sort(([one], [other]) => (one < other ? -1 : 1));
    deepEqual(called, known, `whom ${userId} knows`);
    const revisions = [blocked.revision, profile.revision, book.revision];
    const { blocksRevision, profileRevision, contactsRevision } = user;
    const expected = [blocksRevision, profileRevision, contactsRevision];
    deepEqual(revisions, expected, `revisions of ${userId}`);
  }
}

function judgeRecord(conversation: ModelConversation, { revision, bytes }: StoredDocument): void {
  if (conversation.kind === ConversationKind.DIRECT) return;
  const record = fromBinary(ConversationRecordSchema, bytes);
  const members = record.members.map((member) => memberText(memberLine(member))).sort();
  const expected = [...conversation.members].map(([userId, member]) =>
    memberText({ userId, ...member }),
  );
  deepEqual(members, expected.sort(), "the members");
  const { title, history, join, lifetimeS: lifetime } = record.settings ?? {};
  deepEqual({ title, history, join, lifetime }, { ...conversation.settings }, "the settings");
  deepEqual(
    [record.kind, revision, record.nextOrdinal],
    [conversation.kind, conversation.revision, conversation.nextOrdinal],
    "kind, revision and next ordinal",
  );
}

type Documents = (ref: DocumentRef) => StoredDocument;

function judgeMarks({ id, read, delivered }: ModelConversation, documents: Documents): void {
  for (const userId of USERS) {
    const numbers = numbersOf(documents(readRef(TENANT, id, userId)).bytes);
    deepEqual(numbers, sorted(read.get(userId)), `what ${userId} has read [CNV-30]`);
    const came = numbersOf(documents(deliveredRef(TENANT, id, userId)).bytes);
    deepEqual(came, sorted(delivered.get(userId)), `what ${userId} has got`);
  }
}

/** What is noted of messages: recalls, calls and reactions. */
function judgeMessages({ id, messages }: ModelConversation, documents: Documents): void {
  const recalled = numbersOf(documents(recalledRef(TENANT, id)).bytes);
  const gone = messages.filter(({ recalledBy, swept }) => recalledBy !== "" || swept).map(seqOf);
  deepEqual(recalled, gone, "what was recalled, or has expired");
  const kept = (ref: DocumentRef) =>
    numbersOf(documents(ref).bytes).filter((seq) => !gone.includes(seq));
  for (const userId of USERS) {
    const called = messages.filter(({ calledUsers }) => calledUsers.has(userId));
    deepEqual(kept(mentionsRef(TENANT, id, userId)), seqsOf(called), `where ${userId} is called`);
  }
  for (const role of ROLES) {
    const called = messages.filter(({ calledRoles }) => calledRoles.has(role));
    deepEqual(kept(roleMentionsRef(TENANT, id, role)), seqsOf(called), `where ${role} is called`);
  }
  const all = messages.filter(({ everyone }) => everyone);
  deepEqual(kept(allMentionsRef(TENANT, id)), seqsOf(all), "where all are called");
  for (const { seq, todo } of messages) {
    const { state, byUserId, setMs } = todoIn(documents(todoRef(TENANT, id, seq))) ?? {};
    const kept = state === undefined ? undefined : { state, by: byUserId, setMs: Number(setMs) };
    deepEqual(kept, todo, `what is to be done about ${seq} [CNV-80]`);
  }
  for (const { seq, reactions } of messages) {
    const tallies = [...talliesIn(documents(reactionsRef(TENANT, id, seq)))];
    const shown = tallies.map(([reaction, set]) => `${reaction} ${JSON.stringify(set)}`);
    const expected = [...reactions].map(([reaction, ordinals]) => {
      const set = [...ordinals].map((one) => one + 1).reduce(withOne, []);
      return `${reaction} ${JSON.stringify(set)}`;
    });
    deepEqual(shown, expected, `the reactions to ${seq} [CNV-23]`);
  }
}

function withOne(set: ReturnType<typeof numbersFrom>, number: number) {
  return union(set, numbersFrom(number, number));
}

/** What a member's list shows is derived from what is kept, and never counted. [CNV-33] */
async function judgeCounts(store: Store, model: Model, conversation: ModelConversation) {
  for (const userId of conversation.members.keys()) {
    const shown = await countsOf(store, conversation, userId);
    deepEqual(shown, model.counts(userId, conversation), `what ${userId} has to read`);
  }
}

function shownCounts(
  { id, members, messages, floor }: ModelConversation,
  userId: string,
  { documents, expired }: { documents: Documents; expired: NumberSet },
) {
  const { role, visibleFrom } = members.get(userId) as ModelMember;
  const numbers = (ref: DocumentRef) => numbersIn(documents(ref));
  const gone = union(numbers(readRef(TENANT, id, userId)), numbers(recalledRef(TENANT, id)));
  const left = without(
    numbersFrom(Math.max(visibleFrom, floor), messages.length),
    union(gone, expired),
  );
  const calls = union(
    union(numbers(mentionsRef(TENANT, id, userId)), numbers(allMentionsRef(TENANT, id))),
    numbers(roleMentionsRef(TENANT, id, role)),
  );
  return { unread: count(left), mentions: count(intersection(calls, left)) };
}

/** How much a member is shown to have to read, from what the store keeps. */
export async function countsOf(store: Store, conversation: ModelConversation, userId: string) {
  const log = messageLog(TENANT, conversation.id);
  const { expired } = await store.loadForPlanning({ users: [], expired: [log] });
  const documents = await documentsOf(store, conversation);
  return shownCounts(conversation, userId, {
    documents,
    expired: expired?.get(log) ?? NO_NUMBERS,
  });
}

async function judgeLog(
  store: Store,
  model: Model,
  { id, messages, members, floor }: ModelConversation,
): Promise<void> {
  const head = messages.length;
  const log = messageLog(TENANT, id);
  const kept = messages.slice(floor - 1);
  const texts = kept.map((message) => `${model.text(message)} @${message.committedMs}`);
  const read = async (
    range: { from: number; through: number; fromEnd?: boolean },
    most: number,
  ) => {
    const page = await store.loadLog(log, range, { ...PAGE, count: most });
    deepEqual([page.head, page.floor], [head, floor], "the bounds of the log [CNV-104]");
    return page.entries.map((entry) => {
      const text = entryText({ conversationSeq: entry.seq, event: entry.event });
      return `${text} @${entry.committedMs}`;
    });
  };
  deepEqual(await read({ from: 1, through: head }, PAGE.count), texts, "the log");
  for (const { visibleFrom: from } of new Set<ModelMember>(members.values())) {
    const page = await read({ from, through: head, fromEnd: true }, 3);
    deepEqual(
      page,
      texts.slice(Math.max(from - floor, 0)).slice(-3),
      "the newest that a member may read",
    );
  }
}

async function documentsOf(store: Store, { id, messages }: ModelConversation): Promise<Documents> {
  return load(store, [
    conversationRef(TENANT, id),
    recalledRef(TENANT, id),
    allMentionsRef(TENANT, id),
    ...ROLES.map((role) => roleMentionsRef(TENANT, id, role)),
    ...USERS.flatMap((userId) => [
      readRef(TENANT, id, userId),
      deliveredRef(TENANT, id, userId),
      mentionsRef(TENANT, id, userId),
    ]),
    ...messages.flatMap(({ seq }) => [reactionsRef(TENANT, id, seq), todoRef(TENANT, id, seq)]),
  ]);
}

async function load(store: Store, refs: readonly DocumentRef[]): Promise<Documents> {
  const { documents } = await store.loadForPlanning({ users: [], documents: refs });
  return (ref) => documents.get(ref) ?? NO_DOCUMENT;
}

const seqOf = ({ seq }: { readonly seq: number }) => seq;
const seqsOf = (messages: readonly { readonly seq: number }[]) => messages.map(seqOf);
const sorted = (numbers: ReadonlySet<number> = new Set()) => [...numbers].sort((a, b) => a - b);
