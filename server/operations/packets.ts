import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { SendPacket } from "../../gen/posthorn/v1/operation_pb.ts";
import { SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../../protocol/limits.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { NameAddition, PerishableQueue, Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
  userRefOf,
} from "../store/store.ts";
import { blocksOf, blocksRef } from "./blocks.ts";
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

/** What of the service's room left one user's packets may take, and one tenant's. [SEC-97] */
const USER_SHARE_OF = 64;
const TENANT_SHARE_OF = 1;

/** How much may wait for one device, and of one sender for all. [SEC-90] [SEC-97] */
function queuesFor(
  { tenant, userId: senderId }: Sender,
  isOffer: boolean,
): readonly PerishableQueue[] {
  const shared = { countMax: Number.MAX_SAFE_INTEGER, bytesMax: Number.MAX_SAFE_INTEGER };
  const user = userRefOf(tenant, senderId);
  const offers = { name: `offers:${senderId}`, countMax: 2, bytesMax: MIB };
  return [
    { name: "all", countMax: 512, bytesMax: 8 * MIB },
    { name: `from:${senderId}`, countMax: 64, bytesMax: MIB },
    { ...shared, name: `user:${user}`, bytesMax: 32 * MIB, shareOf: USER_SHARE_OF },
    { ...shared, name: `tenant:${tenant}`, shareOf: TENANT_SHARE_OF },
    ...(isOffer ? [offers] : []),
  ];
}

/** What has to be read before a packet can be planned. */
export function sendPacketReads(operation: SendPacket, sender: Sender): PlanningReads {
  if (!USER_ID_PATTERN.test(operation.toUserId)) return { users: [] };
  const { tenant, userId } = sender;
  const { toUserId } = operation;
  return {
    users: [userRefOf(tenant, toUserId)],
    documents: [
      directoryRef(tenant, toUserId),
      directoryRef(tenant, userId),
      writersRef(tenant, userId),
      blocksRef(tenant, toUserId),
      blocksRef(tenant, userId),
    ],
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
  const read = documentsIn(state.documents);
  const refs = [toUserId, sender.userId].map((userId) => directoryRef(sender.tenant, userId));
  const [theirs, own] = refs.map(read) as [StoredDocument, StoredDocument];
  const blocks = blocksOf(sender, [toUserId], state);
  const listed = [...new Set(refs)].map((ref) => ({ ref, revision: read(ref).revision }));
  const requires = [...listed, ...blocks.requires];
  if (blocks.isKeptFrom(toUserId)) {
    return { kind: "refuse", code: ErrorCode.BLOCKED, requires };
  }
  const isOwn = toUserId === sender.userId && toDeviceId === sender.deviceId;
  const isListed = DEVICE_ID_PATTERN.test(toDeviceId) && isIn(theirs, toDeviceId, rules);
  // Whom the packet reaches need not have heard of a change yet. [SEC-98]
  const isOut = own.revision > 0 && !isIn(own, sender.deviceId, rules);
  if (isOwn || !isListed || isOut)
    return { kind: "refuse", code: ErrorCode.DEVICE_UNKNOWN, requires };
  const expiresMs = state.nowMs + operation.ttlS * 1000;
  const arrived = arrivedBy(sender, toDeviceId, expiresMs);
  return {
    kind: "append",
    log: ownLog(sender.tenant, toUserId),
    event: arrived(new Uint8Array(0)),
    timelines: [receiver],
    requires,
    adds: watchesOf(sender, toUserId, namesIn(read(writersRef(sender.tenant, sender.userId)))),
    perishable: {
      device: { user: receiver, deviceId: toDeviceId },
      event: arrived(operation.packet),
      expiresMs,
      queues: queuesFor(sender, kind === "offer"),
      full: ErrorCode.PACKET_QUEUE_FULL,
    },
  };
}

function isIn(document: StoredDocument, deviceId: string, rules: OperationRules) {
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

/** Who sent packets to a user. [SEC-86] */
function writersRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `writers:${userId}`);
}

/**
 * Whoever exchanges packets is told of the other's devices from then on, and from nobody's first
 * packet alone: that would let strangers push out those who are there. [SEC-86]
 */
function watchesOf(
  { tenant, userId }: Sender,
  toUserId: string,
  writers: readonly string[],
): readonly NameAddition[] {
  if (toUserId === userId) return [];
  const countMax = WATCHERS_MAX;
  const written = { ref: writersRef(tenant, toUserId), name: userId, countMax };
  if (!writers.includes(toUserId)) return [written];
  return [
    written,
    { ref: watchersRef(tenant, userId), name: toUserId, countMax },
    { ref: watchersRef(tenant, toUserId), name: userId, countMax },
  ];
}
