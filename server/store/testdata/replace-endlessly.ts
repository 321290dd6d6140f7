import { writeSync } from "node:fs";
import { ReplacingStore } from "./replacing-store.ts";

// Replaces entries until it is killed. Tells each replacement before it is asked for, and once it
// is told that it is in force.

const [folder = "", count = ""] = process.argv.slice(2);
const replacing = await ReplacingStore.open(folder);
const versions = (await replacing.texts()).map((text) => Number(text.split("-")[3]));
await replacing.add(Math.max(0, Number(count) - versions.length));
const tell = (line: string) => writeSync(1, `${line}\n`);
while (versions.length < Number(count)) versions.push(0);
versions.forEach((version, index) => {
  tell(`DONE ${index + 1} ${version}`);
});
for (let turn = 0; ; turn += 1) {
  const index = (turn * 7) % versions.length;
  const version = (versions[index] as number) + 1;
  tell(`BEGIN ${index + 1} ${version}`);
  await replacing.commit(replacing.replacement(index + 1, version - 1, version));
  versions[index] = version;
  tell(`DONE ${index + 1} ${version}`);
}
