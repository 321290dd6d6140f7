import type { DeviceRef, Store, UserRef } from "../store/store.ts";

/** A live session of this node, as the hub sees it. */
export interface HubMember {
  readonly device: DeviceRef;
  readonly generation: number;
  /** The user's timeline may have grown. */
  woken(head: number): void;
  /** A newer attachment of the same device exists. [SES-6] */
  superseded(): void;
  /** The device was ended. [DEV-5] */
  deviceEnded(): void;
}

/**
 * The live sessions of one node, by user. Never holds messages; it only wakes: what a wake-up
 * announces is read from the store.
 */
export class Hub {
  readonly #store: Store;
  readonly #users = new Map<UserRef, UserSessions>();
  #count = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get count(): number {
    return this.#count;
  }

  get members(): readonly HubMember[] {
    return [...this.#users.values()].flatMap(({ members }) => [...members]);
  }

  /** A generation is in force: ends the device's older sessions here. [SES-6] */
  fence({ user, deviceId }: DeviceRef, generation: number): void {
    for (const other of this.#users.get(user)?.members ?? []) {
      if (other.device.deviceId === deviceId && other.generation < generation) {
        other.superseded();
      }
    }
  }

  /** A device was ended: so are its sessions here, at once. [DEV-5] */
  endDevice({ user, deviceId }: DeviceRef): void {
    for (const member of [...(this.#users.get(user)?.members ?? [])]) {
      if (member.device.deviceId === deviceId) member.deviceEnded();
    }
  }

  /** Adds a session. Returns how to leave. */
  join(member: HubMember): () => void {
    const { user } = member.device;
    const sessions = this.#users.get(user) ?? this.#watch(user);
    sessions.members.add(member);
    this.#count += 1;
    return () => this.#leave(user, member);
  }

  #watch(user: UserRef): UserSessions {
    const members = new Set<HubMember>();
    const unwatch = this.#store.watch(user, (head) => {
      for (const member of members) member.woken(head);
    });
    const sessions = { members, unwatch };
    this.#users.set(user, sessions);
    return sessions;
  }

  #leave(user: UserRef, member: HubMember): void {
    const sessions = this.#users.get(user);
    if (sessions === undefined || !sessions.members.delete(member)) return;
    this.#count -= 1;
    if (sessions.members.size > 0) return;
    sessions.unwatch();
    this.#users.delete(user);
  }
}

interface UserSessions {
  readonly members: Set<HubMember>;
  readonly unwatch: () => void;
}
