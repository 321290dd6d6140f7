import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DeliverPlain } from "../gen/posthorn/v1/hot_codecs.ts";
import type { Index } from "../gen/posthorn/v1/session_pb.ts";
import { isConversationId } from "./conversation-id.ts";
import { INDEX_CONVERSATIONS_MAX, INDEX_EVENTS_MAX } from "./limits.ts";
import { count, decodeNumberSet, encodeNumberSet, type NumberSet } from "./number-set.ts";
import type { Plain } from "./plain.ts";
import { type Violation, violation } from "./violation.ts";

/**
 * A stretch of a timeline in place of as many deliveries: which messages it is about, and whole
 * what is none. It is small because of what it leaves out and because neighbours make one range:
 * nothing is compressed, so no size tells of a content, and what is decoded is never larger than
 * what came but by a constant. [CAT-5]
 */
export interface TimelineIndex {
  /** The timeline numbers that it covers, both inclusive. */
  readonly firstSeq: number;
  readonly seq: number;
  /** By rising id. */
  readonly conversations: readonly IndexedMessages[];
  /** Events that are told whole, by rising number. */
  readonly events: readonly DeliverPlain[];
}

export interface IndexedMessages {
  readonly conversationId: string;
  /** What is new, or another one than before: as of the end of the index. Not empty. */
  readonly told: NumberSet;
  /** What the user has read of the numbers from the lowest to the highest told. */
  readonly read: NumberSet;
}

export type IndexPlain = Plain<Index>;

export function writeIndex(index: TimelineIndex): IndexPlain {
  const { firstSeq, seq, events } = index;
  const conversations = index.conversations.map(({ conversationId, told, read }) => ({
    conversationId,
    told: encodeNumberSet(told),
    read: encodeNumberSet(read),
  }));
  return { firstSeq, seq, conversations, events };
}

/** What an index counts for in a window of deliveries. [CAT-8] */
export function indexBytes({ conversations, events }: IndexPlain): number {
  let bytes = 0;
  for (const { conversationId, told, read } of conversations) {
    bytes += conversationId.length + told.length + read.length;
  }
  for (const { event } of events) bytes += event.length;
  return bytes;
}

/** Reads an index by its rules; never throws. Ids are ASCII, so code units order like bytes. */
export function readIndex(index: IndexPlain): TimelineIndex | Violation {
  const { firstSeq, seq, events } = index;
  const covered = seq - firstSeq + 1;
  if (firstSeq < 1 || covered < 1 || covered > INDEX_EVENTS_MAX) return malformed("numbers");
  if (index.conversations.length > INDEX_CONVERSATIONS_MAX) return malformed("conversations");
  // It would be nothing but deliveries.
  if (index.conversations.length === 0) return malformed("no conversations");
  const conversations: IndexedMessages[] = [];
  let toldCount = 0;
  for (const one of index.conversations) {
    const read = readConversation(one);
    const before = conversations.at(-1)?.conversationId ?? "";
    if (read === undefined || read.conversationId <= before) return malformed("a conversation");
    toldCount += count(read.told);
    conversations.push(read);
  }
  // Each number that is told was at least one event.
  if (toldCount + events.length > covered) return malformed("more than it covers");
  let last = firstSeq - 1;
  for (const event of events) {
    if (event.seq <= last || event.seq > seq) return malformed("an event");
    last = event.seq;
  }
  return { firstSeq, seq, conversations, events };
}

function readConversation({
  conversationId,
  told: toldBytes,
  read: readBytes,
}: IndexPlain["conversations"][number]): IndexedMessages | undefined {
  const told = decodeNumberSet(toldBytes);
  const read = decodeNumberSet(readBytes);
  const [first, last] = [told?.[0], told?.at(-1)];
  if (told === undefined || read === undefined) return undefined;
  if (first === undefined || last === undefined || !isConversationId(conversationId)) return;
  const [firstRead = first, lastRead = last] = [read[0], read.at(-1)];
  if (firstRead.from < first.from || lastRead.through > last.through) return undefined;
  return { conversationId, told, read };
}

function malformed(what: string): Violation {
  return violation(ErrorCode.INDEX_MALFORMED, "CAT-6", `Index: ${what}`);
}
