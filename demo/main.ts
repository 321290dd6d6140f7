import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { isGood } from "./group/judge.ts";
import { groupDemo } from "./group/scenario.ts";
import { pairDemo } from "./pair/scenario.ts";
import { SeededRandom } from "./random.ts";

const HELP = `npm run demo -- [--scenario NAME] [--json] [--seed N] [--messages N] [--file FILE]
                [--envelope MODE]

pair: two users with two devices each talk over all three transports at once, through proxies that
cut their links at random bytes, while the server is killed and restarted and devices move between
transports. At the end every transcript is compared with what was sent. Exit status 1 if anything is
lost, doubled or out of order.

group: fifty users in three groups write, call each other, edit and take back, while half of their
devices go away and come back on other transports and the server is killed. At the end every view
is compared with what was meant. Exit status 1 if anything is lost, doubled, out of order, seen
after it was taken back, or if somebody who was called has not heard of it.

  --scenario N pair, or group [pair]
  --json       one JSON line as the last line
  --seed N     the faults of an earlier run (printed at its start)
  --messages N how many messages; of a group with edits and recalls [8000; group 2000]
  --envelope M off, or required: every link is sealed to the server's pin, and comes back by ticket
               when it changes transports [off]
  --file FILE  text to send instead of the specification and the README
`;
const OPTIONS = {
  json: { type: "boolean" },
  seed: { type: "string" },
  messages: { type: "string" },
  scenario: { type: "string", default: "pair" },
  file: { type: "string" },
  envelope: { type: "string", default: "off" },
  help: { type: "boolean" },
} as const;

const { values } = parseArgs({ options: OPTIONS });

const MESSAGES = { pair: 8_000, group: 2_000 } as const;

async function demo(): Promise<number> {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  const { scenario, envelope } = values;
  if (scenario !== "pair" && scenario !== "group") throw new TypeError("--scenario pair, or group");
  const messageCount = Number(values.messages ?? MESSAGES[scenario]);
  if (!Number.isInteger(seed) || !(messageCount > 0)) throw new TypeError("--seed, --messages");
  if (envelope !== "required" && envelope !== "off") {
    throw new TypeError("--envelope off, or required");
  }
  const random = new SeededRandom(seed);
  process.stderr.write(`seed ${seed}\n`);
  const { file } = values;
  if (scenario === "pair") {
    const result = await pairDemo({ random, messageCount, envelope, file });
    report(result, `--seed ${seed}`);
    const { delivered, lost, duplicated, misordered } = result;
    return delivered > 0 && lost + duplicated + misordered === 0 ? 0 : 1;
  }
  const result = await groupDemo({ random, actionCount: messageCount, envelope, file });
  report(result, `--scenario group --seed ${seed}`);
  return isGood(result) ? 0 : 1;
}

function report(result: object, repeat: string): void {
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    for (const [name, value] of Object.entries(result)) {
      process.stdout.write(`  ${name.padEnd(20)} ${value}\n`);
    }
    process.stdout.write(`  repeat with  ${repeat}\n`);
  }
}

if (values.help) process.stdout.write(HELP);
else process.exitCode = await demo();
