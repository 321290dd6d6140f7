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

/** Says whether the device that a caller names was ended, by what was committed last. */
export function endedIn(store: Pick<Store, "loadForPlanning">) {
  return async ({ tenant, userId, deviceId }: Caller): Promise<boolean> => {
    if (deviceId === "") return false;
    const ref = { user: userRefOf(tenant, userId), deviceId };
    const { devices = [] } = await store.loadForPlanning({ users: [], devices: [ref] });
    return devices.some(({ isEnded }) => isEnded);
  };
}
