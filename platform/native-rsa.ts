import {
  constants,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { promisify } from "node:util";

/**
 * RSAES-OAEP of suite 0x0001 (RFC 8017 §7.1). Both hashes are SHA-256: Node takes one name for both
 * and means SHA-1 when it is not told. [ENV-22]
 */
const OAEP = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: "sha256",
  oaepLabel: Buffer.from("posthorn/link/v1/rsa-oaep"),
};

/** Bits of a fresh key; 2048 and 4096 are legal too. [ENV-21] */
const MODULUS_BITS = 3072;

/** An RSA key for one link: it decrypts once, then it is gone. [ENV-23] */
export class LinkRsaKey {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  #privateKey: KeyObject | undefined;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    this.publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  }

  /** Takes a tenth of a second on a small machine, off the event loop: have one ready. */
  static async generate(modulusBits: number = MODULUS_BITS): Promise<LinkRsaKey> {
    const { privateKey } = await promisify(generateKeyPair)("rsa", {
      modulusLength: modulusBits,
      publicExponent: 0x10001,
    });
    return new LinkRsaKey(privateKey);
  }

  /**
   * The secret; undefined when the ciphertext holds none. Whoever calls this must not let anybody
   * see the difference. [ENV-24]
   *
   * @throws RangeError the second time
   */
  decrypt(ciphertext: Uint8Array): Uint8Array | undefined {
    const key = this.#privateKey;
    if (key === undefined) throw new RangeError("this key has decrypted");
    this.#privateKey = undefined;
    try {
      return privateDecrypt({ key, ...OAEP }, ciphertext);
    } catch {
      return undefined;
    }
  }
}

/** The ciphertext; undefined for bytes that are no key. The machine has judged their form. */
export function rsaEncrypt(publicKey: Uint8Array, secret: Uint8Array): Uint8Array | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    return publicEncrypt({ key, ...OAEP }, secret);
  } catch {
    return undefined;
  }
}
