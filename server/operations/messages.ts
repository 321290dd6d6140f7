import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type Content, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { SendDirect } from "../../gen/posthorn/v1/operation_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import {
  logRefOf,
  type Plan,
  type PlanningReads,
  type PlanningState,
  userRefOf,
} from "../store/store.ts";
import { contentRefusal } from "./content.ts";
import type { OperationLimits, Sender } from "./plan.ts";
import { contactListing, contactsRef } from "./presence.ts";

/** The user that a direct message needs to exist, and to whom its sender has written before. */
export function sendDirectReads(operation: SendDirect, sender: Sender): PlanningReads {
  if (!USER_ID_PATTERN.test(operation.toUserId)) return { users: [] };
  const { tenant, userId } = sender;
  const users = [userRefOf(tenant, operation.toUserId)];
  return { users, documents: [contactsRef(tenant, userId)] };
}

/** A message to one user's devices and to the sender's other devices. */
export function planSendDirect(
  operation: SendDirect,
  sender: Sender,
  state: PlanningState,
  limits: OperationLimits,
): Plan {
  const { toUserId, content } = operation;
  const refused = contentRefusal(content, limits);
  if (refused !== undefined) return { kind: "refuse", code: refused };
  if (!USER_ID_PATTERN.test(toUserId)) {
    return { kind: "refuse", code: ErrorCode.USER_ID_INVALID };
  }
  const receiver = userRefOf(sender.tenant, toUserId);
  if (!state.knownUsers.has(receiver)) return { kind: "refuse", code: ErrorCode.USER_UNKNOWN };
  const conversationId = directConversationId(sender.userId, toUserId);
  const message = {
    conversationId,
    senderUserId: sender.userId,
    senderDeviceId: sender.deviceId,
    content: content as Content,
  };
  const event = create(EventSchema, { kind: { case: "message", value: message } });
  const own = userRefOf(sender.tenant, sender.userId);
  return {
    kind: "append",
    log: logRefOf(sender.tenant, conversationId),
    event: toBinary(EventSchema, event),
    timelines: receiver === own ? [own] : [receiver, own],
    adds: contactListing(sender, toUserId, state),
  };
}

/**
 * The same for both users: both ids in byte order. User ids are ASCII, so code units order like
 * bytes.
 */
export function directConversationId(first: string, second: string): string {
  return first < second ? `d:${first}:${second}` : `d:${second}:${first}`;
}
