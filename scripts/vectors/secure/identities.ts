import { create, toBinary } from "@bufbuild/protobuf";
import { DeviceCertificateCoreSchema } from "../../../gen/posthorn/v1/secure_pb.ts";
import { appended, flipped } from "../envelope/lies.ts";
import { big, fromHex, join, signedText } from "../envelope/primitives.ts";
import { type SecureCase, type SecureFailure, secureCase } from "./cases.ts";
import {
  accountFingerprint,
  CONTEXTS,
  composite,
  deviceOf,
  fingerprintOf,
  layoutOf,
  signatureOver,
  signer,
  type VectorDevice,
} from "./identity-builder.ts";
import { P, th512 } from "./schedule.ts";

const PHONE = deviceOf("alice", "phone");
const LAPTOP = deviceOf("alice", "laptop");
const ACCOUNT = signer("account of alice");
const KEYS = { ed25519: PHONE.ed25519, ml_dsa_65: PHONE.ml_dsa_65 };

function device(name: string, description: string, [user_id, device_id]: [string, string]) {
  const layout = layoutOf(user_id, device_id, KEYS);
  const members = {
    user_id,
    device_id,
    ...KEYS,
    device: layout,
    fingerprint: fingerprintOf(layout),
  };
  return secureCase(["SEC-3 SEC-4", `device-${name}`, description], "device", members);
}

function noDevice(name: string, description: string, layout: Uint8Array): SecureCase {
  const about = ["SEC-3", `device-${name}`, description] as const;
  return secureCase(about, "device", { device: layout }, "CERTIFICATE_INVALID");
}

const D = PHONE.device;
const withEd = (hex: string) => layoutOf("alice", "phone", { ...KEYS, ed25519: fromHex(hex) });

const DEVICES: readonly SecureCase[] = [
  device("phone", "A device and its fingerprint.", ["alice", "phone"]),
  device("shortest", "Names of one letter.", ["a", "-"]),
  device("longest", "Names of 64 letters.", ["u".repeat(64), "d".repeat(64)]),
  device("all-letters", "Letters that are not in the alphabet.", ["a.b_c-1@x+y", "A.b_c-1"]),
  device("prefix", "Another cut between the same names is another device.", ["alicep", "hone"]),
  noDevice("version-2", "Another version.", join(big(2, 1), D.subarray(1))),
  noDevice("version-0", "Version 0.", join(big(0, 1), D.subarray(1))),
  noDevice("empty", "No bytes.", new Uint8Array(0)),
  noDevice("cut", "Its last byte is missing.", D.subarray(0, -1)),
  noDevice("longer", "One byte behind it.", appended("00")(D)),
  noDevice("no-user", "A user id of no letters.", layoutOf("", "phone", KEYS)),
  noDevice("no-name", "A device id of no letters.", layoutOf("alice", "", KEYS)),
  noDevice("user-65", "A user id of 65 letters.", layoutOf("u".repeat(65), "phone", KEYS)),
  noDevice("name-65", "A device id of 65 letters.", layoutOf("alice", "d".repeat(65), KEYS)),
  noDevice("name-space", "A device id with a space.", layoutOf("alice", "my phone", KEYS)),
  noDevice("name-umlaut", "A device id that is not ASCII.", layoutOf("alice", "gerät", KEYS)),
  noDevice("user-colon", "A user id with a colon.", layoutOf("al:ice", "phone", KEYS)),
  noDevice(
    "user-length",
    "The user id's length is one more.",
    join(big(1, 1), big(6, 1), D.subarray(2)),
  ),
  noDevice("ed25519-neutral", "The key of the neutral point.", withEd(`01${"00".repeat(31)}`)),
  noDevice("ed25519-order-4", "A key of order 4.", withEd("00".repeat(32))),
  noDevice("ed25519-long", "A key whose y is p + 1.", withEd(`ee${"ff".repeat(30)}7f`)),
  noDevice(
    "keys-swapped",
    "ML-DSA's key is cut short, Ed25519's comes twice.",
    join(D.subarray(0, -1952), KEYS.ml_dsa_65.subarray(0, 1920), KEYS.ed25519, big(0, 1)),
  ),
];

