import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { SendPacket } from "../../gen/posthorn/v1/operation_pb.ts";
import { SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../../protocol/limits.ts";
import {
  documentsIn,
  type PerishableQueue,
  type Plan,
  type PlanningReads,
  type PlanningState,
  userRefOf,
} from "../store/store.ts";
import { directoryIn, directoryRef, ownLog, watchersRef } from "./directory.ts";
import type { OperationRules, Sender } from "./plan.ts";

/** [SEC-88] */
export const PACKET_BYTES_MAX = 73_728;
export const PACKET_TTL_S_MAX = 604_800;
/** What an event has besides its packet, and its frame besides the event: ids and numbers. */
const AROUND_BYTES = 512;
/** The newest pairs of users that are told of each other's devices. [SEC-86] */
const WATCHERS_MAX = 256;

const MIB = 1024 * 1024;

/** How much may wait for one device. [SEC-90] */
function queuesFor(senderId: string, isOffer: boolean): readonly PerishableQueue[] {
  const offers = { name: `offers:${senderId}`, countMax: 2, bytesMax: MIB };
  return [
    { name: "all", countMax: 512, bytesMax: 8 * MIB },
    { name: `from:${senderId}`, countMax: 64, bytesMax: MIB },
    ...(isOffer ? [offers] : []),
  ];
}

/** What has to be read before a packet can be planned. */
export function sendPacketReads(operation: SendPacket, sender: Sender): PlanningReads {
  if (!USER_ID_PATTERN.test(operation.toUserId)) return { users: [] };
  const { tenant } = sender;
  return {
    users: [userRefOf(tenant, operation.toUserId)],
    documents: [directoryRef(tenant, operation.toUserId)],
  };
}

/** A packet for one device. [SEC-87] to [SEC-91] */
export function planSendPacket(
  operation: SendPacket,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { toUserId, toDeviceId } = operation;
  const kind = kindOf(operation, rules);
  if (kind === undefined) return { kind: "refuse", code: ErrorCode.PACKET_INVALID };
  if (!USER_ID_PATTERN.test(toUserId)) return { kind: "refuse", code: ErrorCode.USER_ID_INVALID };
  const receiver = userRefOf(sender.tenant, toUserId);
  if (!state.knownUsers.has(receiver)) return { kind: "refuse", code: ErrorCode.USER_UNKNOWN };
  const ref = directoryRef(sender.tenant, toUserId);
  const document = documentsIn(state.documents)(ref);
  const requires = [{ ref, revision: document.revision }];
  const isOwn = toUserId === sender.userId && toDeviceId === sender.deviceId;
  const isListed = DEVICE_ID_PATTERN.test(toDeviceId) && isIn(document, toDeviceId, rules);
  if (isOwn || !isListed) return { kind: "refuse", code: ErrorCode.DEVICE_UNKNOWN, requires };
  const expiresMs = state.nowMs + operation.ttlS * 1000;
  const arrived = arrivedBy(sender, toDeviceId, expiresMs);
  return {
    kind: "append",
    log: ownLog(sender.tenant, toUserId),
    event: arrived(new Uint8Array(0)),
    timelines: [receiver],
    requires,
    adds: toUserId === sender.userId ? [] : watchesOf(sender, toUserId),
    perishable: {
      device: { user: receiver, deviceId: toDeviceId },
      event: arrived(operation.packet),
      expiresMs,
      queues: queuesFor(sender.userId, kind === "offer"),
      full: ErrorCode.PACKET_QUEUE_FULL,
    },
  };
}

function isIn(
  document: Parameters<typeof directoryIn>[0],
  deviceId: string,
  rules: OperationRules,
) {
  return directoryIn(document, rules.crypto).devices.has(deviceId);
}

/** The kind of a packet that may be sent; nothing else of it is looked at. [SEC-88] */
function kindOf({ packet, ttlS }: SendPacket, { frameBytes }: OperationRules) {
  const bytesMax = Math.min(PACKET_BYTES_MAX, frameBytes - AROUND_BYTES);
  if (packet.length > bytesMax || ttlS < 1 || ttlS > PACKET_TTL_S_MAX) return undefined;
  try {
    return fromBinary(SecurePacketSchema, packet, { readUnknownFields: false }).kind.case;
  } catch {
    return undefined;
  }
}

/** The event, with or without its packet. */
function arrivedBy(
  { userId, deviceId }: Sender,
  toDeviceId: string,
  expiresMs: number,
): (packet: Uint8Array) => Uint8Array {
  return (packet) => {
    const value = {
      senderUserId: userId,
      senderDeviceId: deviceId,
      toDeviceId,
      expiresMs: BigInt(expiresMs),
      packet,
    };
    const event = create(EventSchema, { kind: { case: "packetArrived", value } });
    return toBinary(EventSchema, event);
  };
}

/** Whoever exchanges packets is told of the other's devices from then on. [SEC-86] */
function watchesOf({ tenant, userId }: Sender, toUserId: string) {
  return [
    { ref: watchersRef(tenant, userId), name: toUserId, countMax: WATCHERS_MAX },
    { ref: watchersRef(tenant, toUserId), name: userId, countMax: WATCHERS_MAX },
  ];
}
