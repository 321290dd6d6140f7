import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fuzzParameters } from "../fuzz/parameters.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { Delimiter, lengthPrefixBytes, writeLengthPrefix } from "./delimit.ts";
import { decodeFrame, encodeFrame, isViolation } from "./frames.ts";

const BYTES_MAX = 300;

function delimited(messages: readonly Uint8Array[]): Uint8Array {
  const parts = messages.map((message) => {
    const start = lengthPrefixBytes(message.length);
    const bytes = new Uint8Array(start + message.length);
    writeLengthPrefix(message.length, bytes, 0);
    bytes.set(message, start);
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** Cuts a stream into chunks at the given places. */
function chunks(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (stream.length + 1));
  const at = [0, ...places.sort((a, b) => a - b), stream.length];
  return at.slice(1).map((end, index) => stream.slice(at[index], end));
}

const messages = fc.array(fc.uint8Array({ maxLength: BYTES_MAX }), { maxLength: 12 });
const cuts = fc.array(fc.nat(4000), { maxLength: 30 });

test("[FRM-1] [LNK-1] any cut of the bytes gives the same messages", () => {
  fc.assert(
    fc.property(messages, cuts, (wanted, places) => {
      const delimiter = new Delimiter(BYTES_MAX);
      const seen: Uint8Array[] = [];
      for (const chunk of chunks(delimited(wanted), places)) {
        const fault = delimiter.push(chunk, (from, at, end) => seen.push(from.slice(at, end)) > 0);
        assert.equal(fault, undefined);
      }
      assert.deepEqual(seen, wanted);
      assert.equal(delimiter.unfinished, false);
    }),
    fuzzParameters(300),
  );
});

test("[FRM-2] [FRM-3] any bytes in any cut give the same messages and the same verdict", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), cuts, (stream, places) => {
      const run = (parts: readonly Uint8Array[]) => {
        const delimiter = new Delimiter(40);
        const seen: Uint8Array[] = [];
        let code: ErrorCode = ErrorCode.UNSPECIFIED;
        for (const part of parts) {
          const fault = delimiter.push(part, (from, at, end) => seen.push(from.slice(at, end)) > 0);
          code = fault?.code ?? code;
        }
        return { seen, code };
      };
      assert.deepEqual(run(chunks(stream, places)), run([stream]));
    }),
    fuzzParameters(500),
  );
});

test("[FRM-6] no bytes make the frame decoder throw, in either role and any phase", () => {
  const senders = fc.constantFrom("client" as const, "server" as const);
  const phases = fc.constantFrom("opening" as const, "joining" as const, "open" as const);
  const tagged = fc
    .tuple(fc.integer({ min: 0, max: 15 }), fc.uint8Array({ maxLength: 60 }))
    .map(([number, body]) => Uint8Array.of((number << 3) | 2, body.length, ...body));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), tagged), senders, phases, (bytes, sender, phase) => {
      const range = { at: 0, end: bytes.length };
      const decoded = decodeFrame(bytes, range, { sender, phase });
      if (isViolation(decoded)) {
        assert.notEqual(decoded.code, ErrorCode.UNSPECIFIED);
        assert.match(decoded.requirement, /^FRM-\d$/);
      } else {
        // What is accepted is encoded again to something that is accepted as the same.
        const again = encodeFrame(decoded);
        const start = lengthPrefixBytes(again.length - 1);
        const end = again.length;
        assert.deepEqual(decodeFrame(again, { at: start, end }, { sender, phase }), decoded);
      }
    }),
    fuzzParameters(2000),
  );
});

test("[FRM-3] a length that was only announced sets no memory aside", () => {
  const delimiter = new Delimiter(1 << 20);
  assert.equal(
    delimiter.push(Uint8Array.of(0x80, 0x80, 0x40, 1), () => true),
    undefined,
  );
  assert.equal(delimiter.unfinished, true);
});