const ACCOUNTS: readonly SecureCase[] = ["account of alice", "account of bob"].map((name) => {
  const { ed25519, ml_dsa_65 } = signer(name);
  const members = { ed25519, ml_dsa_65, fingerprint: accountFingerprint({ ed25519, ml_dsa_65 }) };
  const id = name.replaceAll(" ", "-");
  return secureCase(["SEC-5", id, "An account's fingerprint."], "account", members);
});

const CREATED_MS = 1_767_225_600_000;
const EXPIRES_MS = CREATED_MS + 86_400_000;

interface CertificatePlan {
  readonly device?: Uint8Array;
  readonly created_ms?: number;
  readonly expires_ms?: number;
  readonly now_ms?: number;
  readonly user_id?: string;
  readonly core?: (core: Uint8Array) => Uint8Array;
  /** Of the core, where it is not the honest one. */
  readonly signature?: (core: Uint8Array) => Uint8Array;
  readonly behind?: (signature: Uint8Array) => Uint8Array;
}

const hashOf = (core: Uint8Array) => th512(P, core);
const honest = (core: Uint8Array) => composite(ACCOUNT, CONTEXTS.certificate, hashOf(core));
const unchanged = (bytes: Uint8Array) => bytes;

function coreOf(device: Uint8Array, createdMs: number, expiresMs: number): Uint8Array {
  const said = { device, createdMs: BigInt(createdMs), expiresMs: BigInt(expiresMs) };
  return toBinary(DeviceCertificateCoreSchema, create(DeviceCertificateCoreSchema, said));
}

function membersOf(plan: CertificatePlan) {
  const { created_ms = CREATED_MS, expires_ms = EXPIRES_MS, now_ms = CREATED_MS + 1 } = plan;
  const core = (plan.core ?? unchanged)(coreOf(plan.device ?? D, created_ms, expires_ms));
  const signature = (plan.behind ?? unchanged)((plan.signature ?? honest)(core));
  const account = { ed25519: ACCOUNT.ed25519, ml_dsa_65: ACCOUNT.ml_dsa_65 };
  const given = { account, user_id: plan.user_id ?? "alice", now_ms, core, signature };
  return { given, certified: { created_ms, expires_ms } };
}

function certificate(name: string, description: string, plan: CertificatePlan = {}): SecureCase {
  const { given, certified } = membersOf(plan);
  const { ed25519_seed } = ACCOUNT;
  const of: VectorDevice = plan.device === LAPTOP.device ? LAPTOP : PHONE;
  const { device_id, fingerprint } = of;
  const members = { ...given, ed25519_seed, certified: { device_id, fingerprint, ...certified } };
  const about = ["SEC-6 SEC-7 SEC-8 SEC-9", `certificate-${name}`, description] as const;
  return secureCase(about, "certificate", members);
}

type Rule = "SEC-3" | "SEC-6" | "SEC-7" | "SEC-8" | "SEC-9" | "SEC-10";

const noCertificate =
  (id: Rule, failure: SecureFailure = "CERTIFICATE_INVALID") =>
  (name: string, description: string, plan: CertificatePlan): SecureCase =>
    secureCase(
      [id, `certificate-${name}`, description],
      "certificate",
      membersOf(plan).given,
      failure,
    );

const OTHER = signer("account of bob");
const half = (bytes: Uint8Array) => [bytes.subarray(0, 64), bytes.subarray(64)] as const;
const mixed = (first: Uint8Array, second: Uint8Array) => join(half(first)[0], half(second)[1]);

