import { fromBinary } from "@bufbuild/protobuf";
import type { Conversation, Member } from "../../gen/posthorn/v1/conversation_pb.ts";
import { type Draft, EventSchema, type Message } from "../../gen/posthorn/v1/event_pb.ts";
import { decodeNumberSet } from "../../protocol/number-set.ts";
import type { TimelineEntry } from "../../server/store/store.ts";

/** What a message says, in one line: the same words whoever writes them, model or service. */
export interface MessageLine {
  readonly in: string;
  readonly seq: number;
  readonly sender: string;
  readonly device: string;
  /** Undefined: it was recalled, or has expired. */
  readonly text: string | undefined;
  readonly reference?: { readonly kind: number; readonly seq: number } | undefined;
  readonly calledUsers: Iterable<string>;
  readonly calledRoles: Iterable<number>;
  readonly everyone: boolean;
  readonly edits: number;
  readonly editedMs: number;
  readonly recalledBy: string;
  readonly expiresMs: number;
}

export function messageText(line: MessageLine): string {
  const { reference, text, everyone } = line;
  return JSON.stringify([
    `${line.in}#${line.seq}`,
    line.sender,
    line.device,
    text ?? null,
    reference === undefined ? "" : `${reference.kind}>${reference.seq}`,
    [...line.calledUsers].sort().join(),
    [...line.calledRoles].sort().join(),
    everyone,
    line.edits,
    line.editedMs,
    line.recalledBy,
    line.expiresMs,
  ]);
}

/** Nothing but where it was. [CNV-105] */
export function keptNoLongerText({ in: id, seq }: Pick<MessageLine, "in" | "seq">): string {
  const nobody = { sender: "", device: "", recalledBy: "" };
  const nothing = { text: undefined, calledUsers: [], calledRoles: [], everyone: false };
  return messageText({ in: id, seq, ...nobody, ...nothing, edits: 0, editedMs: 0, expiresMs: 0 });
}

export interface ChangeLine {
  readonly in: string;
  readonly kind: number;
  readonly revision: number;
  readonly title: string;
  readonly history: number;
  readonly join: number;
  readonly lifetime: number;
  readonly count: number;
  readonly by: string;
  readonly members: readonly MemberLine[];
  readonly left: readonly string[];
}

export interface MemberLine {
  readonly userId: string;
  readonly role: number;
  readonly ordinal: number;
  readonly visibleFrom: number;
}

export function changeText(line: ChangeLine): string {
  const { members, left, ...rest } = line;
  return JSON.stringify(["changed", rest, members.map(memberText), [...left].sort()]);
}

export function memberText({ userId, role, ordinal, visibleFrom }: MemberLine): string {
  return `${userId} ${role} ${ordinal} ${visibleFrom}`;
}

export function memberLine({ userId, role, ordinal, visibleFrom }: Member): MemberLine {
  return { userId, role, ordinal, visibleFrom: Number(visibleFrom) };
}

export function reactionText(
  message: string,
  { by, reaction, removed }: { by: string; reaction: string; removed: boolean },
): string {
  return JSON.stringify(["reacts", message, by, reaction, removed]);
}

export function marksText(
  conversationId: string,
  { by, read, delivered }: { by: string; read: readonly number[]; delivered: number },
): string {
  return JSON.stringify(["marks", conversationId, by, read, delivered]);
}

/** What somebody has begun to write, in one line. */
export interface DraftLine {
  readonly in: string;
  /** Undefined: it is gone. */
  readonly text: string | undefined;
  readonly reference?: MessageLine["reference"];
  readonly calledUsers: Iterable<string>;
  readonly calledRoles: Iterable<number>;
  readonly everyone: boolean;
  readonly savedMs: number;
  readonly device: string;
}

export function draftText(line: DraftLine): string {
  const { reference, text, everyone } = line;
  return JSON.stringify([
    "draft",
    line.in,
    line.device,
    text ?? null,
    reference === undefined ? "" : `${reference.kind}>${reference.seq}`,
    [...line.calledUsers].sort().join(),
    [...line.calledRoles].sort().join(),
    everyone,
    line.savedMs,
  ]);
}

export function draftLine(draft: Draft): DraftLine {
  const { content, reference, mentions } = draft;
  return {
    in: draft.conversationId,
    text: content?.kind.case === "text" ? content.kind.value : undefined,
    reference: reference && {
      kind: reference.kind,
      seq: Number(reference.conversationSeq),
    },
    calledUsers: mentions?.userIds ?? [],
    calledRoles: mentions?.roles ?? [],
    everyone: mentions?.everyone ?? false,
    savedMs: Number(draft.savedMs),
    device: draft.deviceId,
  };
}

