import assert from "node:assert/strict";
import { test } from "node:test";
import { minimise } from "./minimise.ts";
import { type MutationSource, mutate, varint } from "./mutate.ts";
import { Random } from "./random.ts";

const OTHER = new Uint8Array(Buffer.from("another input"));
const source = (seed: number): MutationSource => ({
  random: new Random(seed),
  dictionary: [new Uint8Array(Buffer.from("WORD"))],
  others: [OTHER],
  bytesMax: 40,
});

test("mutations of a seed are the same, stay within their bound and change no input", () => {
  const input = new Uint8Array(Buffer.from("the input that is mutated"));
  const before = input.slice();
  const made = (seed: number) => {
    const from = source(seed);
    return Array.from({ length: 2_000 }, () => mutate(input, from));
  };
  const [one, same, other] = [made(1), made(1), made(2)];
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
  assert.ok(one.every(({ length }) => length <= 40));
  assert.deepEqual(input, before);
  assert.ok(one.some(({ buffer }) => buffer !== input.buffer));
  const texts = one.map((bytes) => Buffer.from(bytes).toString("latin1"));
  assert.ok(
    texts.some((text) => text.includes("WORD")),
    "words are put in",
  );
  assert.ok(
    texts.some((text) => text.includes("other in")),
    "parts of others are put in",
  );
  const wrong = one.filter((bytes) => Buffer.compare(bytes, input) === 0);
  assert.ok(wrong.length < 200, `${wrong.length} of 2000 mutations changed nothing`);
});

test("from nothing, mutations make every byte and every length", () => {
  const from = source(3);
  const made = Array.from({ length: 20_000 }, () => mutate(new Uint8Array(0), from));
  assert.equal(new Set(made.flatMap((bytes) => [...bytes])).size, 256);
  assert.ok(new Set(made.map(({ length }) => length)).size > 30);
});

test("a word that is put into a frame makes the lengths around it grow", () => {
  const nested = Uint8Array.of(6, 0x22, 4, 0x12, 2, 7, 7);
  const grown = [10, 0x22, 8, 0x12, 6, 7, ...Buffer.from("WORD"), 7];
  const from = source(4);
  const isGrown = () => Buffer.compare(mutate(nested, from), Uint8Array.from(grown)) === 0;
  let tries = 0;
  while (tries < 200_000 && !isGrown()) tries += 1;
  assert.ok(tries < 200_000, "in none of so many tries");
});

test("numbers are written as Protobuf writes them", () => {
  assert.deepEqual([...varint(0n)], [0]);
  assert.deepEqual([...varint(127n)], [127]);
  assert.deepEqual([...varint(128n)], [0x80, 1]);
  assert.deepEqual([...varint(2n ** 64n - 1n)], [...new Array(9).fill(0xff), 1]);
});

test("an input is made smaller for as long as it holds, within its tries", async () => {
  const input = new Uint8Array(Buffer.from("lots of noise (needle) and more noise"));
  let asked = 0;
  const holds = async (candidate: Uint8Array) => {
    asked += 1;
    return Buffer.from(candidate).includes("needle");
  };
  assert.equal(Buffer.from(await minimise(input, holds, 1_000)).toString(), "needle");
  asked = 0;
  const rough = await minimise(input, holds, 5);
  assert.equal(asked, 5);
  assert.ok(Buffer.from(rough).includes("needle") && rough.length <= input.length);
});
