import assert from "node:assert/strict";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { buildGo, lackingGo, lackingPython, type Said, said } from "./other-languages.ts";

// Two implementations of chapters 11 to 13 and 16 by other means read the vectors of the envelope,
// of secure chat and of conversations. A reader that notices nothing would agree too, so each is
// shown wrong vectors.

const ROOT = join(import.meta.dirname, "..");
const VECTORS = join(ROOT, "spec", "vectors");
const scratch = mkdtempSync(join(tmpdir(), "posthorn-verifiers-"));
after(() => rmSync(scratch, { recursive: true }));

interface Case {
  readonly name: string;
  readonly kind?: string;
  expect?: unknown;
}

interface Verifier {
  readonly name: string;
  /** Why it cannot run here, if so. */
  readonly lacking: () => Promise<string | undefined>;
  readonly run: (folder: string) => Promise<Said>;
  /** What it cannot judge. */
  readonly skips: readonly string[];
  /** Altered members that it cannot notice, because it lacks a derandomized form. */
  readonly blind: readonly string[];
}

const GO_READER = join(scratch, "reader");

const VERIFIERS: readonly Verifier[] = [
  {
    name: "Python",
    lacking: lackingPython,
    run: (folder) => said("python3", [join("verify", "python", "verify.py"), folder]),
    skips: [],
    blind: [
      "xwing-encapsulate randomness_hex",
      "resume-psk-kem service.kem_randomness_hex",
      "chat-handshake offering.kem_randomness_hex",
      "chat-handshake accepting.kem_randomness_hex",
      "session-turns-initiator steps.5.answer.randomness_hex",
      "session-turns-initiator steps.11.answer.randomness_hex",
      "session-franking-initiator steps.5.answer.randomness_hex",
      "epochs epochs.0.randomness_hex",
      "epochs epochs.1.randomness_hex",
      "epochs epochs.2.randomness_hex",
      "epochs epochs.3.randomness_hex",
      "passive-client drawn.kem.randomness_hex",
      "passive-client drawn.epochs.1.answer.randomness_hex",
    ],
  },
  {
    name: "Go",
    lacking: async () => {
      const why = await lackingGo();
      if (why === undefined) await buildGo(".", GO_READER);
      return why;
    },
    run: (folder) => said(GO_READER, [folder]),
    skips: ["ML-DSA-65"],
    blind: [
      "chat-handshake offering.ml_dsa_65_seed_hex",
      "chat-handshake accepting.ml_dsa_65_seed_hex",
      "certificate account.ml_dsa_65_hex",
    ],
  },
];

const FILES = globSync(
  ["envelope-*.json", "envelope/*.json", "secure/*.json", "conversation/*.json"],
  { cwd: VECTORS },
).filter((path) => basename(path) !== "schema.json");

/** What the readers call a file. */
function nameOf(path: string): string {
  return /^(?:secure|conversation)/.test(path) ? path.replace("\\", "/") : basename(path);
}

function casesOf(path: string): readonly Case[] {
  return JSON.parse(readFileSync(join(VECTORS, path), "utf8")).cases;
}

/** A copy of the vectors with other cases. */
function altered(t: TestContext, change: (cases: readonly Case[], path: string) => Case[]): string {
  const folder = mkdtempSync(join(scratch, "vectors-"));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(VECTORS, folder, { recursive: true });
  for (const path of FILES) {
    const cases = change(structuredClone(casesOf(path)) as Case[], path);
    writeFileSync(join(folder, path), JSON.stringify({ cases }));
  }
  return folder;
}

interface Flip {
  readonly place: string;
  readonly value: unknown;
}

/** A value that holds bytes, with the first of them flipped. */
function flippedBytes(value: unknown, place: string): Flip[] {
  if (typeof value !== "string" || !/_hex(?:\.\d+)?$/.test(place) || value === "") return [];
  const first = (Number.parseInt(value.slice(0, 2), 16) ^ 1).toString(16).padStart(2, "0");
  return [{ place, value: first + value.slice(2) }];
}

/** Likewise; and every number is another one, and every text. */
function flippedWhatever(value: unknown, place: string): Flip[] {
  const isAbout = /^(?:name|description|requirements|kind|expect)\b/.test(place);
  if (isAbout || /_hex\b/.test(place)) return flippedBytes(value, place);
  if (typeof value === "number") return [{ place, value: value + 1 }];
  if (typeof value !== "string") return [];
  const first = String.fromCharCode(value.charCodeAt(0) ^ 1);
  return [{ place, value: first + value.slice(1) }];
}

