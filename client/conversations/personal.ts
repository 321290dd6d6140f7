import {
  type Draft,
  type DraftChanged,
  type MuteChanged,
  type Todo,
  type TodoChanged,
  TodoState,
} from "../../gen/posthorn/v1/event_pb.ts";
import type { DeliverPlain } from "../../gen/posthorn/v1/hot_codecs.ts";
import { contentOf, type MessageContent } from "./content.ts";
import { type MessageMentions, type MessageReference, mentionsOf, referenceOf } from "./events.ts";
import { nameOf, TODO_NAMES, type TodoName } from "./names.ts";

/** Until when a conversation is muted that is muted for ever. [CNV-76] */
export const MUTED_FOR_EVER: number = Number.MAX_SAFE_INTEGER;

/** What a user has begun to write. */
export interface DraftContent {
  readonly content: MessageContent;
  readonly reference?: MessageReference | undefined;
  readonly mentions?: MessageMentions | undefined;
}

/** What the user has begun to write in a conversation is another text, or gone. */
export interface DraftEvent {
  readonly kind: "draft";
  readonly seq: number;
  readonly conversationId: string;
  /** As it is now, whatever it was when this was delivered for the first time. */
  readonly draft: DraftContent | undefined;
  /** Unix milliseconds by the service's clock. */
  readonly savedMs: number;
  /** The device that has saved it. */
  readonly deviceId: string;
}

/** The user has muted a conversation, or does not any more. */
export interface MuteEvent {
  readonly kind: "mute";
  readonly seq: number;
  readonly conversationId: string;
  /** Unix milliseconds. 0: it is not muted. {@link MUTED_FOR_EVER}: for ever. */
  readonly mutedUntilMs: number;
}

/** Something is to be done about a message, or is done. */
export interface TodoMark {
  readonly state: TodoName;
  /** Who has said so last. */
  readonly byUserId: string;
  /** Unix milliseconds by the service's clock. */
  readonly setMs: number;
}

/** Something is to be done about a message, or is done, or nothing of that is said any more. */
export interface TodoEvent {
  readonly kind: "todo";
  readonly seq: number;
  readonly committedMs: number;
  readonly conversationId: string;
  readonly conversationSeq: number;
  /** Undefined: somebody has taken the mark away. */
  readonly todo: TodoMark | undefined;
  readonly byUserId: string;
}

/** Undefined for a content, or a reference, that this version does not know. */
export function draftEvent(
  { seq }: Pick<DeliverPlain, "seq">,
  { draft }: DraftChanged,
): DraftEvent | undefined {
  if (draft === undefined) return undefined;
  const { conversationId, deviceId } = draft;
  const of = { kind: "draft", seq, conversationId, deviceId } as const;
  const savedMs = Number(draft.savedMs);
  if (draft.content === undefined) return { ...of, draft: undefined, savedMs };
  const content = draftOf(draft);
  return content && { ...of, draft: content, savedMs };
}

/** Undefined for a content, or a reference, that this version does not know. */
export function draftOf(draft: Draft): DraftContent | undefined {
  const content = contentOf(draft.content);
  const reference = referenceOf(draft.reference);
  if (content === undefined || reference === "unknown") return undefined;
  return { content, reference, mentions: mentionsOf(draft.mentions) };
}

export function muteEvent(
  { seq }: DeliverPlain,
  { conversationId, untilMs }: MuteChanged,
): MuteEvent {
  return { kind: "mute", seq, conversationId, mutedUntilMs: Number(untilMs) };
}

/** Undefined for a state that this version does not know. */
export function todoEvent(
  { seq, committedMs }: DeliverPlain,
  { conversationId, conversationSeq, todo }: TodoChanged,
): TodoEvent | undefined {
  const number = Number(conversationSeq);
  const mark = todoOf(todo);
  const isKnown = mark !== undefined || todo?.state === TodoState.UNSPECIFIED;
  if (!isKnown || !Number.isSafeInteger(number)) return undefined;
  const byUserId = todo?.byUserId ?? "";
  const of = { kind: "todo", seq, committedMs, conversationId } as const;
  return { ...of, conversationSeq: number, todo: mark, byUserId };
}

/** Undefined where nothing is said, or nothing that this version knows. */
export function todoOf(todo: Todo | undefined): TodoMark | undefined {
  const state = nameOf(TODO_NAMES, todo?.state ?? 0);
  if (todo === undefined || state === undefined) return undefined;
  return { state, byUserId: todo.byUserId, setMs: Number(todo.setMs) };
}
