import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Outcome } from "./command.ts";
import type { Named } from "./vectors/builder.ts";
import { DEVICE } from "./vectors/device.ts";
import { DECODING, FRAME_RULE_VECTORS, FRAMING } from "./vectors/framing.ts";
import { PIPES, SNIFFING } from "./vectors/links.ts";
import { SERVICE } from "./vectors/service.ts";

/** The files of spec/vectors/: what is asked in each, and its cases. */
const FILES: Readonly<
  Record<string, { readonly about: string; readonly cases: readonly Named[] }>
> = {
  "framing.json": { about: "A stream is cut into frames.", cases: FRAMING },
  "decoding.json": { about: "A frame is decoded, or refused.", cases: DECODING },
  "frame-rules.json": { about: "Who may send which kind, and when.", cases: FRAME_RULE_VECTORS },
  "sniffing.json": { about: "First bytes on a port that serves everything.", cases: SNIFFING },
  "byte-pipe.json": { about: "The service's half of a long-poll link.", cases: PIPES },
  "service.json": { about: "Given these frames, a service answers these.", cases: SERVICE },
  "device.json": { about: "Given these frames, a device sends these.", cases: DEVICE },
};

/** The path and text of every vector file. */
export function vectorFiles(): readonly (readonly [path: string, text: string])[] {
  return Object.entries(FILES).map(([name, { about, cases }]) => {
    const names = new Set(cases.map((vector) => vector.name));
    if (names.size !== cases.length) throw new TypeError(`${name}: two cases have one name`);
    const text = JSON.stringify({ $schema: "./schema.json", about, cases }, undefined, 1);
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
