import { create, toBinary } from "@bufbuild/protobuf";
import type { ConversationSettings } from "../../gen/posthorn/v1/conversation_pb.ts";
import { EventSchema, type Message, MessageSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { EntryExpiry } from "../store/plans.ts";
import type { DocumentRef, LogRef } from "../store/store.ts";
import type { Sender } from "./plan.ts";
import { notedNames, recalledRef } from "./read-state.ts";

/** Seconds. So short that it can be tried out, so long that a sum with any time is a number. */
const LIFETIME_S_MIN = 5;
const LIFETIME_S_MAX = 31_536_000;

/** Whether a lifetime may be asked for; 0 asks for none. [CNV-90] */
export function isLifetime(lifetimeS: number): boolean {
  return lifetimeS === 0 || (lifetimeS >= LIFETIME_S_MIN && lifetimeS <= LIFETIME_S_MAX);
}

/** When a message that is sent now expires; 0: never. Of both lifetimes the shorter. [CNV-91] */
export function expiresMsOf(
  lifetimeS: number,
  settings: ConversationSettings | undefined,
  nowMs: number,
): number {
  const asked = [lifetimeS, settings?.lifetimeS ?? 0].filter((one) => one > 0);
  return asked.length === 0 ? 0 : nowMs + Math.min(...asked) * 1000;
}

/** What becomes of a message at its time: as of one that was recalled. [CNV-92] [CNV-94] */
export function expiryOf(
  { tenant }: Sender,
  message: Pick<Message, "conversationId" | "senderUserId" | "senderDeviceId">,
  expiresMs: number,
): EntryExpiry {
  const { conversationId, senderUserId, senderDeviceId } = message;
  const who = { conversationId, senderUserId, senderDeviceId };
  const value = create(MessageSchema, { ...who, expiresMs: BigInt(expiresMs) });
  return {
    expiresMs,
    event: toBinary(EventSchema, create(EventSchema, { kind: { case: "message", value } })),
    marks: [recalledRef(tenant, conversationId)],
    clears: notedNames(tenant, conversationId),
  };
}

/** How long a store keeps messages, and what is left of those that it does not. [CNV-103] */
export function messageRetention(keptMs: number) {
  return {
    keptMs,
    eventOf: (log: LogRef): Uint8Array => {
      const value = create(MessageSchema, { conversationId: partsOf(log).conversationId });
      return toBinary(EventSchema, create(EventSchema, { kind: { case: "message", value } }));
    },
    clearsOf: (log: LogRef): readonly DocumentRef[] => {
      const { tenant, conversationId } = partsOf(log);
      return notedNames(tenant, conversationId);
    },
  };
}

/** Of a log of messages. */
function partsOf(log: LogRef): { readonly tenant: string; readonly conversationId: string } {
  const end = log.indexOf("/");
  return { tenant: log.slice(0, end), conversationId: log.slice(end + 1) };
}

/** Whether nothing of a message is there any more. */
export function isGone({ content, recalledByUserId }: Message): boolean {
  return content === undefined || recalledByUserId !== "";
}
