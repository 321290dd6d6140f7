import type { Watcher } from "./world.ts";

const LANES = ["a1", "a2", "b1", "n1", "n2"];
const LANE_COLUMNS = 11;
const LINES_MAX = 5_000;

/** A schedule as a sequence diagram in text: a lane for each device and node, time downwards. */
export class Trace {
  readonly #lines: string[] = [header()];

  readonly line: Required<Watcher>["line"] = (from, to, what) => {
    if (this.#lines.length < LINES_MAX) this.#lines.push(lineText(from, to, what));
  };

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  failed(error: unknown): void {
    this.#lines.push(`✖ ${error instanceof Error ? error.message : String(error)}`);
  }
}

function header(): string {
  return LANES.map((lane) => lane.padEnd(LANE_COLUMNS)).join("");
}

/** An arrow between two lanes; a command stands alone at the margin. */
function lineText(from: string, to: string, what: string): string {
  if (from === "") return `── ${what}`;
  const [start, end] = [LANES.indexOf(from), LANES.indexOf(to)];
  const cells = LANES.map(() => "│".padEnd(LANE_COLUMNS));
  if (start === end) {
    cells[start] = "●".padEnd(LANE_COLUMNS);
  } else {
    const [left, right] = [Math.min(start, end), Math.max(start, end)];
    const arrow = "─".repeat((right - left) * LANE_COLUMNS - 2);
    const text = start < end ? `├${arrow}▶` : `◀${arrow}┤`;
    cells.splice(left, right - left, text);
  }
  return `${cells.join("")} ${what}`;
}