/** Every place below a value that can be altered. */
function flips(value: unknown, alter: typeof flippedBytes, place = ""): Flip[] {
  if (value === null || typeof value !== "object") return alter(value, place);
  return Object.entries(value).flatMap(([name, member]) =>
    flips(member, alter, place === "" ? name : `${place}.${name}`).map((flip) => {
      const copy = structuredClone(value) as Record<string, unknown>;
      copy[name] = flip.value;
      return { place: flip.place, value: copy };
    }),
  );
}

/**
 * Members that nobody needs: the first link is of RSA, and of envelope-link.json the readers follow
 * the device's side.
 */
const UNUSED = ["link-suite-1 device.xwing_seed_hex", "x-wing server_randomness_hex"];
/** With one message more than there were, the same mark is as good. */
const HARMLESS = ["mark newest"];

/** The first valid case of each kind in a file, once for each member that can be altered. */
function alteredMembers(path: string, cases: readonly Case[], blind: readonly string[]): Case[] {
  const alter = path.startsWith("conversation") ? flippedWhatever : flippedBytes;
  const valid = cases.filter(({ expect }) => expect === undefined || expect === "valid");
  const firsts = valid.filter(({ kind }, at) => valid.findIndex((one) => one.kind === kind) === at);
  const unseen = [...UNUSED, ...HARMLESS, ...blind];
  return firsts.flatMap((one) =>
    flips(one, alter)
      .filter(({ place }) => !unseen.includes(`${one.name} ${place}`))
      .filter(({ place }) => !unseen.includes(`${one.kind} ${place}`))
      .map(({ place, value }) => ({ ...(value as Case), name: `${one.name} ${place}` })),
  );
}

for (const { name, lacking, run, skips, blind } of VERIFIERS) {
  test(`a reader in ${name}, written from the chapters, agrees with every vector`, async (t) => {
    const why = await lacking();
    if (why !== undefined) return t.skip(why);
    const { status, lines } = await run(VECTORS);
    assert.equal(status, 0, lines.join("\n"));
    const skipped = lines.filter((line) => line.startsWith("skipped: "));
    const unknown = skipped.filter((line) => !skips.some((lack) => line.endsWith(`: ${lack}`)));
    if (unknown.length > 0) return t.skip(unknown.join(", "));
    // Of secure chat only what hangs on the second half of a signature.
    const ofChats = skipped.filter((line) => line.startsWith("skipped: secure/"));
    assert.deepEqual(
      ofChats.filter((line) => !/ml-dsa-wrong|halves-/.test(line)),
      [],
    );
    const count = FILES.reduce((sum, path) => sum + casesOf(path).length, 0);
    const agreed = count - skipped.length;
    assert.equal(lines.at(-1), `${agreed} vectors agree, ${skipped.length} skipped, 0 wrong`);
  });

  test(`the reader in ${name} notices a flipped bit in every member`, async (t) => {
    const why = await lacking();
    if (why !== undefined) return t.skip(why);
    const places: string[] = [];
    const folder = altered(t, (cases, path) => {
      const wrong = alteredMembers(path, cases, blind);
      places.push(...wrong.map((one) => `wrong: ${nameOf(path)}: ${one.name}: `));
      return wrong;
    });
    const { status, lines } = await run(folder);
    assert.equal(status, 1);
    const unseen = places.filter((place) => !lines.some((line) => line.startsWith(place)));
    assert.deepEqual(unseen, []);
    assert.ok(places.length > 100, `${places.length} members`);
  });

  test(`the reader in ${name} accepts no expectation turned over`, async (t) => {
    const why = await lacking();
    if (why !== undefined) return t.skip(why);
    const folder = altered(t, (cases) =>
      cases.map((one) => {
        const isValid = one.expect === undefined || one.expect === "valid";
        return { ...one, expect: isValid ? { fails: "replay" } : "valid" };
      }),
    );
    const { status, lines } = await run(folder);
    assert.equal(status, 1);
    assert.match(lines.at(-1) ?? "", /^0 vectors agree/);
  });
}
