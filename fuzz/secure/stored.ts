import { StateReader } from "../../protocol/secure/stored-state.ts";

/** What somebody finds who takes a session's stored state. */
export interface StolenState {
  readonly sessionId: Uint8Array;
  readonly epoch: number;
  /** How many messages were sealed in the epoch before. */
  readonly pn: number;
  /** Of chains, that of sending first, each with the number of its next message. */
  readonly chains: readonly { readonly key: Uint8Array; readonly next: number }[];
  readonly salt: Uint8Array;
  readonly seed: Uint8Array | undefined;
  /** The key that was offered or the ciphertext that answered one. */
  readonly step: Uint8Array | undefined;
  /** Message keys. */
  readonly skipped: readonly Uint8Array[];
}

/** Reads the layout of [SEC-70] once more; undefined for another one. */
export function stolenFrom(state: Uint8Array): StolenState | undefined {
  const from = new StateReader(state);
  from.u32();
  const sessionId = from.bytes(16);
  from.flag();
  from.bytes(32);
  from.bytes(32);
  for (let at = 0; at < 3; at += 1) from.u32();
  from.flag();
  from.u64();
  from.u32();
  from.u32();
  from.u64();
  const epoch = from.u32();
  const pn = from.u32();
  const sending = { key: from.bytes(64), next: from.u64() };
  const receiving = from.list(16, () => receivingOf(from));
  const salt = from.bytes(64);
  from.u64();
  from.u32();
  const seed = from.maybe(() => from.bytes(32));
  const step = from.maybe(() => stepOf(from));
  const skipped = from.list(100_000, () => skippedOf(from));
  const chains = [sending, ...receiving.filter(({ key }) => key.length > 0)];
  return from.isWhole ? { sessionId, epoch, pn, chains, salt, seed, step, skipped } : undefined;
}

function receivingOf(from: StateReader) {
  const number = () => from.u64();
  const hash = () => from.bytes(64);
  from.u32();
  const key = from.maybe(hash) ?? new Uint8Array(0);
  const next = from.u64();
  for (let at = 0; at < 3; at += 1) from.maybe(number);
  from.maybe(hash);
  from.maybe(hash);
  return { key, next };
}

function stepOf(from: StateReader): Uint8Array {
  from.flag();
  const bytes = from.bytes();
  from.u32();
  return bytes;
}

function skippedOf(from: StateReader): Uint8Array {
  from.u32();
  from.u32();
  const key = from.bytes(64);
  from.u64();
  return key;
}
