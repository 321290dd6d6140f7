import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NO_NUMBERS, numbersFrom } from "../../protocol/number-set.ts";
import type { StoreFixture } from "./contract.ts";
import { numbersIn } from "./documents.ts";
import { append, Bench, bytesOf, LOG, replacing } from "./log-contract.ts";
import type { AppendPlan } from "./plans.ts";
import { documentNumbered, documentRefOf, logRefOf } from "./store.ts";

const OTHER = logRefOf("", "g:2");
const GONE = documentRefOf("", "gone");
const NOTES = documentRefOf("", "notes/");

/** Of promise 11 of a store what is about expiry, for every implementation. */
export function expiryContract(name: string, fixture: () => Promise<StoreFixture>): void {
  describe(`store contract, expiry: ${name}`, () => {
    const withStore = (title: string, body: (bench: Bench) => Promise<void>) =>
      test(title, async () => {
        const bench = await Bench.open(await fixture());
        try {
          await body(bench);
        } finally {
          await bench.close();
        }
      });

    withStore("[CNV-92] from its time on an entry is another one, before it is swept", expires);
    withStore("[CNV-92] [CNV-97] also after a start, and it stays so", expiresAtRest);
    withStore("[CNV-93] a plan on what has expired since is stale", staleWhenExpired);
    withStore("[CNV-94] what has expired is told apart until it is among the marks", marked);
    withStore("[CNV-91] what replaces an entry expires when that would have", replacedExpires);
    withStore("[CNV-99] an entry may be replaced for good", replacedForGood);
    withStore("[CNV-96] a sweep empties what belongs to the entry, and nothing else", clears);
    withStore("[CNV-98] a clock that is set back brings nothing back that was swept", setBack);
    withStore("[CNV-96] any number of entries of several logs are swept at once", manyExpire);
    withStore("[CNV-96] entries of one record expire one after the other", oneByOne);
  });
}

function expiring(text: string, expiresMs: number, part: Partial<AppendPlan> = {}): AppendPlan {
  const expiry = { expiresMs, event: bytesOf(`no ${text}`), marks: [GONE], clears: [NOTES] };
  return append(text, { expiry, ...part });
}

async function expires(bench: Bench): Promise<void> {
  await bench.committed([append("one"), expiring("two", 2_000), expiring("three", 3_000)]);
  await bench.sees(["one", "two", "three"]);
  bench.setMs(1_999);
  await bench.store.sweep();
  await bench.sees(["one", "two", "three"]);
  bench.setMs(2_000);
  await bench.sees(["one", "no two", "three"]);
  await bench.store.sweep();
  await bench.sees(["one", "no two", "three"]);
  bench.setMs(1e9);
  await bench.committed([append("four")]);
  await bench.sees(["one", "no two", "no three", "four"]);
  await bench.store.sweep();
  await bench.store.sweep();
  await bench.sees(["one", "no two", "no three", "four"]);
}

async function expiresAtRest(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000), expiring("two", 3_000)]);
  await bench.reopen();
  await bench.sees(["one", "two"]);
  bench.setMs(2_500);
  await bench.reopen();
  await bench.sees(["no one", "two"]);
  await bench.store.sweep();
  await bench.reopen();
  await bench.sees(["no one", "two"]);
  bench.setMs(3_000);
  await bench.sees(["no one", "no two"]);
}

async function staleWhenExpired(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000)]);
  const onOne = replacing(1, "one", "ONE");
  bench.setMs(2_000);
  assert.equal((await bench.commit([onOne])).kind, "stale");
  await bench.store.sweep();
  assert.equal((await bench.commit([onOne])).kind, "stale");
  assert.equal((await bench.commit([replacing(1, "no one", "ONE")])).kind, "committed");
  await bench.sees(["ONE", "replaces 1"]);
}

