import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { DeviceChange, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { EndDevice, NameDevice } from "../../gen/posthorn/v1/operation_pb.ts";
import { DEVICE_ID_PATTERN } from "../../protocol/limits.ts";
import type { AppendPlan, Plan } from "../store/plans.ts";
import {
  type Announcement,
  type DeviceRef,
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  userRefOf,
} from "../store/store.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { Sender } from "./plan.ts";

/** The most that a device's name may be, bytes of UTF-8. [DEV-9] */
export const DEVICE_NAME_BYTES_MAX = 128;

/** What a user calls a device. */
export function deviceNameRef(tenant: string, userId: string, deviceId: string): DocumentRef {
  return documentRefOf(tenant, `device-name:${userId}/${deviceId}`);
}

type Named = Pick<EndDevice | NameDevice, "deviceId">;

export function deviceReads({ deviceId }: Named, sender: Sender): PlanningReads {
  if (!DEVICE_ID_PATTERN.test(deviceId)) return { users: [] };
  return { users: [], devices: [deviceRef(deviceId, sender)] };
}

/** Ends one of the sender's devices for ever, its own one too. [DEV-2] [DEV-3] [DEV-4] */
export function planEndDevice(
  { deviceId }: EndDevice,
  sender: Sender,
  { devices }: PlanningState,
): Plan {
  const device = devices?.find((one) => isDevice(one, deviceRef(deviceId, sender)));
  if (device === undefined) return UNKNOWN;
  const { tenant, userId } = sender;
  // Ended already: there is nothing to change, and nobody to tell.
  if (device.isEnded) {
    const log = ownLog(tenant, userId);
    return nothingPlan(log, {});
  }
  const told = tellPlan(sender, { deviceId, change: DeviceChange.ENDED, name: "" });
  return { ...told, ends: [deviceRef(deviceId, sender)] };
}

/** Gives one of the sender's devices a name. [DEV-9] */
export function planNameDevice(
  { deviceId, name }: NameDevice,
  sender: Sender,
  { devices }: PlanningState,
): Plan {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > DEVICE_NAME_BYTES_MAX) {
    return { kind: "refuse", code: ErrorCode.CONTENT_INVALID };
  }
  const isKnown = devices?.some((one) => isDevice(one, deviceRef(deviceId, sender))) === true;
  if (!isKnown) return UNKNOWN;
  const { tenant, userId } = sender;
  const puts = [{ ref: deviceNameRef(tenant, userId, deviceId), bytes }];
  return { ...tellPlan(sender, { deviceId, change: DeviceChange.NAMED, name }), puts };
}

/** What tells a user's devices of the one that is new. [DEV-13] */
export function announcementOf(sender: Sender): Announcement {
  const { deviceId } = sender;
  const { log, event } = tellPlan(sender, { deviceId, change: DeviceChange.ADDED, name: "" });
  return { log, event };
}

const UNKNOWN: Plan = { kind: "refuse", code: ErrorCode.DEVICE_UNKNOWN };

function deviceRef(deviceId: string, { tenant, userId }: Sender): DeviceRef {
  return { user: userRefOf(tenant, userId), deviceId };
}

function isDevice(one: DeviceRef, other: DeviceRef): boolean {
  return one.user === other.user && one.deviceId === other.deviceId;
}

/** Told to the user's own devices, and to nobody else. [DEV-7] */
function tellPlan(
  { tenant, userId }: Sender,
  value: { readonly deviceId: string; readonly change: DeviceChange; readonly name: string },
): AppendPlan {
  const kind = { case: "deviceChanged" as const, value };
  return {
    kind: "append",
    log: ownLog(tenant, userId),
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: [userRefOf(tenant, userId)],
  };
}
