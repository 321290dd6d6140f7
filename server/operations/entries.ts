import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema, type Message } from "../../gen/posthorn/v1/event_pb.ts";
import { isConversationId } from "../../protocol/conversation-id.ts";
import type { EntryContent, RefusePlan } from "../store/plans.ts";
import {
  type DocumentRef,
  type EntryRef,
  entryName,
  type PlanningReads,
  type PlanningState,
} from "../store/store.ts";
import { joinedReads, type Membership, membershipReads, messageLog } from "./conversations.ts";
import { isGone } from "./lifetimes.ts";
import type { Sender } from "./plan.ts";

/** A message that an operation is about. */
export interface FoundMessage {
  readonly message: Message;
  readonly committedMs: number;
  readonly entry: EntryRef;
  /** As planned on. */
  readonly requiresEntries: readonly EntryContent[];
}

interface Named {
  readonly conversationId: string;
  readonly conversationSeq: bigint;
}

/** What has to be read to find a message. */
export function messageReads(sender: Sender, named: Named): PlanningReads {
  const reads = membershipReads(sender, named.conversationId);
  const entry = entryOf(sender, named);
  return entry === undefined ? reads : { ...reads, entries: [entry] };
}

/**
 * A message that a member may read. One that there is not, that was sent before it came, that was
 * recalled, and that has expired, is the same refusal. [CNV-6] [CNV-92]
 */
export function messageOf(
  sender: Sender,
  named: Named,
  { own, requires }: Membership,
  state: PlanningState,
): FoundMessage | RefusePlan {
  const refused = { kind: "refuse", code: ErrorCode.MESSAGE_UNKNOWN, requires } as const;
  const entry = entryOf(sender, named);
  if (entry === undefined || named.conversationSeq < own.visibleFrom) return refused;
  const stored = state.entries.get(entryName(entry));
  if (stored === undefined) return refused;
  const { event, committedMs } = stored;
  const requiresEntries = [{ ...entry, event }];
  const message = messageIn(event);
  if (message === undefined || isGone(message)) {
    return { ...refused, requiresEntries };
  }
  return { message, committedMs, entry, requiresEntries };
}

/** The same, with a document that is kept of each message. */
export function notedReads(
  sender: Sender,
  operation: Named,
  refOf: (tenant: string, conversationId: string, conversationSeq: number) => DocumentRef,
): PlanningReads {
  const { conversationId, conversationSeq } = operation;
  const reads = messageReads(sender, operation);
  if (reads.entries === undefined) return reads;
  const ref = refOf(sender.tenant, conversationId, Number(conversationSeq));
  return joinedReads(reads, { users: [], documents: [ref] });
}

/** The message of a stored event. */
export function messageIn(event: Uint8Array): Message | undefined {
  const { kind } = fromBinary(EventSchema, event);
  return kind.case === "message" ? kind.value : undefined;
}

function entryOf(
  { tenant }: Sender,
  { conversationId, conversationSeq }: Named,
): EntryRef | undefined {
  const seq = Number(conversationSeq);
  if (seq < 1 || !Number.isSafeInteger(seq) || !isConversationId(conversationId)) return undefined;
  return { log: messageLog(tenant, conversationId), seq };
}
