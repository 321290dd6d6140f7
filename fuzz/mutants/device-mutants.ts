import type { Mutant } from "./mutant.ts";

/** Bugs in what becomes of devices. */
export const DEVICE_MUTANTS: readonly Mutant[] = [
  {
    name: "ended-device-comes-back",
    title: "[DEV-6] lets a device that was ended attach again",
    file: "server/store/device-record.ts",
    find:
      'if (known?.isEnded) return violation(ErrorCode.DEVICE_ENDED, "DEV-6", ' +
      '"the device was ended");',
    replace: "",
    killedBy: "devices",
  },
  {
    name: "ended-before-ready",
    title: "[DEV-6] takes a Ready of a device that was ended since Welcome for an overtaken one",
    file: "server/store/device-record.ts",
    find: 'if (record?.isEnded) return { record: undefined, kind: "ended" };',
    replace: "",
    killedBy: "devices",
  },
  {
    name: "end-does-not-fence",
    title: "[DEV-5] lets what an ended device has under way have its effect",
    file: "server/store/device-record.ts",
    find: 'if (record?.isEnded) return { kind: "ended" };',
    replace: 'if (record?.isEnded) return { kind: "accepted", fresh: [...batch.submits] };',
    killedBy: "devices",
  },
  {
    name: "ended-session-untold",
    title: "[DEV-5] leaves the session of an ended device open",
    file: "server/sessions/hub.ts",
    find: "if (member.device.deviceId === deviceId) member.deviceEnded();",
    replace: "",
    killedBy: "devices",
  },
  {
    name: "device-outlives-its-own-end",
    title: "[DEV-3] does what a device submitted behind its own end",
    file: "server/store/group.ts",
    find: "if (isEnded) break;",
    replace: "",
    killedBy: "devices",
  },
  {
    name: "new-device-untold",
    title: "[DEV-13] tells nobody of a new device",
    file: "server/store/group.ts",
    find: "if (announces !== undefined && isFirst && this.#counts.hasAttached(user)) {",
    replace: "if (announces !== undefined && isFirst && !this.#counts.hasAttached(user)) {",
    killedBy: "devices",
  },
  {
    name: "new-device-every-time",
    title: "[DEV-13] tells of a device whenever it comes",
    file: "server/store/group.ts",
    find: 'const isFirst = before?.firstAttachedMs === 0 && kind === "attached";',
    replace: 'const isFirst = before !== undefined && kind === "attached";',
    killedBy: "devices",
  },
  {
    name: "one-device-too-many",
    title: "[DEV-8] lets one device more in than the limit says",
    file: "server/store/device-counts.ts",
    find: "before.living + living < this.#max",
    replace: "before.living + living <= this.#max",
    killedBy: "devices",
  },
  {
    name: "ended-devices-uncounted",
    title: "[DEV-8] makes room for ever by ending devices",
    file: "server/store/device-counts.ts",
    find: "return isRoom && before.all + all < this.#max * ENDED_FACTOR;",
    replace: "return isRoom;",
    killedBy: "devices",
  },
];
