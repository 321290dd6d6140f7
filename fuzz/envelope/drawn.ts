import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const VECTORS = join(import.meta.dirname, "../../spec/vectors/envelope-handshake.json");

/** Bytes that look random and are the same for the same name. */
export function drawn(name: string, length: number): Uint8Array {
  return createHash("shake256", { outputLength: length }).update(name).digest();
}

/** The RSA key of the vectors: making one takes too long for a case. */
export function rsaKeyOfVectors(): KeyObject {
  const { cases } = JSON.parse(readFileSync(VECTORS, "utf8")) as {
    readonly cases: readonly { readonly rsa_pkcs8_hex?: string }[];
  };
  const hex = cases.find(({ rsa_pkcs8_hex: key }) => key !== undefined)?.rsa_pkcs8_hex ?? "";
  return createPrivateKey({ key: Buffer.from(hex, "hex"), format: "der", type: "pkcs8" });
}

let publicKey: Uint8Array | undefined;

/** Its public half, as an offer carries it. [ENV-21] */
export function rsaPublicKeyOfVectors(): Uint8Array {
  publicKey ??= Uint8Array.from(
    createPublicKey(rsaKeyOfVectors()).export({ format: "der", type: "spki" }),
  );
  return publicKey;
}