export function muteText(conversationId: string, untilMs: number): string {
  return JSON.stringify(["mute", conversationId, untilMs]);
}

export function todoText(
  message: string,
  { by, state, setMs }: { by: string; state: number; setMs: number },
): string {
  return JSON.stringify(["todo", message, by, state, setMs]);
}

export function preferencesText(hidden: boolean): string {
  return JSON.stringify(["preferences", hidden]);
}

export function blocksText(
  blocked: readonly string[],
  unblocked: readonly string[],
  revision: number,
): string {
  return JSON.stringify(["blocks", blocked, unblocked, revision]);
}

export function contactsText(
  set: readonly { readonly userId: string; readonly alias: string }[],
  removed: readonly string[],
  revision: number,
): string {
  const named = set.map(({ userId, alias }) => [userId, alias]);
  return JSON.stringify(["contacts", named, removed, revision]);
}

export function profileText(userId: string, name: string, revision: number): string {
  return JSON.stringify(["profile", userId, name, revision]);
}

/** A timeline's entry, in the model's words. */
export function entryText({
  conversationSeq,
  event,
}: Pick<TimelineEntry, "conversationSeq" | "event">) {
  const { kind } = fromBinary(EventSchema, event);
  switch (kind.case) {
    case "message":
      return messageText(messageLine(kind.value, conversationSeq));
    case "conversationChanged": {
      const { conversation, byUserId: by, members, leftUserIds: left } = kind.value;
      const shown = conversationLine(conversation);
      return changeText({ ...shown, by, members: members.map(memberLine), left });
    }
    case "reactionChanged": {
      const { conversationId, conversationSeq: seq, userId, reaction, removed } = kind.value;
      return reactionText(`${conversationId}#${seq}`, { by: userId, reaction, removed });
    }
    case "marksChanged": {
      const { conversationId, userId: by, deliveredThrough } = kind.value;
      const read = numbersOf(kind.value.read);
      return marksText(conversationId, { by, read, delivered: Number(deliveredThrough) });
    }
    case "draftChanged":
      return kind.value.draft === undefined ? "no draft" : draftText(draftLine(kind.value.draft));
    case "muteChanged":
      return muteText(kind.value.conversationId, Number(kind.value.untilMs));
    case "todoChanged": {
      const { conversationId, conversationSeq: seq, todo } = kind.value;
      const { byUserId: by = "", state = 0, setMs = 0n } = todo ?? {};
      return todoText(`${conversationId}#${seq}`, { by, state, setMs: Number(setMs) });
    }
    case "preferencesChanged":
      return preferencesText(kind.value.preferences?.receiptsHidden ?? false);
    case "blocksChanged": {
      const { blockedUserIds, unblockedUserIds, revision } = kind.value;
      return blocksText(blockedUserIds, unblockedUserIds, Number(revision));
    }
    case "contactsChanged": {
      const { set, removedUserIds, revision } = kind.value;
      return contactsText(set, removedUserIds, Number(revision));
    }
    case "profileChanged": {
      const { userId, profile, revision } = kind.value;
      return profileText(userId, profile?.displayName ?? "", Number(revision));
    }
    default:
      return `unexpected ${kind.case}`;
  }
}

export function messageLine(message: Message, seq: number): MessageLine {
  const { content, reference, mentions } = message;
  const refers = reference && {
    kind: reference.kind,
    seq: Number(reference.conversationSeq),
  };
  return {
    in: message.conversationId,
    seq,
    sender: message.senderUserId,
    device: message.senderDeviceId,
    text: content?.kind.case === "text" ? content.kind.value : undefined,
    reference: refers,
    calledUsers: mentions?.userIds ?? [],
    calledRoles: mentions?.roles ?? [],
    everyone: mentions?.everyone ?? false,
    edits: message.editCount,
    editedMs: Number(message.editedMs),
    recalledBy: message.recalledByUserId,
    expiresMs: Number(message.expiresMs),
  };
}

function conversationLine(conversation: Conversation | undefined) {
  const { settings } = conversation ?? {};
  return {
    in: conversation?.conversationId ?? "",
    kind: conversation?.kind ?? 0,
    revision: Number(conversation?.revision ?? 0),
    title: settings?.title ?? "",
    history: settings?.history ?? 0,
    join: settings?.join ?? 0,
    lifetime: settings?.lifetimeS ?? 0,
    count: conversation?.memberCount ?? 0,
  };
}

/** The numbers of an encoded set, one by one. */
export function numbersOf(bytes: Uint8Array): readonly number[] {
  const numbers: number[] = [];
  for (const { from, through } of decodeNumberSet(bytes) ?? []) {
    for (let number = from; number <= through; number += 1) numbers.push(number);
  }
  return numbers;
}
