import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { countedOf, type KnownService, learned, promiseOf } from "./known-service.ts";

const id = (byte: number) => new Uint8Array(32).fill(byte);
const [OLD, NEW, NEWER, IMPOSTOR] = [1, 2, 3, 9].map(id) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const NOBODY: KnownService = { identities: [] };
const NONE = new Uint8Array(0);

/** What is known after services have said words, to a device with these pins. */
function after(
  pins: readonly Uint8Array[] | undefined,
  ...words: readonly (readonly [Uint8Array, Uint8Array, number?])[]
): KnownService {
  return words.reduce((known, [serverId, nextServerId, minSuite = 1]) => {
    const counted = countedOf(known, pins);
    return countedOf(learned(counted, { serverId, nextServerId, minSuite }), pins);
  }, NOBODY);
}

function idsOf(known: KnownService): number[] {
  return known.identities.map(({ serverId }) => serverId[0] as number);
}

describe("what a device knows of a service", () => {
  test("[ENV-70] with a pin, who was there before does not count, nor what they promised", () => {
    const seen = after(undefined, [IMPOSTOR, id(8), 2]);
    assert.deepEqual(idsOf(seen), [8, 9]);
    assert.equal(promiseOf(seen), 2);
    const counted = countedOf(seen, [OLD]);
    assert.deepEqual(idsOf(counted), [1]);
    assert.equal(promiseOf(counted), undefined);
  });

  test("[ENV-70] who was there before and is given now counts, without what was promised", () => {
    const counted = countedOf(after(undefined, [OLD, NONE, 2]), [OLD]);
    assert.deepEqual(idsOf(counted), [1]);
    assert.equal(promiseOf(counted), undefined);
  });

  test("[ENV-70] a pin given earlier is no pin of now, and counts as seen without one", () => {
    const known = after([OLD], [OLD, NONE, 2]);
    assert.deepEqual(idsOf(countedOf(known, [NEW])), [2]);
    const without = countedOf(known, undefined);
    assert.deepEqual(idsOf(without), [1]);
    assert.equal(promiseOf(without), 2);
  });

  test("[ENV-33] [ENV-72] an announced identity is asked for, and takes over once it is met", () => {
    const announced = after([OLD], [OLD, NEW, 2]);
    assert.deepEqual(idsOf(announced), [2, 1]);
    const met = after([OLD], [OLD, NEW, 2], [NEW, NONE, 2]);
    assert.deepEqual(idsOf(met), [2]);
    assert.deepEqual(idsOf(countedOf(met, [OLD])), [2]);
    assert.equal(promiseOf(countedOf(met, [OLD])), 2);
    assert.deepEqual(idsOf(countedOf(met, [NEW])), [2]);
    // After another rotation the first pin leads to the last identity.
    const twice = after([OLD], [OLD, NEW], [NEW, NEWER], [NEWER, NONE]);
    assert.deepEqual(idsOf(twice), [3]);
    for (const pin of [OLD, NEW, NEWER]) assert.deepEqual(idsOf(countedOf(twice, [pin])), [3]);
  });

  test("[ENV-72] what a former identity announced is forgotten with the pin that replaces it", () => {
    const stolen = after([OLD], [OLD, IMPOSTOR]);
    assert.deepEqual(idsOf(countedOf(stolen, [NEW])), [2]);
  });

  test("[ENV-72] an identity that has given way is not announced back", () => {
    const known = after([OLD], [OLD, NEW], [NEW, OLD]);
    assert.deepEqual(idsOf(known), [2]);
  });

  test("[ENV-72] the last announcement is the one that counts", () => {
    assert.deepEqual(idsOf(after([OLD], [OLD, IMPOSTOR], [OLD, NEW])), [2, 1]);
    assert.deepEqual(idsOf(after([OLD], [OLD, NEW], [OLD, NONE])), [2, 1]);
  });

  test("[ENV-72] of two given pins one takes the other's place when that says so", () => {
    assert.deepEqual(idsOf(after([OLD, NEW], [OLD, NONE])), [1, 2]);
    assert.deepEqual(idsOf(after([OLD, NEW], [OLD, NEW])), [2, 1]);
    assert.deepEqual(idsOf(after([OLD, NEW], [OLD, NEW], [NEW, NONE])), [2]);
    assert.deepEqual(idsOf(after([OLD, NEW], [NEW, NONE], [OLD, NEW])), [2]);
  });

  test("[ENV-72] keys that announce each other in a circle leave somebody to know", () => {
    const all = [OLD, NEW, NEWER];
    const circle = after(all, [OLD, NEW], [NEWER, OLD], [NEW, NEWER]);
    assert.notEqual(circle.identities.length, 0);
  });

  test("[ENV-33] [ENV-72] a service that was only seen rotates likewise", () => {
    assert.deepEqual(idsOf(after(undefined, [OLD, NEW], [NEW, NONE])), [2]);
  });

  test("[ENV-34] the strongest promise counts, and an unknown one most", () => {
    const words = [
      [OLD, NONE, 1],
      [NEW, NONE, 2],
      [NEWER, NONE, 3],
    ] as const;
    const all = [OLD, NEW, NEWER];
    assert.equal(promiseOf(after(all, ...words)), 3);
    assert.equal(promiseOf(after(all, [OLD, NONE, 0x7777], [NEW, NONE, 2])), 0x7777);
    assert.equal(promiseOf(NOBODY), undefined);
  });

  test("[ENV-73] nothing new is nothing to keep", () => {
    const known = after([OLD], [OLD, NEW, 2]);
    assert.equal(learned(known, { serverId: OLD, nextServerId: NEW, minSuite: 2 }), known);
    assert.equal(learned(known, { serverId: OLD, nextServerId: NONE, minSuite: 2 }), known);
    assert.notEqual(learned(known, { serverId: OLD, nextServerId: NONE, minSuite: 3 }), known);
  });
});
