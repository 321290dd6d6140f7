import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { countedOf, type KnownService } from "../client/known-service.ts";
import { pinText } from "../protocol/envelope/identity.ts";
import { knownService } from "./known-services.ts";
import { emptyFolder } from "./testdata/program.ts";

const [ONE, TWO] = [1, 2].map((byte) => new Uint8Array(32).fill(byte)) as [Uint8Array, Uint8Array];
const HERE = "127.0.0.1:1";

test("[ENV-70] where an identity came from outlives the program", (t) => {
  const path = join(emptyFolder(t), "folder", "known-services.json");
  const memory = knownService(path, HERE);
  assert.equal(memory.load(), undefined);
  const known: KnownService = {
    identities: [
      { serverId: TWO, origin: "announced", formers: [ONE], isMet: true, minSuite: 0x0101 },
      { serverId: ONE, origin: "given", formers: [], isMet: false, minSuite: undefined },
    ],
  };
  memory.save(known);
  knownService(path, "127.0.0.1:2").save({ identities: [] });
  assert.deepEqual(memory.load(), known);
});

test("[ENV-70] of a file that does not say it all pins only were there", (t) => {
  const path = join(emptyFolder(t), "known-services.json");
  writeFileSync(path, JSON.stringify({ [HERE]: { pins: [ONE, TWO].map(pinText), minSuite: 2 } }));
  const memory = knownService(path, HERE);
  const known = memory.load() as KnownService;
  const seen = { origin: "seen", formers: [], isMet: true, minSuite: 2 };
  assert.deepEqual(known.identities, [
    { serverId: ONE, ...seen },
    { serverId: TWO, ...seen },
  ]);
  const [given, ...others] = countedOf(known, [ONE]).identities;
  assert.deepEqual([given?.serverId, given?.minSuite, others], [ONE, undefined, []]);
  memory.save(known);
  assert.deepEqual(memory.load(), known);
  assert.equal(JSON.parse(readFileSync(path, "utf8"))[HERE].pins, undefined);
});

test("[ENV-34] [ENV-70] a file that does not hold what it should is told, not forgotten", (t) => {
  const path = join(emptyFolder(t), "known-services.json");
  const sound = { pin: pinText(ONE), origin: "given", formers: [], met: true, minSuite: 1 };
  const wrong = [{ pin: "abc" }, { origin: "told" }, { formers: ["x"] }, { met: 1 }];
  const promises = [{ minSuite: "2" }, { minSuite: -1 }, { minSuite: 65_536 }, { minSuite: null }];
  const services: unknown[] = [...wrong, ...promises].map((part) => {
    return { identities: [{ ...sound, ...part }] };
  });
  services.push(
    { pins: [5] },
    { pins: [pinText(ONE)], minSuite: "2" },
    { identities: [null] },
    {},
    5,
  );
  for (const service of services) {
    writeFileSync(path, JSON.stringify({ [HERE]: service }));
    assert.throws(() => knownService(path, HERE).load(), /is illegible/, JSON.stringify(service));
  }
  writeFileSync(path, JSON.stringify({ [HERE]: { identities: [sound] } }));
  assert.equal(knownService(path, HERE).load()?.identities.length, 1);
});
