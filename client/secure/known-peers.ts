import { equalBytes } from "../../protocol/envelope/octets.ts";
import type { Continuity } from "../../protocol/secure/peer.ts";

/** What a device remembers of somebody's account. */
export interface KnownPeer {
  /** AFP: 32 bytes. [SEC-5] */
  readonly fingerprint: Uint8Array;
  /** The safety number was compared. */
  readonly verified: boolean;
  readonly firstSeenMs: number;
}

/** Where that is kept. Durable when it resolves. */
export interface PeerMemory {
  load(userId: string): Promise<KnownPeer | undefined>;
  save(userId: string, peer: KnownPeer): Promise<void>;
}

/** As long as its process lives: everybody is seen for the first time in the next one. */
export function memoryPeers(): PeerMemory {
  const known = new Map<string, KnownPeer>();
  return {
    load: async (userId) => known.get(userId),
    save: async (userId, peer) => {
      known.set(userId, peer);
    },
  };
}

/** How far an account is known to be somebody's: what an application shows beside a name. */
export type PeerTrust =
  /** Its safety number was compared. */
  | "verified"
  /** It is whoever was there the last time. */
  | "seen-before"
  /** It is whoever was there now. */
  | "first-seen"
  /** It is somebody else than before: nothing is sent until the user says so. */
  | "changed";

/** What an account that is shown now is to this device. Nothing is remembered by looking. */
export async function judgePeer(
  memory: PeerMemory,
  userId: string,
  fingerprint: Uint8Array,
): Promise<PeerTrust> {
  const known = await memory.load(userId);
  if (known === undefined) return "first-seen";
  if (!equalBytes(known.fingerprint, fingerprint)) return "changed";
  return known.verified ? "verified" : "seen-before";
}

/** What the machine of the chats is to know of that. [SEC-11] */
export function continuityOf(trust: PeerTrust): Continuity {
  return trust === "changed" || trust === "first-seen" ? trust : "known";
}
