import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ID } from "./requirements.ts";

export interface Citation {
  readonly id: string;
  readonly place: string;
  readonly text: string;
}

const ROOMS = "{protocol,server,client,platform,cli,demo,bench,fuzz,scripts,codegen,proto,spec}";
/** Tests plant ids that do not exist. */
const OWN = /^scripts\/(?:trace|check\.test)|^spec\/(?:generated|vectors)\//;

/** Every place in code, tests, schemas and specification that names a requirement. */
export function readCitations(root: string): readonly Citation[] {
  const files = globSync(`${ROOMS}/**/*.{ts,proto,md,pml}`, { cwd: root }).sort();
  return files
    .filter((file) => !OWN.test(file))
    .flatMap((file) => {
      const lines = readFileSync(join(root, file), "utf8").split("\n");
      return lines.flatMap((text, index) =>
        (text.match(ID) ?? []).map((id) => ({
          id,
          place: `${file}:${index + 1}`,
          text: text.trim(),
        })),
      );
    });
}
