import type { EnvelopeCase, Failure } from "./cases.ts";
import { type About, appended, flipped, policySays, serverSays } from "./lies.ts";
import { type LinkPlan, LinkVector, linkText, serverIdOf } from "./link-builder.ts";
import { drawn, join, NOTHING, signedText, th } from "./primitives.ts";

/** Refused by the device at ServerHello. */
function answerRefused(
  [ids, name, description]: About,
  fault: Omit<LinkPlan, "name">,
  failure: Failure,
): EnvelopeCase {
  const link = new LinkVector({ name, ...fault });
  return link.refused([ids, `answer-${name}`, description], { judge: "device", failure, at: 2 });
}

const ANSWER_FORMS: readonly EnvelopeCase[] = [
  answerRefused(
    ["ENV-16", "version-2", "Version 2."],
    { lies: serverSays({ version: 2 }) },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "random-short", "31 random bytes."],
    { lies: serverSays({ serverRandom: drawn("short", 31) }) },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "link-id-long", "A link id of 17 bytes."],
    { lies: serverSays({ linkId: drawn("long", 17) }) },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "no-policy", "No policy."],
    { lies: serverSays({ policy: undefined }) },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "no-keys", "No identity."],
    { lies: serverSays({ serverKeys: undefined }) },
    "parse",
  ),
  ...(
    [
      ["rekey-records-1", { rekeyRecords: 1 }],
      ["rekey-records-high", { rekeyRecords: 2 ** 20 + 1 }],
      ["rekey-bytes-low", { rekeyBytes: 2 ** 21 - 1 }],
      ["rekey-bytes-high", { rekeyBytes: 2 ** 30 + 1 }],
      ["lifetime-0", { lifetimeS: 0 }],
      ["lifetime-high", { lifetimeS: 86_401 }],
      ["next-id-short", { nextServerId: drawn("next", 31) }],
    ] as const
  ).map(([name, change]) =>
    answerRefused(
      ["ENV-16", `policy-${name}`, "A rule of the link is out of its range."],
      { lies: policySays(change) },
      "parse",
    ),
  ),
  answerRefused(
    ["ENV-12 ENV-16", "unknown-field", "A field behind the confirm."],
    { lies: { serverBody: appended("2a0161") } },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "core-too-long", "A core of more than 8,000 bytes."],
    { lies: { serverCoreBytes: appended(`a206a635${"00".repeat(6822)}`) } },
    "parse",
  ),
  answerRefused(
    ["ENV-12 ENV-16", "body-cut", "The message ends within its confirm."],
    { lies: { serverBody: (body) => body.subarray(0, -1) } },
    "parse",
  ),
  answerRefused(
    ["ENV-16", "confirm-short", "A confirm of 31 bytes."],
    { lies: { serverConfirm: (confirm) => confirm.subarray(1) } },
    "parse",
  ),
];

const IMPOSTOR = drawn("another server id", 32);

const ANSWER_CHOICES: readonly EnvelopeCase[] = [
  answerRefused(
    ["ENV-13", "suite-not-offered", "A suite that was not offered."],
    {
      lies: { suite: 3 },
    },
    "policy",
  ),
  answerRefused(
    ["ENV-26", "suite-unknown", "An unknown suite."],
    {
      lies: serverSays({ suite: 0x7777 }),
    },
    "policy",
  ),
  answerRefused(
    ["ENV-13", "suite-0", "No suite and no ticket."],
    {
      lies: serverSays({ suite: 0 }),
    },
    "policy",
  ),
  answerRefused(
    ["ENV-29", "other-identity", "Another identity than the pinned one."],
    {
      device: { pins: [IMPOSTOR] },
    },
    "policy",
  ),
  answerRefused(
    ["ENV-29 ENV-27", "other-form", "The pin is of the same Ed25519 key alone."],
    {
      device: { pins: [serverIdOf()] },
      service: { hasMlDsa: true },
    },
    "policy",
  ),
  answerRefused(
    ["ENV-34", "min-suite-lower", "The promise is below the remembered one."],
    {
      device: { min_suite: 2 },
    },
    "policy",
  ),
  answerRefused(
    ["ENV-34", "min-suite-unknown", "A promise of an unknown suite."],
    {
      lies: policySays({ minSuite: 0x7777 }),
    },
    "policy",
  ),
  answerRefused(
    ["ENV-34", "min-suite-0", "No promise."],
    {
      lies: policySays({ minSuite: 0 }),
    },
    "policy",
  ),
  answerRefused(
    ["ENV-34", "min-suite-above", "A promise above the chosen suite."],
    {
      device: { suites: [1] },
      lies: policySays({ minSuite: 2 }),
    },
    "policy",
  ),
];

