import type { EnvelopePolicy } from "../../gen/posthorn/v1/envelope_pb.ts";
import type { Plain } from "../plain.ts";
import type { LinkSecrets } from "./key-schedule.ts";
import type { CryptoProvider } from "./provider.ts";
import { Opener, Sealer } from "./sealing.ts";
import type { Suite } from "./suites.ts";
import type { Traffic } from "./wire.ts";

export type Policy = Plain<EnvelopePolicy>;

/** What both sides know once the handshake is over. */
export interface Established {
  /** 16 bytes, the same in both sides' logs. */
  readonly linkId: Uint8Array;
  /** What the link runs with; of a ticket alone, the ticket's suite. */
  readonly suite: Suite;
  /** What logins are bound to, 32 bytes. Not for logs. [ENV-35] */
  readonly channelBinding: Uint8Array;
  readonly serverId: Uint8Array;
  readonly policy: Policy;
  /** Whether a ticket was in force. */
  readonly isResumed: boolean;
}

/** The keys of both directions, as one role uses them; where they come from is erased. [ENV-5] */
export function trafficOf(
  crypto: CryptoProvider,
  role: "client" | "server",
  { suite, policy, secrets }: TrafficInput,
): Traffic {
  const { aead } = suite;
  const limits = { records: policy.rekeyRecords, bytes: policy.rekeyBytes };
  const up = { aead, limits, secret: secrets.clientTraffic };
  const down = { aead, limits, secret: secrets.serverTraffic };
  const [own, other] = role === "client" ? [up, down] : [down, up];
  const traffic = { sealer: new Sealer(crypto, own), opener: new Opener(crypto, other) };
  // From here on the keys are in one place, where they are erased. [ENV-39]
  secrets.clientTraffic.fill(0);
  secrets.serverTraffic.fill(0);
  return traffic;
}

export interface TrafficInput {
  readonly suite: Suite;
  readonly policy: Policy;
  readonly secrets: LinkSecrets;
}
