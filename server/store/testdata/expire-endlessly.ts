import { writeSync } from "node:fs";
import { NOW_MS, ReplacingStore } from "./replacing-store.ts";

// Adds entries that expire and sweeps, until it is killed. Tells through which entry all have
// expired, before it sweeps them and after. The last of each turn is left for the next one.

const [folder = ""] = process.argv.slice(2);
let nowMs = NOW_MS;
const replacing = await ReplacingStore.open(folder, () => nowMs);
const tell = (line: string) => writeSync(1, `${line}\n`);
let seq = (await replacing.texts()).length;
for (;;) {
  nowMs = NOW_MS;
  for (const _ of [1, 2, 3]) {
    seq += 1;
    await replacing.addExpiring(seq, seq);
  }
  nowMs = NOW_MS + seq - 1;
  tell(`BEGIN ${seq - 1}`);
  await replacing.store.sweep();
  tell(`DONE ${seq - 1}`);
}
