import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { readBody } from "./request-body.ts";

const BOUNDS = { bodyMs: 60_000, bodyBytesMax: 1_000 };

/** A request's body, written by hand. */
function bodyOf() {
  const stream = new PassThrough();
  return { stream, read: readBody(stream as unknown as IncomingMessage, BOUNDS) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("[SVC-10] [LNK-11] a body comes whole however it is cut, and in its bounds", async () => {
  const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 251));
  for (const size of [1, 2, 3, 7, 255, 256, 1_000]) {
    const { stream, read } = bodyOf();
    const whole = Buffer.from(bytes);
    for (let at = 0; at < whole.length; at += size) stream.write(whole.subarray(at, at + size));
    stream.end();
    assert.deepEqual(Buffer.from((await read) as Uint8Array), bytes, `${size}`);
    assert.deepEqual(whole, bytes, "what came stays as it came");
  }
  const none = bodyOf();
  none.stream.end();
  assert.deepEqual(await none.read, new Uint8Array(0));
  const large = bodyOf();
  for (let count = 0; count <= 1_000; count += 1) large.stream.write("x");
  assert.equal(await large.read, "large");
});

test("[SVC-10] [LNK-11] a body keeps its bytes and not what they came in", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { stream, read } = bodyOf();
  const chunks: WeakRef<Buffer>[] = [];
  for (let count = 0; count < 500; count += 1) {
    const chunk = Buffer.alloc(1);
    chunks.push(new WeakRef(chunk));
    stream.write(chunk);
    await turn();
  }
  await turn();
  collect();
  const kept = chunks.filter((chunk) => chunk.deref() !== undefined).length;
  assert.ok(kept < 10, `${kept} of 500 chunks are kept`);
  stream.end();
  assert.equal(((await read) as Uint8Array).length, 500);
});
