import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { decodeHeader, HEADER_BYTES, type RecordHeader } from "../../protocol/envelope/records.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { identityOf, Pair, POLICY, type Side } from "../envelope/pair.ts";
import { hex, WatchedCrypto } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";

/** What the two sides do, in turn. */
interface Turn {
  readonly side: Side;
  readonly act: "write" | "update" | "ticket" | "settle";
  /** Of a write: sizes of what is written in one turn. */
  readonly sizes: readonly number[];
}

/** What happens to one record under way. */
interface Bend {
  readonly side: Side;
  /** Which of the sealed records of that side. */
  readonly index: number;
  readonly fault: "drop" | "repeat" | "swap" | "flip" | "cut" | "reflect" | "replay-old";
  /** Which bit is flipped, or how many bytes are left. */
  readonly at: number;
}

interface Traffic {
  readonly turns: readonly Turn[];
  readonly bend: Bend | null;
  readonly rekeyRecords: number;
  readonly ending: "client" | "server" | "cut";
}

const SIDES: readonly Side[] = ["client", "server"];
const IDENTITY = identityOf(NATIVE_CRYPTO, "service");

/** Bends one record; from then on the receiver must take nothing. */
class BentWire {
  readonly #bend: Bend | null;
  readonly #sealed: Record<Side, Uint8Array[]> = { client: [], server: [] };
  /** Waits for the next record, which then overtakes it. */
  #held: Uint8Array | undefined;
  /** How many sealed records of each side arrived as they were before anything was bent. */
  bent = false;
  reflected: Uint8Array | undefined;

  constructor(bend: Bend | null) {
    this.#bend = bend;
  }

  carry(record: Uint8Array, from: Side): readonly Uint8Array[] {
    if (record[0] !== 4) return [record];
    const own = this.#sealed[from];
    const index = own.push(record) - 1;
    if (this.#held !== undefined && from === this.#bend?.side) {
      const held = this.#held;
      this.#held = undefined;
      return [record, held];
    }
    if (this.#bend === null || from !== this.#bend.side || index !== this.#bend.index) {
      return [record];
    }
    return this.#bendRecord(record, own, this.#bend);
  }

  #bendRecord(record: Uint8Array, own: Uint8Array[], bend: Bend): readonly Uint8Array[] {
    const others = this.#sealed[bend.side === "client" ? "server" : "client"];
    switch (bend.fault) {
      case "swap":
        this.bent = true;
        this.#held = record;
        return [];
      case "drop":
        // Only what follows shows it.
        this.bent = true;
        return [];
      case "repeat":
        this.bent = true;
        return [record, record];
      case "flip": {
        this.bent = true;
        const flipped = Uint8Array.from(record);
        const bit = bend.at % (record.length * 8);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        return [flipped];
      }
      case "cut": {
        this.bent = true;
        const body = record.subarray(HEADER_BYTES, HEADER_BYTES + (bend.at % 16));
        const header = Uint8Array.from(record.subarray(0, HEADER_BYTES));
        new DataView(header.buffer).setUint32(12, body.length);
        return [Buffer.concat([header, body])];
      }
      case "reflect": {
        const other = others.at(-1);
        if (other === undefined) return [record];
        this.bent = true;
        return [other, record];
      }
      case "replay-old": {
        const old = own[bend.at % own.length] as Uint8Array;
        this.bent = true;
        return old === record ? [record, record] : [old, record];
      }
    }
  }
}

function play({ turns, bend, rekeyRecords, ending }: Traffic, seen: Seen): void {
  const watched = new WatchedCrypto(NATIVE_CRYPTO);
  const crypto = { client: watched.provider, server: watched.provider };
  const wire = new BentWire(bend);
  const pair = new Pair({
    name: "sealed",
    crypto,
    server: { identities: [IDENTITY], policy: { ...POLICY, rekeyRecords } },
    carry: (record, from) => wire.carry(record, from),
  });
  const written: Record<Side, Uint8Array[]> = { client: [], server: [] };
  pair.settle();
  turns.forEach(({ side, act, sizes }, index) => {
    if (pair[side].closed) return;
    if (act === "write") {
      for (const [at, size] of sizes.entries()) {
        const bytes = drawn(`${index} ${at} ${side}`, size);
        written[side].push(bytes);
        pair[side].write(bytes);
      }
    } else if (act === "update") pair[side].updateKeys();
    else if (act === "ticket") {
      pair.server.issueTicket("alice phone", drawn(`ticket ${index}`, 16), pair.nowMs);
    } else pair.settle();
    if (act === "settle") judgeDelivered(pair, written);
  });
  pair.settle();
  end(pair, ending);
  judgeDelivered(pair, written);
  judgeKeys(pair, rekeyRecords);
  if (wire.bent) judgeBent(pair, bend as Bend, seen);
  else judgeWhole(pair, written, ending);
  if (pair.at.client.records.some((record) => (record[3] as number) > 1)) seen("second key");
}

function end(pair: Pair, ending: Traffic["ending"]): void {
  if (ending === "cut") for (const side of SIDES) pair[side].ended();
  else pair[ending].close();
  pair.settle();
  for (const side of SIDES) pair[side].ended();
  pair.settle();
}

