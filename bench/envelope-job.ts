import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../protocol/envelope/noble.ts";
import type { CryptoProvider } from "../protocol/envelope/provider.ts";
import {
  SUITE_RSA_AES128,
  SUITE_TICKET_ONLY,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
  SUITES,
  type Suite,
} from "../protocol/envelope/suites.ts";
import { EnvelopePair, freshBook, freshIdentity, type HandshakeSetup } from "./envelope-pair.ts";
import type { JobOptions, Result } from "./job.ts";
import { bareCipher } from "./limits.ts";

const PROVIDERS: readonly CryptoProvider[] = [NATIVE_CRYPTO, NOBLE_CRYPTO];
const CONTENT_BYTES = [256, 16 * 1024] as const;
const HANDSHAKES = [
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
  SUITE_TICKET_ONLY,
] as const;
/** Of a link's RSA key. [ENV-21] */
const MODULUS_BITS = 3072;
const TURNS = 11;
/** Turns that do not count: the compiler is still at it. */
const WARM_TURNS = 4;

/** Measures what an envelope computes: records sealed and opened, and handshakes of each side. */
export async function envelope({ measureMs, report }: JobOptions): Promise<void> {
  const startedMs = performance.now();
  const rsaKey = generateKeyPairSync("rsa", { modulusLength: MODULUS_BITS }).privateKey;
  const keyMs = performance.now() - startedMs;
  // Natively first: a service's process never runs the other provider, nor what it leaves behind.
  for (const crypto of PROVIDERS) {
    for (const suite of SUITES) {
      for (const contentBytes of CONTENT_BYTES) {
        const setup = { crypto, suite, contentBytes, rsaKey, measureMs };
        for (const result of recordRates(setup)) report(result);
      }
    }
  }
  report({ name: `RSA-${MODULUS_BITS} key, made ahead of a link`, value: keyMs, unit: "ms" });
  for (const crypto of PROVIDERS) {
    for (const hasMlDsa of [false, true]) {
      for (const suite of HANDSHAKES) {
        const setup = { crypto, identity: freshIdentity(crypto, hasMlDsa), suite, rsaKey };
        const rates = handshakeRates({ ...setup, book: freshBook() }, measureMs);
        const signed = hasMlDsa ? "Ed25519 + ML-DSA" : "Ed25519";
        for (const side of ["server", "client"] as const) {
          const name = `handshake ${hex(suite)}, ${signed}, ${crypto.name}, ${side}`;
          report({ name, value: rates[side], unit: "handshakes/s" });
        }
      }
    }
  }
}

interface RecordsSetup {
  readonly crypto: CryptoProvider;
  readonly suite: Suite;
  readonly contentBytes: number;
  readonly rsaKey: KeyObject;
  readonly measureMs: number;
}

/** Records a second, from one machine's write to the other one's frames, a record a turn. */
function recordRates(setup: RecordsSetup): readonly Result[] {
  const { crypto, suite, contentBytes, rsaKey, measureMs } = setup;
  const content = new Uint8Array(contentBytes).fill(7);
  const identity = freshIdentity(crypto, false);
  const book = freshBook();
  const pair = new EnvelopePair({ crypto, identity, suite: suite.number, rsaKey, book });
  const carry = () => {
    if (pair.carry(content) !== contentBytes) throw new Error("a record got lost");
  };
  const [bare = 0, value = 0] = ratesOf([bareCipher(suite.aead, content), carry], measureMs);
  const limit = { name: "bare cipher", value: bare, ratio: value / bare };
  const unit = "records/s of CPU";
  const work = `${suite.aead} ${contentBytes} B`;
  const name = `${work}, ${crypto.name}`;
  return [
    { name: `limit: ${work}, bare cipher beside ${crypto.name}`, value: bare, unit },
    { name, value, unit, limit },
    { name, value: (value * contentBytes) / 1e6, unit: "MB/s of CPU" },
  ];
}

/**
 * How often each work is done in a second of this process's processor time, the collector's threads
 * included. Works take turns, and the median turn counts: who else uses the machine does not.
 */
function ratesOf(works: readonly (() => void)[], measureMs: number): number[] {
  const rates = works.map((): number[] => []);
  for (let turn = -WARM_TURNS; turn < TURNS; turn += 1) {
    for (const [index, work] of works.entries()) {
      const rate = rateOf(work, measureMs / TURNS);
      if (turn >= 0) rates[index]?.push(rate);
    }
  }
  return rates.map(median);
}

function rateOf(work: () => void, turnMs: number): number {
  const before = process.cpuUsage();
  let cpuMs = 0;
  let count = 0;
  while (cpuMs < turnMs) {
    for (let index = 0; index < 16; index += 1) work();
    count += 16;
    const { user, system } = process.cpuUsage(before);
    cpuMs = (user + system) / 1000;
  }
  return (count * 1000) / cpuMs;
}

/** Handshakes a second that each side could do if it did nothing else, by the median one. */
function handshakeRates(setup: HandshakeSetup, measureMs: number): Record<Side, number> {
  const { suite } = setup;
  const isTicketOnly = suite === SUITE_TICKET_ONLY;
  const spentMs: Record<Side, number[]> = { client: [], server: [] };
  let last = new EnvelopePair(isTicketOnly ? { ...setup, suite: SUITE_XWING_AES256 } : setup);
  const endMs = performance.now() + measureMs;
  do {
    last = new EnvelopePair(isTicketOnly ? { ...setup, ticket: last.ticket() } : setup);
    spentMs.client.push(last.spentMs.client);
    spentMs.server.push(last.spentMs.server);
  } while (performance.now() < endMs);
  return { client: 1000 / median(spentMs.client), server: 1000 / median(spentMs.server) };
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] ?? Number.NaN;
}

type Side = "client" | "server";

function hex(suite: number): string {
  return `0x${suite.toString(16).padStart(4, "0")}`;
}
