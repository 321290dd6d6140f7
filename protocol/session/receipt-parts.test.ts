import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { encodeFrame } from "../frames.ts";
import { receiptParts } from "./receipt-parts.ts";

const FRAME_BYTES = 16 * 1024;
/** As large as a result can be: with a number, or refused and with a time. */
const result = (index: number) => ({
  code: 65_535 as ErrorCode,
  conversationSeq: index % 2 === 0 ? 2 ** 53 - 1 - index : 0,
  committedMs: 2 ** 53 - 1,
  digest: 0xffff_ffff,
  retryAfterMs: index % 2 === 0 ? 0 : 0xffff_ffff,
});

test("[FRM-3] [SEQ-4] whatever a receipt holds, its SubmitAcks fit a frame and leave nothing out", () => {
  for (const count of [0, 1, 509, 510, 511, 1019, 1020, 1021, 4096]) {
    const results = Array.from({ length: count }, (_, index) => result(index));
    const through = 2 ** 53 - 1;
    const parts = [...receiptParts({ through, results }, FRAME_BYTES)];
    assert.deepEqual(
      parts.flatMap((part) => part.results),
      results,
    );
    let next = through - count;
    for (const part of parts) {
      next += part.results.length;
      assert.equal(part.through, next, "the last one is of `through`");
      assert.ok(encodeFrame({ kind: "submitAck", value: part }).length <= FRAME_BYTES);
    }
    assert.equal(next, through);
  }
});
