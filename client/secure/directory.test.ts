import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { Client } from "../client.ts";
import { RefusedError } from "../results.ts";
import { publish } from "./directory.ts";
import { memorySecureIdentity, SecureIdentity } from "./identity.ts";

const NOW_MS = 1_800_000_000_000;

/** A service without a directory that refuses so many changes before it takes one. */
async function publishing(refusals: readonly ErrorCode[]) {
  const name = { userId: "ann", deviceId: "phone" };
  const identity = await SecureIdentity.open(NATIVE_CRYPTO, memorySecureIdentity(), name);
  const left = [...refusals];
  const asked: string[] = [];
  const client = {
    call: async () => ({ revision: 0n, accountKey: undefined, devices: [] }),
    submit: async (operation: Uint8Array) => {
      asked.push(fromBinary(OperationSchema, operation).kind.case ?? "");
      const code = left.shift();
      if (code !== undefined) throw new RefusedError(code);
      return { conversationSeq: 0, committedMs: 1 };
    },
  } as unknown as Client;
  const given = new AbortController();
  const waits: number[] = [];
  /** A clock that stands at what is waited for, until it is told to go on. */
  const turn: { goesOn: () => void } = { goesOn: () => {} };
  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      waits.push(ms);
      turn.goesOn = resolve;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  const begin = (how: { readonly waits: boolean }) =>
    publish(client, NATIVE_CRYPTO, {
      identity,
      nowMs: NOW_MS,
      replaceAccount: false,
      signal: given.signal,
      pause: how.waits
        ? pause
        : async (ms) => {
            waits.push(ms);
          },
    });
  return { begin, asked, waits, given, turn };
}

const busy = (count: number) => Array.from({ length: count }, () => ErrorCode.DIRECTORY_BUSY);

test("[SEC-100] a service that is busy is waited for, and asked again", async () => {
  const { begin, asked, waits, turn } = await publishing(busy(2));
  const published = begin({ waits: true });
  const until = async (count: number) => {
    while (waits.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  await until(1);
  assert.deepEqual(asked, ["publishDevice"], "and not before its time");
  turn.goesOn();
  await until(2);
  turn.goesOn();
  await published;
  assert.deepEqual(asked, ["publishDevice", "publishDevice", "publishDevice"]);
  assert.deepEqual(waits, [10_000, 10_000], "as long as the service takes for one more");
});

test("[SEC-100] a service that stays busy is given up after two minutes", async () => {
  const { begin, waits } = await publishing(busy(100));
  await assert.rejects(begin({ waits: false }), { code: ErrorCode.DIRECTORY_BUSY });
  const totalMs = waits.reduce((sum, ms) => sum + ms, 0);
  assert.equal(totalMs, 120_000);
});

test("[SEC-100] who does not want to wait any more is let go at once", async () => {
  const { begin, asked, waits, given } = await publishing(busy(100));
  const published = begin({ waits: true });
  while (waits.length < 1) await new Promise((resolve) => setImmediate(resolve));
  given.abort(new Error("enough"));
  await assert.rejects(published, { message: "enough" });
  assert.equal(asked.length, 1);
  await assert.rejects(begin({ waits: true }), { message: "enough" });
  assert.equal(asked.length, 1, "nor is anything asked afterwards");
});

test("[SEC-83] waiting does not count as being overtaken, and the other way round", async () => {
  const changed = ErrorCode.DIRECTORY_CHANGED;
  const mixed = [changed, ...busy(6), changed, changed, ...busy(6), changed];
  const { begin, asked } = await publishing(mixed);
  await begin({ waits: false });
  assert.equal(asked.length, mixed.length + 1);
  const overtaken = await publishing(Array.from({ length: 9 }, () => changed));
  await assert.rejects(overtaken.begin({ waits: false }), { code: changed });
  assert.equal(overtaken.asked.length, 5);
});
