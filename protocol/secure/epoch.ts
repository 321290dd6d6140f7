import type { CryptoProvider } from "../envelope/provider.ts";
import {
  type ChainDirection,
  chainKey,
  type NextRootInput,
  nextRoot,
  nextRootSalt,
} from "./schedule.ts";

/**
 * What is kept of an epoch's root. The root itself is gone: with it every message of the epoch
 * could be opened again. [SEC-41]
 */
export interface EpochSecrets {
  readonly epoch: number;
  /** The first chain keys. */
  readonly chains: Readonly<Record<ChainDirection, Uint8Array>>;
  /** Where the next root comes from, with a new secret. */
  readonly salt: Uint8Array;
}

/** Takes a root apart, and erases it. [SEC-41] */
export function epochSecrets(
  crypto: CryptoProvider,
  root: Uint8Array,
  epoch: number,
): EpochSecrets {
  const chains = {
    i2r: chainKey(crypto, { root, direction: "i2r", epoch }),
    r2i: chainKey(crypto, { root, direction: "r2i", epoch }),
  };
  // Modulo 2^32: the last epoch has no next one, and nobody asks for its salt. [SEC-43]
  const salt = nextRootSalt(crypto, root, epoch + 1);
  root.fill(0);
  return { epoch, chains, salt };
}

/** The secrets of the next epoch; the secret that was agreed on is erased. [SEC-57] */
export function nextEpochSecrets(crypto: CryptoProvider, input: NextRootInput): EpochSecrets {
  const root = nextRoot(crypto, input);
  input.secret.fill(0);
  return epochSecrets(crypto, root, input.epoch);
}

export function eraseEpochSecrets({ chains, salt }: EpochSecrets): void {
  chains.i2r.fill(0);
  chains.r2i.fill(0);
  salt.fill(0);
}
