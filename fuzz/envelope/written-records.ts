import { deepEqual, equal, ok } from "node:assert/strict";
import { recordsOf, type Side } from "./pair.ts";

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const TYPE = { clientHello: 1, serverHello: 2, clientFinished: 3, sealed: 4, alert: 5 } as const;
const CONTENT = { frames: 1, keyUpdate: 2, ticket: 3, alert: 4, close: 5 } as const;
/** Code 40 and code 20, each as field 1 of EnvelopeAlert. */
const CLEAR_ALERT = [8, 40];
const SEALED_ALERT = [8, 20];

/** How a side may begin, by the types of its clear records. [ENV-11] */
const OPENINGS: Readonly<Record<Side, readonly (readonly number[])[]>> = {
  client: [[], [TYPE.clientHello], [TYPE.clientHello, TYPE.clientFinished]],
  server: [[], [TYPE.serverHello]],
};

/**
 * What one side may write, record by record, read with no cryptography in between: clear records in
 * their order, numbers and epochs without a gap, padding, and nothing behind the end. [ENV-3]
 * [ENV-6] [ENV-9] [ENV-11] [ENV-39] [ENV-49] [ENV-51]
 */
export class WrittenRecords {
  readonly #side: Side;
  readonly #clear: number[] = [];
  #epoch = 1;
  #seq = 0;
  /** What it said last, when that was an end. */
  end: "alert 40" | "alert 20" | "close" | undefined;
  /** Frames that it has sent. */
  readonly frames: number[] = [];

  constructor(side: Side) {
    this.#side = side;
  }

  get isSealed(): boolean {
    return this.#epoch > 1 || this.#seq > 0;
  }

  take(bytes: Uint8Array): void {
    const records = recordsOf(bytes);
    const count = records.reduce((sum, { length }) => sum + length, 0);
    equal(count, bytes.length, "whole records are written [ENV-11]");
    for (const record of records) this.#record(Buffer.from(record));
  }

  #record(record: Buffer): void {
    equal(this.end, undefined, "nothing follows an end [ENV-51]");
    const type = record[0] as number;
    equal(record[1], 1, "version [ENV-3]");
    const body = record.subarray(HEADER_BYTES);
    equal(record.readUInt32BE(12), body.length);
    if (type === TYPE.sealed) return this.#sealed(record, body);
    ok(!this.isSealed, "no clear record among sealed ones [ENV-6]");
    equal(record.readUInt16BE(2), 0, "clear records have no epoch [ENV-3]");
    equal(record.readBigUInt64BE(4), 0n, "and no number [ENV-3]");
    if (type === TYPE.alert) {
      deepEqual([...body], CLEAR_ALERT, "one that says nothing [ENV-49]");
      this.end = "alert 40";
      return;
    }
    this.#clear.push(type);
    const isLegal = OPENINGS[this.#side].some((types) => types.join() === this.#clear.join());
    ok(isLegal, `${this.#clear} of the ${this.#side} [ENV-11]`);
  }

  #sealed(record: Buffer, body: Buffer): void {
    deepEqual(this.#clear, OPENINGS[this.#side].at(-1), "sealed after the handshake [ENV-11]");
    equal(record.readUInt16BE(2), this.#epoch, "epoch [ENV-39]");
    equal(record.readBigUInt64BE(4), BigInt(this.#seq), "number [ENV-6] [ENV-7]");
    this.#seq += 1;
    const inner = body.subarray(0, -TAG_BYTES);
    ok(inner.length > 1024 || inner.length % 64 === 0, "padding [ENV-9]");
    let at = inner.length - 1;
    while (inner[at] === 0) at -= 1;
    const content = [...inner.subarray(0, at)];
    switch (inner[at]) {
      case CONTENT.frames:
        this.frames.push(...content);
        return;
      case CONTENT.keyUpdate:
        this.#epoch += 1;
        this.#seq = 0;
        return;
      case CONTENT.ticket:
        equal(this.#side, "server", "a device sends no tickets [ENV-42]");
        return;
      case CONTENT.alert:
        deepEqual(content, SEALED_ALERT, "one that says nothing [ENV-49]");
        this.end = "alert 20";
        return;
      default:
        equal(inner[at], CONTENT.close);
        equal(content.length, 0);
        this.end = "close";
    }
  }
}