/** Somebody in between has changed ClientHello: the service signs another one. */
const DROPPED: Omit<LinkPlan, "name"> = {
  device: { suites: [2, 1] },
  service: { suites: [1] },
  lies: {
    signedText: ([hello, binder, said]) =>
      linkText([(hello as Uint8Array).subarray(0, 40), binder as Uint8Array, said as Uint8Array]),
  },
};

const ANSWER_SECRETS: readonly EnvelopeCase[] = [
  answerRefused(
    ["ENV-14 ENV-16", "signature-flipped", "A bit of the signature."],
    {
      lies: { signature: flipped(3) },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-14", "signature-other-hello", "The service saw another ClientHello."],
    DROPPED,
    "signature",
  ),
  answerRefused(
    ["ENV-14", "signature-no-hello", "ClientHello is not signed."],
    {
      lies: {
        signedText: ([, binder, said]) =>
          linkText([NOTHING, binder as Uint8Array, said as Uint8Array]),
      },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-14", "signature-login", "Signed as a login."],
    {
      lies: {
        signedText: (heard) => signedText("Posthorn login v1", th("phorn-link-1", ...heard)),
      },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-30", "algorithm-2", "One key and algorithm 2."],
    {
      lies: { algorithm: 2 },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-30", "algorithm-0", "No algorithm."],
    { lies: { algorithm: 0 } },
    "signature",
  ),
  answerRefused(
    ["ENV-30", "signature-half", "Two keys and one signature."],
    {
      service: { hasMlDsa: true },
      lies: { signature: (both) => both.subarray(0, 64) },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-30", "signature-second-wrong", "The second of two signatures."],
    {
      service: { hasMlDsa: true },
      lies: { signature: flipped(-1) },
    },
    "signature",
  ),
  answerRefused(
    ["ENV-25", "text-low-order", "A point of low order in the ciphertext."],
    {
      lies: { kemCiphertext: (text) => join(text.subarray(0, 1088), new Uint8Array(32)) },
    },
    "kem",
  ),
  answerRefused(
    ["ENV-25", "text-short", "A ciphertext of 1,119 bytes."],
    {
      lies: { kemCiphertext: (text) => text.subarray(1) },
    },
    "kem",
  ),
  answerRefused(
    ["ENV-22", "rsa-text-short", "An RSA ciphertext that is too short."],
    {
      device: { suites: [1] },
      lies: { kemCiphertext: (text) => text.subarray(1) },
    },
    "kem",
  ),
  answerRefused(
    ["ENV-25 ENV-17", "text-flipped", "A changed ciphertext fails at the confirm."],
    {
      lies: { kemCiphertext: flipped(7) },
    },
    "confirm",
  ),
  answerRefused(
    ["ENV-24 ENV-17", "rsa-text-flipped", "So does one of RSA."],
    {
      device: { suites: [1] },
      lies: { kemCiphertext: flipped(7) },
    },
    "confirm",
  ),
  answerRefused(
    ["ENV-17", "confirm-flipped", "A bit of the confirm."],
    {
      lies: { serverConfirm: flipped(0) },
    },
    "confirm",
  ),
  answerRefused(
    ["ENV-15 ENV-17", "other-secret", "The service has another secret."],
    {
      lies: { kemSecret: drawn("another secret", 32) },
    },
    "confirm",
  ),
];

export const REFUSED_ANSWERS: readonly EnvelopeCase[] = [
  ...ANSWER_FORMS,
  ...ANSWER_CHOICES,
  ...ANSWER_SECRETS,
];
