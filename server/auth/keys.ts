import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { calculateJwkThumbprint, type JWK } from "jose";
import { ConfigError } from "../config-error.ts";

/**
 * How a token may be signed. One key serves one of them, so that no token can choose for itself.
 * [AUT-1]
 */
export const TOKEN_ALGORITHMS = ["HS256", "EdDSA", "ES256", "RS256"] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

export interface TokenKey {
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
  /** Undefined: may have signed a token with any `kid`. */
  readonly kid: string | undefined;
}

/** The content of a key file. */
export interface KeySource {
  /** The configuration key or flag that named the file, for errors. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** RFC 7518 §3.2: a key of the size of the hash or larger. */
const SECRET_BYTES_MIN = 32;
/** RFC 7518 §3.3. */
const RSA_BITS_MIN = 2048;

/**
 * The HS256 key: the file without the line breaks at its end, which editors and shells add. Throws
 * ConfigError.
 */
export function secretFrom({ key, bytes }: KeySource): TokenKey {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end -= 1;
  if (end < SECRET_BYTES_MIN) {
    throw new ConfigError({
      key,
      problem: `a secret needs ${SECRET_BYTES_MIN} bytes, this has ${end}`,
    });
  }
  const secret = createSecretKey(bytes.subarray(0, end));
  return { algorithm: "HS256", key: secret, kid: undefined };
}

/**
 * The public keys of a PEM, JWK or JWKS file; of private keys only the public half is kept. Keys of
 * a set that are not for signatures of our algorithms are left out (RFC 7517 §5). Throws
 * ConfigError when none is left.
 */
export function verificationKeysFrom(source: KeySource): readonly TokenKey[] {
  const keys = read(source, "public", createPublicKey);
  if (keys.length > 0) return keys;
  throw new ConfigError({ key: source.key, problem: `holds no ${USABLE} public key` });
}

/** The one private key of a PEM or JWK file. Throws ConfigError. */
export function signingKeyFrom(source: KeySource): TokenKey {
  const [key] = read(source, "private", createPrivateKey);
  if (key !== undefined) return key;
  throw new ConfigError({ key: source.key, problem: `holds no ${USABLE} private key` });
}

/** A new HS256 secret as the text of its file: 256 random bits. */
export function newSecretText(): string {
  return `${randomBytes(SECRET_BYTES_MIN).toString("base64url")}\n`;
}

/**
 * A new Ed25519 key pair as the texts of its files. A JWK gets its thumbprint as `kid` (RFC 7638).
 */
export async function newKeyTexts(
  format: "pem" | "jwk",
): Promise<{ readonly privateText: string; readonly publicText: string }> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  if (format === "pem") {
    return {
      privateText: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
      publicText: publicKey.export({ format: "pem", type: "spki" }) as string,
    };
  }
  const kid = await calculateJwkThumbprint(publicKey.export({ format: "jwk" }) as JWK);
  const jwkText = (key: KeyObject) => {
    const jwk = { ...key.export({ format: "jwk" }), kid, use: "sig", alg: "EdDSA" };
    return `${JSON.stringify(jwk, null, 2)}\n`;
  };
  return { privateText: jwkText(privateKey), publicText: jwkText(publicKey) };
}

const USABLE = "Ed25519, P-256 or RSA (2048 bits or more)";

type Import = (input: string | { readonly key: JsonWebKey; readonly format: "jwk" }) => KeyObject;

function read({ key, bytes }: KeySource, kind: "public" | "private", create: Import): TokenKey[] {
  const text = Buffer.from(bytes).toString("utf8");
  if (!text.trimStart().startsWith("{")) {
    try {
      return tokenKeys(create(text), {});
    } catch {
      // What the library says of a key that it cannot read may quote it. [AUT-5]
      throw new ConfigError({ key, problem: `is no ${kind} key in PEM, JWK or JWKS form` });
    }
  }
  return jwksOf(text, key).flatMap((jwk) => {
    try {
      return tokenKeys(create({ key: jwk as JsonWebKey, format: "jwk" }), jwk);
    } catch {
      return [];
    }
  });
}

function jwksOf(text: string, key: string): readonly JWK[] {
  let parsed: JWK & { readonly keys?: unknown };
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ConfigError({ key, problem: "is not JSON" });
  }
  const keys = parsed.keys === undefined ? [parsed] : parsed.keys;
  const legal = Array.isArray(keys) && keys.every((jwk) => typeof jwk === "object" && jwk !== null);
  if (legal) return keys;
  throw new ConfigError({ key, problem: "is no JWK Set: keys must be a list of objects" });
}

function tokenKeys(key: KeyObject, { alg, use, kid }: JWK): TokenKey[] {
  const algorithm = algorithmFor(key);
  const fits = (alg === undefined || alg === algorithm) && (use === undefined || use === "sig");
  return algorithm === undefined || !fits ? [] : [{ algorithm, key, kid }];
}

function algorithmFor(key: KeyObject): TokenAlgorithm | undefined {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return "EdDSA";
    case "ec":
      return namedCurve === "prime256v1" ? "ES256" : undefined;
    case "rsa":
      return modulusLength >= RSA_BITS_MIN ? "RS256" : undefined;
    default:
      return undefined;
  }
}
