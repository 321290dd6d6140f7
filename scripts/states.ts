import { CLIENT_TRANSITIONS, SERVER_TRANSITIONS } from "../protocol/session/phases.ts";

/** What each fact of the tables is, for a reader who does not know the code. */
const FACTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  device: {
    linked: "a link is usable, Hello is written",
    welcomed: "Welcome came",
    installed: "what it said is durable, Ready is written",
    ended: "the link died, or either side closed it",
  },
  service: {
    helloed: "Hello came",
    prepared: "authenticated and looked up, Welcome is written",
    readied: "Ready came",
    attached: "the generation is raised durably",
    ended: "the link died, or either side closed it",
  },
};

type Table = Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>;

/** The state diagrams of the specification, drawn from the tables by which the machines move. */
export function statesPage(): string {
  return [
    "<!-- Generated from protocol/session/phases.ts. Do not edit. -->",
    "",
    "# Session states",
    "",
    "Which frames may come in which phase: [frames](frames.md).",
    "",
    ...section("device", CLIENT_TRANSITIONS),
    "",
    ...section("service", SERVER_TRANSITIONS),
    "",
  ].join("\n");
}

function section(side: string, table: Table): string[] {
  const moves = Object.entries(table).flatMap(([fact, from]) =>
    Object.entries(from).map(([phase, next]) => ({ fact, phase, next: next as string })),
  );
  const told = FACTS[side] ?? {};
  const rows = moves.map(({ phase, fact, next }) => {
    if (told[fact] === undefined) throw new TypeError(`${side}: nothing says what ${fact} is`);
    return `| ${phase} | ${fact}: ${told[fact]} | ${next} |`;
  });
  const first = side === "device" ? "detached" : "opening";
  return [
    `## The ${side}'s half`,
    "",
    "```mermaid",
    "stateDiagram-v2",
    `  [*] --> ${first}`,
    ...moves.map(({ phase, fact, next }) => `  ${phase} --> ${next}: ${fact}`),
    ...(side === "service" ? ["  closed --> [*]"] : []),
    "```",
    "",
    "| from | when | to |",
    "| --- | --- | --- |",
    ...rows,
  ];
}