/** What has come is the beginning of what was sent, bent or not. [ENV-6] */
function judgeDelivered(pair: Pair, written: Record<Side, Uint8Array[]>): void {
  for (const side of SIDES) {
    const came = Buffer.concat(pair.at[side].frames);
    const sent = Buffer.concat(written[side === "client" ? "server" : "client"]);
    assert(sent.subarray(0, came.length).equals(came), "what came is a prefix of what was sent");
  }
}

/** Keys are changed exactly when they must be, and never without an update. [ENV-37] [ENV-39] */
function judgeKeys(pair: Pair, rekeyRecords: number): void {
  for (const side of SIDES) {
    let epoch = 1;
    let next = 0;
    for (const record of pair.at[side].records.filter(([type]) => type === 4)) {
      const header = decodeHeader(record.subarray(0, HEADER_BYTES)) as RecordHeader;
      if (header.epoch !== epoch) {
        assert(header.epoch === epoch + 1, "epochs follow each other");
        [epoch, next] = [header.epoch, 0];
      }
      assert(header.seq === next, "records are numbered from 0");
      next += 1;
      assert(next <= rekeyRecords, `${next} records under one key [ENV-37]`);
    }
  }
}

function judgeWhole(
  pair: Pair,
  written: Record<Side, Uint8Array[]>,
  ending: Traffic["ending"],
): void {
  for (const side of SIDES) {
    const { frames, ends } = pair.at[side];
    const sent = Buffer.concat(written[side === "client" ? "server" : "client"]);
    assert(hex(Buffer.concat(frames)) === hex(sent), "everything came");
    const code = ends[0]?.because.code;
    const expected = ending === "cut" ? ErrorCode.ENVELOPE_TRUNCATED : ErrorCode.GOODBYE;
    assert(ends.length === 1 && code === expected, `${side} ended with ${code} [ENV-51]`);
  }
}

/** The receiver of what was bent ends the link: one alert, and nothing opens any more. [ENV-50] */
function judgeBent(pair: Pair, { side, fault }: Bend, seen: Seen): void {
  const receiver = side === "client" ? "server" : "client";
  const { ends, records, frames } = pair.at[receiver];
  const code = ends[0]?.because.code ?? ErrorCode.UNSPECIFIED;
  // The last record never comes, or never comes whole.
  const isCutShort = ["drop", "swap", "flip"].includes(fault);
  const isTruncated = isCutShort && code === ErrorCode.ENVELOPE_TRUNCATED;
  const codes: readonly ErrorCode[] = [
    ErrorCode.ENVELOPE_RECORD_INVALID,
    ErrorCode.ENVELOPE_MALFORMED,
  ];
  const isAfterEnd = code === ErrorCode.GOODBYE || code === ErrorCode.ENVELOPE_RECORD_REFUSED;
  assert(ends.length === 1, `${receiver} ended ${ends.length} times`);
  if (isTruncated || isAfterEnd) return;
  assert(codes.includes(code), `${fault}: ${receiver} ended with ${code} [ENV-6]`);
  seen(fault);
  const sentBefore = records.length;
  const cameBefore = frames.length;
  const old = pair.at[side].records.at(-1);
  if (old !== undefined) pair.inject(receiver, old);
  pair[receiver].write(Uint8Array.of(1));
  pair.settle();
  assert(records.length === sentBefore && frames.length === cameBefore, "keys are gone [ENV-50]");
}

const turn: fc.Arbitrary<Turn> = fc.record({
  side: fc.constantFrom<Side>("client", "server"),
  act: fc.constantFrom("write", "write", "write", "settle", "settle", "update", "ticket"),
  sizes: fc.array(fc.oneof(fc.nat(200), fc.nat(70_000)), { maxLength: 3 }),
});

/** Records under way, right and bent, keys that are soon used up. */
export const envelopeSealed = property<Traffic>({
  name: "envelope-sealed",
  title:
    "[ENV-5] [ENV-6] [ENV-7] [ENV-37] [ENV-39] [ENV-50] [ENV-51] what comes is the beginning of " +
    "what was sent, no nonce is used twice, and the first bent record is the last (P22, P23)",
  smokeRuns: 150,
  kinds: ["drop", "repeat", "swap", "flip", "cut", "reflect", "replay-old", "second key"],
  arbitrary: fc.record({
    turns: fc.array(turn, { minLength: 1, maxLength: 24 }),
    bend: fc.option(
      fc.record({
        side: fc.constantFrom<Side>("client", "server"),
        index: fc.nat(8),
        fault: fc.constantFrom<Bend["fault"][]>(
          "drop",
          "repeat",
          "swap",
          "flip",
          "cut",
          "reflect",
          "replay-old",
        ),
        at: fc.nat(),
      }),
      { nil: null },
    ),
    rekeyRecords: fc.integer({ min: 2, max: 9 }),
    ending: fc.constantFrom("client", "server", "cut"),
  }),
  start: (seen) => ({ check: (traffic) => play(traffic, seen) }),
});
