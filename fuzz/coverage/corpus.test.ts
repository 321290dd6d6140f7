import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { corpusName, readCorpus, writeCorpus } from "./corpus.ts";
import { TARGETS } from "./targets.ts";

const FILES_MAX = 500;
const BYTES_MAX = 300 * 1024;
const FOLDER = join(import.meta.dirname, "../corpus");

for (const { name, title, load, bytesMax } of TARGETS) {
  test(`${name}, every kept input: ${title}`, async () => {
    const { fuzz } = await load();
    const corpus = readCorpus(name);
    assert.ok(corpus.length > 0, "there is a corpus");
    for (const input of corpus) {
      assert.ok(input.length <= bytesMax);
      try {
        await fuzz(input.slice());
      } catch (cause) {
        throw new Error(`fuzz/corpus/${name}/${corpusName(input)}`, { cause });
      }
    }
  });
}

test("the corpus is small, has no other targets, and is named after its bytes", () => {
  const names = readdirSync(FOLDER).filter((name) => name !== ".gitattributes");
  const known = new Set(TARGETS.map(({ name }) => name));
  assert.deepEqual(
    names.filter((name) => !known.has(name)),
    [],
  );
  const inputs = names.flatMap((name) => {
    const read = readCorpus(name);
    assert.deepEqual(read.map(corpusName), readdirSync(join(FOLDER, name)).sort());
    return read;
  });
  assert.ok(inputs.length <= FILES_MAX, `${inputs.length} files`);
  assert.ok(inputs.reduce((sum, { length }) => sum + length, 0) <= BYTES_MAX);
});

test("writing a corpus keeps what is there, adds and removes", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "corpus-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [one, two, three] = [1, 2, 3].map((byte) => Uint8Array.of(byte)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  assert.deepEqual(readCorpus("toy", folder), []);
  assert.deepEqual(writeCorpus("toy", [one, two], folder), { added: 2, removed: 0 });
  assert.deepEqual(writeCorpus("toy", [two, three, three], folder), { added: 1, removed: 1 });
  const expected = [two, three].sort((a, b) => (corpusName(a) < corpusName(b) ? -1 : 1));
  assert.deepEqual(readCorpus("toy", folder), expected);
});
