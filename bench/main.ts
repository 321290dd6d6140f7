import { parseArgs } from "node:util";
import { core, type Result } from "./main-job.ts";

const HELP = `npm run bench -- core [--json] [--seconds N] [--idle N]

Measures Posthorn beside the bare limits of this machine, in one run: read the ratios.

  --json       one JSON line a result
  --seconds N  how long each rate is measured [4]
  --idle N     how many idle sessions are held [10000]
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    seconds: { type: "string", default: "4" },
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

if (values.help || positionals[0] !== "core") {
  process.stdout.write(HELP);
  process.exitCode = values.help ? 0 : 2;
} else {
  const measureMs = Number(values.seconds) * 1000;
  await core({ measureMs, idleCount: Number(values.idle), report });
  process.exit(0);
}
