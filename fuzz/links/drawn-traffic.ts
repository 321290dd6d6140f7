import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../../gen/posthorn/v1/session_pb.ts";
import { LIMITS } from "./limits.ts";
import type { Mutation, Piece } from "./traffic.ts";

const one = <const Value>(value: Value) => fc.constant(value);
const near = (...numbers: readonly number[]) =>
  fc.constantFrom(...numbers.flatMap((number) => [number - 1, number, number + 1]));
/** Mostly what an honest device would say. */
const offset = fc.oneof(
  { weight: 30, arbitrary: one(0) },
  { weight: 4, arbitrary: fc.integer({ min: -2, max: 1 }) },
  { weight: 1, arbitrary: near(2 ** 31, 2 ** 32, 2 ** 53 - 2) },
);
/** Now and then one that no window or frame holds. */
const submitBytes = fc.oneof(
  { weight: 20, arbitrary: fc.nat(60) },
  { weight: 1, arbitrary: near(LIMITS.contentBytes, LIMITS.frameBytes - 40) },
);
const announced = fc.oneof(
  fc.nat(300),
  near(128, LIMITS.openingFrameBytes, LIMITS.frameBytes, 2 ** 18, 2 ** 28, 2 ** 32, 2 ** 35 - 2),
);
const bit = fc.nat(7);
const at = fc.nat(100_000);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 12 });

const cursorStart = fc.constantFrom(CursorStart.EARLIEST, CursorStart.LATEST);
const hello: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 6, arbitrary: one({ kind: "hello", part: {} } as const) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: one("hello" as const),
      part: fc.record(
        {
          versionMin: fc.nat(2),
          versionMax: fc.nat(3),
          userId: fc.constantFrom("", "a b", "-a", "ok", "x".repeat(64), "x".repeat(65)),
          deviceId: fc.constantFrom("", "a b", "-a", "d/e", "x".repeat(64), "x".repeat(65)),
          agentBytes: near(128),
          tokenBytes: near(8192, LIMITS.openingFrameBytes - 100),
          outbox: fc.record({ epoch: fc.nat(2), resultsThrough: fc.nat(2), next: fc.nat(3) }),
          cursor: fc.record({ epoch: fc.nat(2), seq: fc.nat(2), start: cursorStart }),
          timers: fc.record({
            keepaliveMs: fc.constantFrom(0, 1, 2_000, 2 ** 31),
            idleMs: fc.constantFrom(0, 3, 4_000, 4_001),
            ageMs: fc.constantFrom(0, 4_000, 9_000),
          }),
        },
        { requiredKeys: [] },
      ),
    }),
  },
);

const submit: fc.Arbitrary<Piece> = fc.record({
  kind: one("submit" as const),
  offset,
  bytes: submitBytes,
  isOther: fc.boolean(),
});
const acknowledged = fc.oneof(
  { weight: 6, arbitrary: one(0) },
  { weight: 1, arbitrary: fc.nat(3) },
);
/** Two tags and two lengths of three bytes. */
const PADDED_OVERHEAD_BYTES = 8;
const honest: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 8, arbitrary: submit },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("ack" as const),
      deliveries: acknowledged,
      results: acknowledged,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("ping", "pong"), offset }) },
  { weight: 1, arbitrary: fc.record({ kind: one("credit" as const), count: fc.nat(80) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one("padded" as const),
      padding: fc.oneof(fc.nat(300), near(LIMITS.frameBytes - PADDED_OVERHEAD_BYTES)),
    }),
  },
);
/** Of an enumeration that is open: a device may be newer than the service. */
const closeCode = fc.oneof(
  fc.constantFrom(ErrorCode.UNSPECIFIED, ErrorCode.GOODBYE, ErrorCode.TOO_SLOW),
  fc.integer({ min: -1, max: 1_001 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1),
);
const wrong: fc.Arbitrary<Piece> = fc.oneof(
  one({ kind: "ready" } as const),
  fc.record({ kind: one("close" as const), code: closeCode }),
  hello,
  fc.record({ kind: one("frame" as const), body: fc.uint8Array({ maxLength: 24 }) }),
  fc.record({
    kind: one("field" as const),
    number: fc.nat(16),
    type: fc.oneof({ weight: 6, arbitrary: one(2) }, { weight: 1, arbitrary: fc.nat(7) }),
    body: fc.uint8Array({ maxLength: 16 }),
  }),
  fc.record({ kind: one("length" as const), length: announced, padding: fc.nat(5) }),
  // Submit, Ack, Ping and Pong.
  fc.record({
    kind: one("counter" as const),
    number: fc.constantFrom(4, 7, 8, 9),
    field: fc.constantFrom(1, 2),
    value: fc.constantFrom(0n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
  }),
  fc.record({ kind: one("bytes" as const), bytes }),
);

/** What follows Hello and Ready: legal for the most part, and so all the more likely to matter. */
export const pieces: fc.Arbitrary<Piece[]> = fc.array(
  fc.oneof({ weight: 20, arbitrary: honest }, { weight: 1, arbitrary: wrong }),
  { maxLength: 24, size: "max" },
);

/** What a link begins with, and what is legal after it only once Welcome has come. */
export const openingPieces: fc.Arbitrary<Piece[]> = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: hello }, { weight: 1, arbitrary: wrong }),
    fc.array(fc.oneof(wrong, honest), { maxLength: 2 }),
  )
  .map(([first, rest]) => [first, ...rest]);

/** Half of all traffic arrives as it was sent. */
export const mutations: fc.Arbitrary<Mutation[]> = fc.oneof(
  one<Mutation[]>([]),
  fc.array(
    fc.oneof(
      fc.record({ kind: one("flip" as const), at, bit }),
      fc.record({ kind: one("insert" as const), at, bytes }),
      fc.record({
        kind: fc.constantFrom("drop", "repeat"),
        at,
        count: fc.integer({ min: 1, max: 40 }),
      }),
      fc.record({ kind: one("cut" as const), at }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
);

/** Where bytes are cut into pieces: now and then into single ones. */
export const cuts: fc.Arbitrary<number[]> = fc.oneof(
  { weight: 6, arbitrary: fc.array(at, { maxLength: 6 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }).map((count) => upTo(count)) },
);

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
