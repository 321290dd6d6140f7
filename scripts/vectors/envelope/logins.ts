import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import {
  ascii,
  drawn,
  ed25519Public,
  ed25519Sign,
  hmac,
  join,
  lv8,
  NOTHING,
  signedText,
} from "./primitives.ts";

const BINDING = drawn("channel binding", 32);
const OTHER_BINDING = drawn("channel binding of another link", 32);
const KEY = drawn("login key", 32);
const SECRET = drawn("registration secret", 32);

interface Login {
  readonly binding?: Uint8Array;
  readonly account?: string;
  readonly device?: string;
  readonly context?: string;
  readonly key?: Uint8Array;
}

/** [ENV-35] */
function loginText({ binding, account, device, context }: Login): Uint8Array {
  const names = [account ?? "alice", device ?? "phone"].map((name) => lv8(ascii(name)));
  return signedText(context ?? "Posthorn login v1", join(binding ?? BINDING, ...names));
}

const proof = (login: Login) => ed25519Sign(login.key ?? KEY, loginText(login));

/** What the service is shown, and who really signed what. */
function login(
  name: string,
  description: string,
  [shown, signed]: readonly [shown: Login, signed?: Login],
): EnvelopeCase {
  const members = {
    channel_binding: shown.binding ?? BINDING,
    account: shown.account ?? "alice",
    device_id: shown.device ?? "phone",
    public_key: ed25519Public(KEY),
    signature: proof(signed ?? shown),
  };
  const about = ["ENV-35", `login-${name}`, description] as const;
  return envelopeCase(about, "login", members, signed === undefined ? undefined : "signature");
}

function answer(name: string, description: string, [mac, isRight]: [Uint8Array, boolean]) {
  const members = { registration_secret: SECRET, channel_binding: BINDING, mac };
  const about = ["ENV-36", `answer-${name}`, description] as const;
  return envelopeCase(about, "login-answer", members, isRight ? undefined : "confirm");
}

const macOf = (label: string, binding: Uint8Array, secret = SECRET) =>
  hmac(secret, join(ascii(label), binding));
const ANSWER = "Posthorn login srv v1";

export const LOGINS: readonly EnvelopeCase[] = [
  login("right", "A device on its own link.", [{}]),
  login("longest", "Names of 64 bytes.", [{ account: "a".repeat(64), device: "d".repeat(64) }]),
  login("shortest", "Names of one byte.", [{ account: "a", device: "d" }]),
  login("relayed", "Signed on another link: somebody is in between.", [
    {},
    { binding: OTHER_BINDING },
  ]),
  login("other-account", "Signed for another account.", [{}, { account: "alicia" }]),
  login("other-device", "Signed for another device.", [{}, { device: "tablet" }]),
  login("moved", "A letter has moved from one name to the other.", [
    { account: "alice", device: "phone" },
    { account: "alicep", device: "hone" },
  ]),
  login("swapped", "The names have changed places.", [{}, { account: "phone", device: "alice" }]),
  login("other-key", "Signed with another key.", [{}, { key: drawn("another login key", 32) }]),
  login("other-context", "Signed as a service signs a link.", [
    {},
    { context: "Posthorn link v1 server signature" },
  ]),
  login("no-context", "Signed without a context.", [{}, { context: "" }]),
  answer("right", "The service of the registration.", [macOf(ANSWER, BINDING), true]),
  answer("relayed", "The answer on another link.", [macOf(ANSWER, OTHER_BINDING), false]),
  answer("other-secret", "Another registration's secret.", [
    macOf(ANSWER, BINDING, drawn("another secret", 32)),
    false,
  ]),
  answer("other-label", "The label of the proof.", [macOf("Posthorn login v1", BINDING), false]),
  answer("no-label", "No label.", [macOf("", BINDING), false]),
  answer("cut", "31 of its 32 bytes.", [macOf(ANSWER, BINDING).subarray(0, 31), false]),
  answer("empty", "No bytes.", [NOTHING, false]),
];
