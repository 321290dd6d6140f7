import type { SourceFile } from "./source-file.ts";

/** What package.json names. */
export interface Dependencies {
  readonly product: readonly string[];
  readonly development: readonly string[];
}

export interface Fault {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** Finds where a file breaks one rule of the house. Pure, never throws. */
export type Rule = (file: SourceFile, dependencies: Dependencies) => Fault[];
