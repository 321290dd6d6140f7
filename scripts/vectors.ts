import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Outcome } from "./command.ts";
import type { Named } from "./vectors/builder.ts";
import { CONVERSATION_FILES } from "./vectors/conversation/files.ts";
import { DECODING, FRAME_RULE_VECTORS } from "./vectors/decoding.ts";
import { DEVICE_SETUP } from "./vectors/device.ts";
import { DEVICE_ATTACHING } from "./vectors/device-attaching.ts";
import { DEVICE_SEQUENCING } from "./vectors/device-sequencing.ts";
import { ENVELOPE_FILES } from "./vectors/envelope/files.ts";
import { ENVELOPE } from "./vectors/envelope.ts";
import { FRAMING } from "./vectors/framing.ts";
import { PIPE_SETUP, PIPES, SNIFFING } from "./vectors/links.ts";
import { SECURE_FILES } from "./vectors/secure/files.ts";
import { SERVICE_SETUP } from "./vectors/service.ts";
import { ATTACHING } from "./vectors/service-attaching.ts";
import { SERVICE_CALLS } from "./vectors/service-calls.ts";
import { ENDING } from "./vectors/service-ending.ts";
import { SEQUENCING } from "./vectors/service-sequencing.ts";

interface VectorFile {
  readonly about: string;
  /** What holds in all cases. */
  readonly setup?: object;
  readonly cases: readonly Named[];
}

/** The files of spec/vectors/. */
const FILES: Readonly<Record<string, VectorFile>> = {
  "framing.json": { about: "A stream is cut into frames.", cases: FRAMING },
  "decoding.json": { about: "A frame is decoded, or refused.", cases: DECODING },
  "frame-rules.json": { about: "Who may send which kind, and when.", cases: FRAME_RULE_VECTORS },
  "sniffing.json": { about: "First bytes on a port that serves everything.", cases: SNIFFING },
  "byte-pipe.json": {
    about: "The service's half of a long-poll link.",
    setup: PIPE_SETUP,
    cases: PIPES,
  },
  "envelope-link.json": {
    about: "The handshake of a sealed link, as a device or a service sees it, and its records.",
    cases: ENVELOPE,
  },
  "service.json": {
    about: "Given these frames, a service answers these.",
    setup: SERVICE_SETUP,
    cases: [...ATTACHING, ...SEQUENCING, ...SERVICE_CALLS, ...ENDING],
  },
  "device.json": {
    about: "Given these frames, a device sends these.",
    setup: DEVICE_SETUP,
    cases: [...DEVICE_ATTACHING, ...DEVICE_SEQUENCING],
  },
  // Of folders with a schema of their own, which is "./schema.json" there too.
  ...filesIn("envelope", ENVELOPE_FILES),
  ...filesIn("secure", SECURE_FILES),
  ...filesIn("conversation", CONVERSATION_FILES),
};

function filesIn(folder: string, files: Readonly<Record<string, VectorFile>>) {
  return Object.fromEntries(
    Object.entries(files).map(([name, file]) => [join(folder, name), file]),
  );
}

/** The path and text of every vector file. */
export function vectorFiles(): readonly (readonly [path: string, text: string])[] {
  return Object.entries(FILES).map(([name, { about, setup, cases }]) => {
    const names = new Set(cases.map((vector) => vector.name));
    if (names.size !== cases.length) throw new TypeError(`${name}: two cases have one name`);
    const text = JSON.stringify({ $schema: "./schema.json", about, setup, cases }, undefined, 1);
    return [join("spec", "vectors", name), `${text}\n`];
  });
}

export async function checkVectors(root: string): Promise<Outcome> {
  const stale: string[] = [];
  for (const [path, text] of vectorFiles()) {
    const committed = await readFile(join(root, path), "utf8").catch(() => "");
    if (committed !== text) stale.push(`stale: ${path}; "npm run vectors" writes it anew\n`);
  }
  return { isOk: stale.length === 0, output: stale.join("") };
}

async function main(root: string, args: readonly string[]): Promise<number> {
  if (args.includes("--check")) {
    const { isOk, output } = await checkVectors(root);
    process.stdout.write(output);
    if (!isOk) return 1;
  } else {
    for (const [path, text] of vectorFiles()) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
  }
  const counts = Object.entries(FILES).map(([name, { cases }]) => [name, cases.length] as const);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const json = JSON.stringify({ ...Object.fromEntries(counts), total });
  const text = `${counts.map(([name, count]) => `${name}: ${count}`).join("\n")}\n${total} vectors`;
  process.stdout.write(`${args.includes("--json") ? json : text}\n`);
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main(join(import.meta.dirname, ".."), process.argv.slice(2));
}
