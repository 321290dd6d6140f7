import type { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import { deviceNameRef } from "../operations/devices.ts";
import { documentsIn } from "../store/documents.ts";
import { type Store, userRefOf } from "../store/store.ts";
import type { Caller } from "./access.ts";
import type { Implementation } from "./service.ts";

/** Answers which devices the caller has. [DEV-10] */
export function devices(store: Store): Implementation<typeof DevicesService> {
  return {
    list: async (_, { tenant, userId, deviceId: askingId }) => {
      const known = await store.loadDevices(userRefOf(tenant, userId));
      const refOf = (deviceId: string) => deviceNameRef(tenant, userId, deviceId);
      const refs = known.map(({ deviceId }) => refOf(deviceId));
      const { documents } = await store.loadForPlanning({ users: [], documents: refs });
      const nameOf = (deviceId: string) =>
        new TextDecoder().decode(documentsIn(documents)(refOf(deviceId)).bytes);
      return {
        devices: known.map(({ deviceId, firstAttachedMs, lastAttachedMs, isEnded }) => ({
          deviceId,
          name: nameOf(deviceId),
          firstAttachedMs: BigInt(firstAttachedMs),
          lastAttachedMs: BigInt(lastAttachedMs),
          ended: isEnded,
          asking: deviceId === askingId,
        })),
      };
    },
  };
}

/** Tells whether the device that a caller says it is was ended, as was committed last. [DEV-12] */
export function endedDevices(
  store: Pick<Store, "loadForPlanning">,
): (caller: Caller) => Promise<boolean> {
  return async ({ tenant, userId, deviceId }) => {
    const device = { user: userRefOf(tenant, userId), deviceId };
    const { devices: known = [] } = await store.loadForPlanning({ users: [], devices: [device] });
    return known.some(({ isEnded }) => isEnded);
  };
}
