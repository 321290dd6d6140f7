import { writeSync } from "node:fs";
import { StoreError } from "../store.ts";
import { ReplacingStore } from "./replacing-store.ts";

// Adds an entry and replaces it, while calls of the system are made to fail from outside; repeats
// the replacement until it is told that it is in force. Tells how each step ended.

const [folder = "", triesMax = "1"] = process.argv.slice(2);
const tell = (line: string) => writeSync(1, `${line}\n`);
const replacing = await ReplacingStore.open(folder);
await replacing.add(1);
const { store } = replacing;
const plan = replacing.replacement(1, 0, 1);
for (let turn = 0; turn < Number(triesMax); turn += 1) {
  tell("BEGIN");
  const told = await replacing.resubmit(plan, 2).then(
    () => "DONE",
    (error: unknown) => `FAILED ${error instanceof StoreError ? error.code : String(error)}`,
  );
  const [text = ""] = await replacing.texts();
  tell(`${told} ${text.split("-")[3]}`);
  if (told === "DONE") break;
}
await store.close();
tell("CLOSED");
