import { type DeviceAddress, nameOf } from "./peer.ts";

/** How many may be held: with one device, with the devices of one user, and in all. */
export interface Bounds {
  readonly perDevice: number;
  readonly perUser: number;
  readonly all: number;
}

/** A handshake or a session, and with whom. */
export interface Held {
  readonly id: string;
  readonly peer: DeviceAddress;
}

/**
 * What has to go for one more with a device: of the device's own, then of its user's, then of the
 * user's who has most, the oldest each. So nobody keeps others out, however many devices are made
 * for it. [SEC-27] [SEC-34]
 *
 * @param held the oldest first
 */
export function makingRoom(held: Iterable<Held>, from: DeviceAddress, bounds: Bounds): string[] {
  const gone: string[] = [];
  let left = [...held];
  const drop = (of: readonly Held[], most: number) => {
    const ids = new Set(of.slice(0, Math.max(0, of.length + 1 - most)).map(({ id }) => id));
    left = left.filter(({ id }) => !ids.has(id));
    gone.push(...ids);
  };
  const { userId } = from;
  drop(
    left.filter(({ peer }) => nameOf(peer) === nameOf(from)),
    bounds.perDevice,
  );
  drop(
    left.filter(({ peer }) => peer.userId === userId),
    bounds.perUser,
  );
  while (left.length >= bounds.all) {
    const counts = new Map<string, number>([[userId, 0]]);
    for (const { peer } of left) counts.set(peer.userId, 1 + (counts.get(peer.userId) ?? 0));
    const most = Math.max(...counts.values());
    // Who has as many as anybody takes its own place, not another one's.
    const isIts = counts.get(userId) === most;
    const isMost = ({ peer }: Held) =>
      isIts ? peer.userId === userId : counts.get(peer.userId) === most;
    drop(left.filter(isMost).slice(0, 1), 1);
  }
  return gone;
}
