import { parseArgs } from "node:util";
import { envelope } from "./envelope-job.ts";
import { groups } from "./groups-job.ts";
import type { Job, Result } from "./job.ts";
import { core } from "./main-job.ts";
import { offline } from "./offline-job.ts";
import { secure } from "./secure-job.ts";

const JOBS: ReadonlyMap<string, Job> = new Map([
  ["core", { about: "durable messages, fan-out, idle sessions", seconds: 4, run: core }],
  ["envelope", { about: "sealed records and handshakes", seconds: 1, run: envelope }],
  ["groups", { about: "groups of 10 to 10,000 members", seconds: 4, run: groups }],
  ["offline", { about: "a device away for 25,000 events a second", seconds: 4, run: offline }],
  ["secure", { about: "secure chats: handshakes, messages, shares", seconds: 1, run: secure }],
]);

const JOB_LINES = [...JOBS].map(([name, { about }]) => `  ${name.padEnd(13)}${about}\n`).join("");
const DEFAULTS = [...JOBS].map(([name, { seconds }]) => `${name} ${seconds}`).join(", ");
const HELP = `npm run bench -- JOB [--json] [--seconds N] [--idle N]

Measures Posthorn beside the bare limits of this machine, in one run: read the ratios.

${JOB_LINES}
  --json       one JSON line a result
  --seconds N  how long each rate is measured [${DEFAULTS}]
  --idle N     how many idle sessions core holds [10000]
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    seconds: { type: "string" },
    idle: { type: "string", default: "10000" },
    help: { type: "boolean" },
  },
});

function report({ name, value, unit, limit }: Result): void {
  const rounded = value >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
  if (values.json) {
    const rest = limit === undefined ? {} : { limit };
    process.stdout.write(`${JSON.stringify({ name, value: rounded, unit, ...rest })}\n`);
    return;
  }
  const beside = limit === undefined ? "" : `  ${limit.ratio.toFixed(2)} x ${limit.name}`;
  process.stdout.write(`${name.padEnd(44)} ${String(rounded).padStart(10)} ${unit}${beside}\n`);
}

const job = JOBS.get(positionals[0] ?? "");
if (values.help || job === undefined || positionals.length > 1) {
  process.stdout.write(HELP);
  process.exitCode = values.help ? 0 : 2;
} else {
  const measureMs = Number(values.seconds ?? job.seconds) * 1000;
  await job.run({ measureMs, idleCount: Number(values.idle), report });
  process.exit(0);
}
