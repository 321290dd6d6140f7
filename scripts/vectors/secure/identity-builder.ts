import {
  big,
  drawn,
  ed25519Public,
  ed25519Sign,
  join,
  lv8,
  mlDsa65Public,
  mlDsa65Sign,
  signedText,
  xwingKey,
  xwingSeal,
} from "../envelope/primitives.ts";
import { P, th512 } from "./schedule.ts";

// Accounts and devices that are the same for the same name.

/** A composite signing key. [SEC-6] */
export interface VectorSigner {
  readonly ed25519_seed: Uint8Array;
  readonly ml_dsa_65_seed: Uint8Array;
  readonly ed25519: Uint8Array;
  readonly ml_dsa_65: Uint8Array;
}

export const CONTEXTS = {
  certificate: "Posthorn device certificate v1",
  offer: "Posthorn secure chat v1 offer",
  accept: "Posthorn secure chat v1 accept",
} as const;

/** Slow, and asked for again and again with the same bytes. */
function remembered<Made>(make: (...given: Uint8Array[]) => Made) {
  const known = new Map<string, Made>();
  return (...given: Uint8Array[]): Made => {
    const name = given.map((bytes) => Buffer.from(bytes).toString("base64")).join(" ");
    const made = known.get(name) ?? make(...given);
    known.set(name, made);
    return made;
  };
}

const mlDsaPublic = remembered((seed) => mlDsa65Public(seed as Uint8Array));
const mlDsaSigned = remembered((seed, text) => mlDsa65Sign(seed as Uint8Array, text as Uint8Array));
export const kemKey = remembered((seed) => xwingKey(seed as Uint8Array));
export const encapsulated = remembered((key, randomness) =>
  xwingSeal(key as Uint8Array, randomness as Uint8Array),
);

export function signer(name: string): VectorSigner {
  const ed25519_seed = drawn(`${name} ed25519`, 32);
  const ml_dsa_65_seed = drawn(`${name} ml-dsa-65`, 32);
  const ed25519 = ed25519Public(ed25519_seed);
  return { ed25519_seed, ml_dsa_65_seed, ed25519, ml_dsa_65: mlDsaPublic(ml_dsa_65_seed) };
}

/** Both halves over any text. */
export function signatureOver(by: VectorSigner, text: Uint8Array): Uint8Array {
  return join(ed25519Sign(by.ed25519_seed, text), mlDsaSigned(by.ml_dsa_65_seed, text));
}

/** [SEC-6] [SEC-7] */
export function composite(by: VectorSigner, context: string, hash: Uint8Array): Uint8Array {
  return signatureOver(by, signedText(context, hash));
}

export interface VectorDevice extends VectorSigner {
  readonly user_id: string;
  readonly device_id: string;
  /** The layout D. */
  readonly device: Uint8Array;
  readonly fingerprint: Uint8Array;
}

type Keys = Pick<VectorSigner, "ed25519" | "ml_dsa_65">;

/** [SEC-3] */
export function layoutOf(userId: string, deviceId: string, keys: Keys): Uint8Array {
  const names = [lv8(Buffer.from(userId)), lv8(Buffer.from(deviceId))];
  return join(big(1, 1), ...names, keys.ed25519, keys.ml_dsa_65);
}

/** [SEC-4] */
export function fingerprintOf(device: Uint8Array): Uint8Array {
  return th512(`${P} device`, device).subarray(0, 32);
}

/** [SEC-5] */
export function accountFingerprint({ ed25519, ml_dsa_65 }: Keys): Uint8Array {
  return th512(`${P} account`, ed25519, ml_dsa_65).subarray(0, 32);
}

export function deviceOf(user_id: string, device_id: string): VectorDevice {
  const keys = signer(`${user_id}/${device_id}`);
  const device = layoutOf(user_id, device_id, keys);
  return { ...keys, user_id, device_id, device, fingerprint: fingerprintOf(device) };
}