async function marked(bench: Bench): Promise<void> {
  const expiredIn = async (log = LOG) => {
    const { expired } = await bench.store.loadForPlanning({ users: [], expired: [log] });
    return expired?.get(log);
  };
  await bench.committed([append("one"), expiring("two", 2_000), expiring("three", 2_001)]);
  await bench.committed([expiring("else", 2_000, { log: OTHER })]);
  assert.deepEqual(await expiredIn(), NO_NUMBERS);
  bench.setMs(2_000);
  assert.deepEqual(await expiredIn(), numbersFrom(2, 2));
  assert.deepEqual(await expiredIn(OTHER), numbersFrom(1, 1));
  bench.setMs(2_001);
  assert.deepEqual(await expiredIn(), numbersFrom(2, 3));
  assert.deepEqual(numbersIn(await bench.document(GONE)), NO_NUMBERS);
  await bench.store.sweep();
  assert.deepEqual(await expiredIn(), NO_NUMBERS);
  assert.deepEqual(numbersIn(await bench.document(GONE)), numbersFrom(1, 3));
}

async function replacedExpires(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000)]);
  await bench.committed([replacing(1, "one", "ONE")]);
  await bench.sees(["ONE", "replaces 1"]);
  await bench.committed([expiring("three", 2_000), replacing(3, "three", "THREE")]);
  bench.setMs(2_000);
  const expected = ["no one", "replaces 1", "no three", "replaces 3"];
  await bench.sees(expected);
  await bench.store.sweep();
  await bench.reopen();
  await bench.sees(expected);
}

async function replacedForGood(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000), expiring("two", 2_000)]);
  const [replaced] = replacing(1, "one", "ONE").replaces ?? [];
  assert.ok(replaced !== undefined);
  await bench.committed([append("three", { replaces: [{ ...replaced, endsExpiry: true }] })]);
  bench.setMs(2_000);
  await bench.sees(["ONE", "no two", "three"]);
  await bench.store.sweep();
  await bench.sees(["ONE", "no two", "three"]);
  assert.deepEqual(numbersIn(await bench.document(GONE)), numbersFrom(2, 2));
  await bench.reopen();
  await bench.sees(["ONE", "no two", "three"]);
}

async function clears(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000), expiring("two", 9_000)]);
  const notes = [1, 2].map((seq) => documentNumbered(NOTES, seq));
  await bench.committed([
    append("notes", { puts: notes.map((ref) => ({ ref, bytes: bytesOf("x") })) }),
  ]);
  bench.setMs(2_000);
  await bench.store.sweep();
  const [first, second] = await Promise.all(notes.map((ref) => bench.document(ref)));
  assert.deepEqual([first?.revision, first?.bytes.length], [2, 0]);
  assert.deepEqual([second?.revision, second?.bytes.length], [1, 1]);
}

async function setBack(bench: Bench): Promise<void> {
  await bench.committed([expiring("one", 2_000), expiring("two", 3_000)]);
  bench.setMs(2_000);
  await bench.store.sweep();
  bench.setMs(3_000);
  await bench.sees(["no one", "no two"]);
  bench.setMs(1_500);
  await bench.sees(["no one", "two"]);
  await bench.store.sweep();
  await bench.reopen();
  await bench.sees(["no one", "two"]);
  bench.setMs(3_000);
  await bench.store.sweep();
  bench.setMs(1_500);
  await bench.sees(["no one", "no two"]);
}

async function manyExpire(bench: Bench): Promise<void> {
  const count = 700;
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  for (const log of [LOG, OTHER]) {
    const plans = numbers.map((number) =>
      expiring(`${number}`, 2_000 + number, { log, timelines: [] }),
    );
    for (let from = 0; from < count; from += 100) {
      await bench.committed(plans.slice(from, from + 100));
    }
  }
  bench.setMs(2_000 + count - 1);
  const { expired } = await bench.store.loadForPlanning({ users: [], expired: [OTHER] });
  assert.deepEqual(expired?.get(OTHER), numbersFrom(1, count - 1));
  await bench.store.sweep();
  bench.setMs(1_000);
  const expected = [...numbers.slice(0, -1).map((number) => `no ${number}`), `${count}`];
  assert.deepEqual(await bench.log(), expected);
  assert.deepEqual(await bench.log({ fromEnd: true }, undefined, OTHER), expected);
}

async function oneByOne(bench: Bench): Promise<void> {
  const numbers = Array.from({ length: 20 }, (_, index) => index + 1);
  await bench.committed(numbers.map((number) => expiring(`${number}`, 2_000 + (number % 5))));
  for (const step of [0, 1, 2, 3, 4]) {
    bench.setMs(2_000 + step);
    await bench.store.sweep();
    await bench.sees(numbers.map((number) => (number % 5 <= step ? `no ${number}` : `${number}`)));
  }
}
