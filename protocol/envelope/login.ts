import { isEd25519Signed } from "./identity.ts";
import { ascii, concat, equalBytes, lv8 } from "./octets.ts";
import { type CryptoProvider, HASH_BYTES, type SigningKey } from "./provider.ts";
import { signedText } from "./transcript.ts";

const LOGIN = "Posthorn login v1";
const ANSWER = "Posthorn login srv v1";

/** Whose login it is, on which link. [ENV-35] */
export interface Login {
  readonly channelBinding: Uint8Array;
  /** 1 to 129 letters of ASCII. */
  readonly account: string;
  /** 1 to 64 letters of ASCII. */
  readonly deviceId: string;
}

/** The signature of a login proof, which is good on this link alone. [ENV-35] */
export function signLogin(key: SigningKey, login: Login): Uint8Array {
  return key.sign(loginText(login));
}

/** Whether a device's login key signed this login on this link. [ENV-35] */
export function isLoginOf(
  crypto: CryptoProvider,
  publicKey: Uint8Array,
  { signature, ...login }: Login & { readonly signature: Uint8Array },
): boolean {
  return isEd25519Signed(crypto, { publicKey, text: loginText(login), signature });
}

/** The service's answer: somebody in between has another binding, or not the secret. [ENV-36] */
export function loginAnswer(
  crypto: CryptoProvider,
  { registrationSecret, channelBinding }: LoginSecret,
): Uint8Array {
  if (registrationSecret.length !== HASH_BYTES) throw new RangeError("a secret has 32 bytes");
  return crypto.hmacSha256(registrationSecret, concat([ascii(ANSWER), channelBinding]));
}

/** Whether an answer is of the service that registered the device, on this link. [ENV-36] */
export function isLoginAnswer(
  crypto: CryptoProvider,
  secret: LoginSecret,
  mac: Uint8Array,
): boolean {
  return equalBytes(loginAnswer(crypto, secret), mac);
}

export interface LoginSecret {
  readonly registrationSecret: Uint8Array;
  readonly channelBinding: Uint8Array;
}

function loginText({ channelBinding, account, deviceId }: Login): Uint8Array {
  const names = [account, deviceId].map((name) => lv8(ascii(name)));
  return signedText(LOGIN, concat([channelBinding, ...names]));
}
