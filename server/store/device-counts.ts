import type { DeviceRecord } from "./device-record.ts";
import { DEVICES_MAX, type KnownDevice, type UserRef } from "./store.ts";

/** How many times as many with those that were ended: they are kept for ever. [DEV-8] */
const ENDED_FACTOR = 4;

interface Count {
  readonly living: number;
  /** Living or ended. */
  readonly all: number;
  /** Of all, those whose attachment was ever in force. */
  readonly attached: number;
}

/** Where the devices are that were there as a group begins. */
interface DevicesView {
  devices(user: UserRef): readonly KnownDevice[];
}

/** How many devices users have, with what one group adds. [DEV-8] */
export class DeviceCounts {
  readonly #view: DevicesView;
  readonly #max: number;
  /** As the group begins. Counted once: many new devices of one user may come at once. */
  readonly #before = new Map<UserRef, Count>();
  readonly #added = new Map<UserRef, Count>();

  constructor(view: DevicesView, max: number = DEVICES_MAX) {
    this.#view = view;
    this.#max = max;
  }

  hasRoom(user: UserRef): boolean {
    const before = this.#countBefore(user);
    const { living, all } = this.#added.get(user) ?? NONE;
    const isRoom = before.living + living < this.#max;
    return isRoom && before.all + all < this.#max * ENDED_FACTOR;
  }

  /** Whether an attachment of any device of the user was ever in force. [DEV-13] */
  hasAttached(user: UserRef): boolean {
    const { attached } = this.#added.get(user) ?? NONE;
    return this.#countBefore(user).attached + attached > 0;
  }

  /** A device's record takes the place of another one. */
  changed(user: UserRef, from: DeviceRecord | undefined, to: DeviceRecord): void {
    const living = Number(!to.isEnded) - Number(from?.isEnded === false);
    const all = Number(from === undefined);
    const attached = Number(to.firstAttachedMs > 0) - Number((from?.firstAttachedMs ?? 0) > 0);
    if (living === 0 && all === 0 && attached === 0) return;
    const added = this.#added.get(user) ?? NONE;
    this.#added.set(user, {
      living: added.living + living,
      all: added.all + all,
      attached: added.attached + attached,
    });
  }

  #countBefore(user: UserRef): Count {
    const counted = this.#before.get(user);
    if (counted !== undefined) return counted;
    const devices = this.#view.devices(user);
    const living = devices.filter(({ isEnded }) => !isEnded).length;
    const attached = devices.filter(({ firstAttachedMs }) => firstAttachedMs > 0).length;
    const count = { living, all: devices.length, attached };
    this.#before.set(user, count);
    return count;
  }
}

const NONE: Count = { living: 0, all: 0, attached: 0 };
