import { type DevicePosition, type DeviceRef, type Store, userRefOf } from "../store/store.ts";
import type { WebhookSettings } from "./webhook-file.ts";

type CursorStore = Pick<Store, "loadDevices" | "prepare" | "attach" | "keep">;

/** Another user's timeline has other numbers, and so another cursor. */
type CursorOwner = Pick<WebhookSettings, "name" | "tenant" | "userId">;

/** Like a backend's stream, it is never attached a second time. */
const POSITION = { generation: 1, outboxEpoch: 1, resultsThrough: 0 } as const;

/** No user id has a colon: these are nobody's devices. */
const WEBHOOK_PREFIX = "webhook:";

/**
 * How far a webhook is, durably: two readers of the user's timeline as the store knows devices.
 * What lies between the two numbers is under way, and goes again under the same id after whatever
 * the process died of. [BCK-15] [BCK-17]
 */
export class WebhookCursor {
  readonly #store: CursorStore;
  readonly #taken: DeviceRef;
  readonly #tried: DeviceRef;
  /** Up to where the receiver has taken all. */
  takenThrough = 0;
  /** Up to where all was sent, taken or not. */
  triedThrough = 0;
  /** What is durable of the two. */
  #kept = { takenThrough: 0, triedThrough: 0 };

  private constructor(store: CursorStore, { name, tenant, userId }: CursorOwner) {
    // Each alone, so that no limit of devices is in the way.
    const reader = (deviceId: string) => {
      const owner = `${WEBHOOK_PREFIX}${name}:${userId}:${deviceId}`;
      return { user: userRefOf(tenant, owner), deviceId };
    };
    this.#store = store;
    this.#taken = reader("taken");
    this.#tried = reader("tried");
  }

  /** Finds what was kept; a webhook that is new begins before the first number. */
  static async open(store: CursorStore, owner: CursorOwner): Promise<WebhookCursor> {
    const cursor = new WebhookCursor(store, owner);
    cursor.takenThrough = await cursor.#open(cursor.#taken);
    cursor.triedThrough = await cursor.#open(cursor.#tried);
    const { takenThrough, triedThrough } = cursor;
    cursor.#kept = { takenThrough, triedThrough };
    return cursor;
  }

  /** Whether there is anything to keep. */
  get isChanged(): boolean {
    const { takenThrough, triedThrough } = this.#kept;
    return takenThrough !== this.takenThrough || triedThrough !== this.triedThrough;
  }

  /** Resolves when both numbers are durable. */
  async keep(): Promise<void> {
    const at = (device: DeviceRef, deliveredThrough: number): DevicePosition => {
      return { ...POSITION, device, deliveredThrough };
    };
    const { takenThrough, triedThrough } = this;
    await this.#store.keep([at(this.#taken, takenThrough), at(this.#tried, triedThrough)]);
    this.#kept = { takenThrough, triedThrough };
  }

  /** Where it was. */
  async #open(device: DeviceRef): Promise<number> {
    const known = await this.#store.loadDevices(device.user);
    const found = known.find(({ deviceId }) => deviceId === device.deviceId);
    if (found !== undefined && found.generation > 0) return found.deliveredThrough;
    const epoch = found === undefined ? 0 : POSITION.outboxEpoch;
    const prepared = await this.#store.prepare({
      device,
      outbox: { epoch, resultsThrough: 0, next: 1 },
      cursor: { epoch: 0, seq: 0, start: "earliest" },
    });
    if (prepared.kind === "refused") throw new Error(`a webhook's cursor: ${prepared.code}`);
    await this.#store.attach({ device, attachment: prepared.attachment });
    return 0;
  }
}
