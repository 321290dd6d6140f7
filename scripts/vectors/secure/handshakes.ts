import { appended } from "../envelope/lies.ts";
import { fromHex } from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import draft from "./draft.json" with { type: "json" };
import {
  CREATED_MS,
  type HandshakePlan,
  HandshakeVector,
  PARAMETERS,
  PHONE,
  TABLET,
  TTL_S,
} from "./handshake-builder.ts";
import { deviceOf } from "./identity-builder.ts";
import { firstSecrets, lastSecrets } from "./schedule.ts";

const IDS = "SEC-1 SEC-2 SEC-4 SEC-6 SEC-7 SEC-14 SEC-15 SEC-17 SEC-19 SEC-20";

function honest(ids: string, name: string, [description, plan = {}]: [string, HandshakePlan?]) {
  return new HandshakeVector(plan).valid([ids, `handshake-${name}`, description]);
}

/** Two clocks that are as far apart as they may be. */
function apart(name: string, description: string, aheadMs: number, beforeMs: number): SecureCase {
  const handshake = new HandshakeVector({ name });
  const atMs = [CREATED_MS + aheadMs, CREATED_MS + beforeMs, CREATED_MS + aheadMs + 1];
  const packets = handshake.arrivals(3).map((packet, index) => ({
    ...packet,
    at_ms: atMs[index] as number,
  }));
  return handshake.valid(["SEC-22", `handshake-${name}`, description], packets);
}

/** What the draft has; the cores in it are any bytes. */
function draftCase(): SecureCase {
  const hex = (name: "m1_core" | "m1_sig" | "m2_core" | "m2_sig" | "ss1" | "m3_core" | "ss2") =>
    fromHex(draft[name]);
  const offer = hex("m1_core");
  const [offerSignature, accept, acceptSignature] = [hex("m1_sig"), hex("m2_core"), hex("m2_sig")];
  const heard = { offer, offerSignature, accept, acceptSignature, z1: hex("ss1") };
  const first = firstSecrets(heard);
  const behind = { rk0: first.rk0, tag: first.tag_r, confirm: hex("m3_core"), z2: hex("ss2") };
  const secrets = { ...first, ...lastSecrets({ ...heard, ...behind }) };
  for (const name of ["th2s", "rk0", "tag_r", "th3", "rk1", "tag_i"] as const) {
    if (Buffer.from(secrets[name]).toString("hex") !== draft[name]) throw new TypeError(name);
  }
  const members = {
    offer,
    offer_signature: offerSignature,
    accept,
    accept_signature: acceptSignature,
    confirm: behind.confirm,
    secrets,
  };
  const description = "Secrets and tags, with cores and signatures of any bytes.";
  return secureCase(["SEC-15", "schedule-draft", description], "chat-schedule", members);
}

const FRANKING = { ...PARAMETERS, franking: true };

export const HANDSHAKES: readonly SecureCase[] = [
  draftCase(),
  honest(IDS, "plain", ["Two devices with nothing special."]),
  honest("SEC-16", "fresh", ["The same two devices, anew.", { name: "fresh" }]),
  honest("SEC-17", "other-way", ["The other one offers.", { offering: TABLET, accepting: PHONE }]),
  honest("SEC-4", "own-devices", [
    "Two devices of one user.",
    { accepting: deviceOf("alice", "laptop") },
  ]),
  honest("SEC-18", "lesser", [
    "Of each parameter the lesser.",
    {
      offered: { rekey_messages: 128, rekey_s: 60, lifetime_s: 604_800, franking: true },
      agreed: { rekey_messages: 1, rekey_s: 86_400, lifetime_s: 1, franking: false },
    },
  ]),
  honest("SEC-18", "franking", ["Both want franking.", { offered: FRANKING, agreed: FRANKING }]),
  honest("SEC-14", "unknown-fields-offering", [
    "Fields of a later version are passed over, and hashed: of offer and confirm.",
    {
      odd: "offering",
      lies: { offerCoreBytes: appended("f00101"), confirmCoreBytes: appended("f00102") },
    },
  ]),
  honest("SEC-14", "unknown-fields-accepting", [
    "Of the accept.",
    { odd: "accepting", lies: { acceptCoreBytes: appended("fa0103616263") } },
  ]),
  honest("SEC-14", "longest-core", [
    "A core of 4,096 bytes.",
    { odd: "offering", lies: { offerCoreBytes: (core) => padding(core, 4096) } },
  ]),
  honest("SEC-22", "longest-offer", ["An offer of one day.", { ttl_s: 86_400 }]),
  apart(
    "clock-ahead",
    "The accepting device's clock is 5 minutes ahead, and all packets arrive at the last moment.",
    TTL_S * 1000 + 300_000 - 2,
    TTL_S * 1000 - 1,
  ),
  apart("clock-behind", "It is 5 minutes behind.", -300_000, 1000),
];

/** An unknown field that makes a core so long. */
export function padding(core: Uint8Array, length: number): Uint8Array {
  const rest = length - core.length - 4;
  const head = Buffer.from([0xfa, 0x01, (rest & 0x7f) | 0x80, rest >> 7]);
  return Buffer.concat([core, head, new Uint8Array(rest)]);
}
