import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { parseArgs } from "node:util";

const HELP = `npm run fuzz -- [--runs N] [--seed N] [--path P] [--only TEXT] [--list]

Runs the property tests with more cases than npm test does. A failure prints its seed and path;
give both back to replay it.

  --runs N     cases a property [20000]
  --seed N     a seed; random otherwise
  --path P     the failing case of a seed, with --only
  --only TEXT  files whose name holds TEXT
  --list       the files with properties
`;
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20000" },
    seed: { type: "string" },
    path: { type: "string" },
    only: { type: "string" },
    list: { type: "boolean" },
    help: { type: "boolean" },
  },
});

const files = globSync("{protocol,server,client,codegen,fuzz}/**/*.property.test.ts").filter(
  (file) => values.only === undefined || file.includes(values.only),
);
if (values.help) process.stdout.write(HELP);
else if (values.list) process.stdout.write(`${files.join("\n")}\n`);
else process.exitCode = fuzz();

function fuzz(): number {
  const env = {
    ...process.env,
    FUZZ_RUNS: values.runs,
    FUZZ_SEED: values.seed ?? String(Math.floor(Math.random() * 2 ** 31)),
    ...(values.path === undefined ? {} : { FUZZ_PATH: values.path }),
  };
  process.stdout.write(`seed ${env.FUZZ_SEED}, ${values.runs} runs a property\n`);
  const run = spawnSync(process.execPath, ["--test", ...files], { env, stdio: "inherit" });
  return files.length > 0 ? (run.status ?? 1) : 1;
}
