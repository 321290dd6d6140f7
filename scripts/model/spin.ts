import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runCommand } from "../command.ts";
import type { Model } from "./models.ts";

export interface ModelVerdict {
  readonly model: Model;
  readonly found: "holds" | "fails" | "incomplete";
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly megabytes: number;
  readonly seconds: number;
  /** What was violated; for an unexpected verdict with the execution that leads there. */
  readonly detail: string;
}

const FOLDER = join(import.meta.dirname, "..", "..", "spec", "models");
const DEPTH_MAX = 500_000;
const MEMORY_MB = 6_000;

/** Checks one model exhaustively, in a folder of its own that is removed again. */
export async function checkModel(model: Model): Promise<ModelVerdict> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-model-"));
  try {
    const path = join(FOLDER, model.file);
    const switches = model.switches.map((name) => `-D${name}`);
    const kind = model.looksFor === "cycles" ? "-DNP" : "-DSAFETY";
    const flags = ["-O2", "-w", "-DCOLLAPSE", kind, `-DMEMLIM=${MEMORY_MB}`];
    const startedMs = performance.now();
    const steps = [
      ["spin", "-a", ...switches, path],
      ["cc", ...flags, "-o", "pan", "pan.c"],
      ["./pan", ...(model.looksFor === "cycles" ? ["-l"] : []), `-m${DEPTH_MAX}`],
    ] as const;
    let output = "";
    for (const [program, ...args] of steps) {
      const step = await runCommand(folder, program, args);
      if (!step.isOk) throw new Error(`${program}: ${step.output}`);
      output = step.output;
    }
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    const verdict = verdictOf(model, output, seconds);
    if (verdict.found === model.expected || verdict.found === "incomplete") return verdict;
    const trail = await runCommand(folder, "spin", [
      "-k",
      `${basename(path)}.trail`,
      "-t",
      "-p",
      ...switches,
      path,
    ]);
    return { ...verdict, detail: `${verdict.detail}\n${trail.output}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function verdictOf(model: Model, output: string, seconds: number): ModelVerdict {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? "0");
  const errors = number(/errors: (\d+)/);
  const violated = /pan:1: (.*) \(at depth/.exec(output)?.[1] ?? "";
  const isWhole = !/reached -DMEMLIM|max search depth too small/.test(output);
  const isOver = /errors: \d+/.test(output);
  const found = errors > 0 ? "fails" : isWhole && isOver ? "holds" : "incomplete";
  return {
    model,
    found,
    states: number(/^\s*([\d.e+]+) states, stored/m),
    transitions: number(/^\s*([\d.e+]+) transitions/m),
    depth: number(/depth reached (\d+)/),
    megabytes: Math.round(number(/^\s*([\d.]+)\s+total actual memory usage/m)),
    seconds,
    detail: violated,
  };
}