const SIGNED: readonly SecureCase[] = [
  noCertificate("SEC-6")("ed25519-wrong", "A bit of the Ed25519 half.", { behind: flipped(40) }),
  noCertificate("SEC-6")("ml-dsa-wrong", "A bit of the ML-DSA half.", { behind: flipped(-1) }),
  noCertificate("SEC-6")("halves-of-two-texts", "The ML-DSA half is of another certificate.", {
    signature: (core) => mixed(honest(core), honest(coreOf(LAPTOP.device, CREATED_MS, EXPIRES_MS))),
  }),
  noCertificate("SEC-6")("halves-of-two-texts-other", "The Ed25519 half is.", {
    signature: (core) => mixed(honest(coreOf(LAPTOP.device, CREATED_MS, EXPIRES_MS)), honest(core)),
  }),
  noCertificate("SEC-6")("halves-of-two-keys", "The ML-DSA half is of another account.", {
    signature: (core) => mixed(honest(core), composite(OTHER, CONTEXTS.certificate, hashOf(core))),
  }),
  noCertificate("SEC-6")("halves-swapped", "ML-DSA's half first.", {
    behind: (signature) => join(half(signature)[1], half(signature)[0]),
  }),
  noCertificate("SEC-6")("ed25519-alone", "Only one half.", {
    behind: (signature) => half(signature)[0],
  }),
  noCertificate("SEC-6")("ml-dsa-alone", "Only the other one.", {
    behind: (signature) => half(signature)[1],
  }),
  noCertificate("SEC-6")("signature-longer", "A byte behind the signature.", {
    behind: appended("00"),
  }),
  noCertificate("SEC-6")("no-signature", "No signature.", { behind: () => new Uint8Array(0) }),
  ...(["offer", "accept"] as const).map((purpose) =>
    noCertificate("SEC-7")(`context-${purpose}`, `Signed as ${purpose}.`, {
      signature: (core) => composite(ACCOUNT, CONTEXTS[purpose], hashOf(core)),
    }),
  ),
  noCertificate("SEC-7")("not-hashed", "The core itself is signed.", {
    signature: (core) => composite(ACCOUNT, CONTEXTS.certificate, core),
  }),
  noCertificate("SEC-7")("hash-alone", "The hash alone is signed.", {
    signature: (core) => signatureOver(ACCOUNT, hashOf(core)),
  }),
  noCertificate("SEC-7")("hash-cut", "Half of the hash is signed.", {
    signature: (core) =>
      signatureOver(ACCOUNT, signedText(CONTEXTS.certificate, hashOf(core).subarray(0, 32))),
  }),
  noCertificate("SEC-7")("hash-label", "The hash is under the label of devices.", {
    signature: (core) => composite(ACCOUNT, CONTEXTS.certificate, th512(`${P} device`, core)),
  }),
  noCertificate("SEC-9")("other-account", "Signed by another account.", {
    signature: (core) => composite(OTHER, CONTEXTS.certificate, hashOf(core)),
  }),
  noCertificate("SEC-9")("by-device", "Signed by the device itself.", {
    signature: (core) => composite(PHONE, CONTEXTS.certificate, hashOf(core)),
  }),
];

const SKEW_MS = 300_000;

const CERTIFICATES: readonly SecureCase[] = [
  certificate("phone", "A certificate in its time."),
  certificate("laptop", "Another device of the same account.", { device: LAPTOP.device }),
  certificate("lasting", "One that does not end by itself.", { expires_ms: 0, now_ms: 2 ** 52 }),
  certificate("early", "5 minutes before it begins.", { now_ms: CREATED_MS - SKEW_MS }),
  certificate("late", "5 minutes after it has ended.", { now_ms: EXPIRES_MS + SKEW_MS }),
  certificate("unknown-field", "A later version's field is passed over, and hashed.", {
    core: appended("f00101"),
  }),
  ...SIGNED,
  noCertificate("SEC-8")("core-wrong", "A bit of the device's key.", {
    signature: (core) => honest(flipped(-20)(core)),
  }),
  noCertificate("SEC-8")("core-cut", "The core ends early.", {
    core: (core) => core.subarray(0, -1),
  }),
  noCertificate("SEC-8")("never-created", "Created at no time.", { created_ms: 0 }),
  noCertificate("SEC-8")("ends-at-once", "Ends when it begins.", {
    expires_ms: CREATED_MS,
    now_ms: CREATED_MS,
  }),
  noCertificate("SEC-8")("ends-before", "Ends before it begins.", {
    expires_ms: CREATED_MS - 1,
    now_ms: CREATED_MS,
  }),
  noCertificate("SEC-3")("no-device", "What it certifies is no device.", {
    device: D.subarray(0, -1),
  }),
  noCertificate("SEC-9")("other-user", "A device of somebody else.", { user_id: "bob" }),
  noCertificate("SEC-9")("longer-user", "The user asked for is a prefix.", { user_id: "alic" }),
  noCertificate("SEC-9")("too-early", "More than 5 minutes before it begins.", {
    now_ms: CREATED_MS - SKEW_MS - 1,
  }),
  noCertificate("SEC-9", "SECURE_EXPIRED")("too-late", "More than 5 minutes after it has ended.", {
    now_ms: EXPIRES_MS + SKEW_MS + 1,
  }),
];

export const IDENTITIES: readonly SecureCase[] = [...DEVICES, ...ACCOUNTS, ...CERTIFICATES];
