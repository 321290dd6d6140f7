import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A numbered sentence of the specification. */
export interface Requirement {
  readonly id: string;
  /** "statement": a definition or rule without a key word of RFC 2119. */
  readonly level: "MUST" | "SHOULD" | "statement";
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface Spec {
  readonly requirements: readonly Requirement[];
  /** What breaks the rules of writing requirements, each with its place. */
  readonly findings: readonly string[];
}

export const ID = /\b(?:LNK|FRM|SES|SEQ|RES|AUT|ERR|OPS|ENV|RPC|SEC|CNV|SVC|SIG|DEV|CAT)-\d+\b/g;
const BULLET = /^- \[([A-Z]{3}-\d+)\] /;
const KEY_WORD = /\b(MUST|SHOULD)\b/;
/** Explains the words themselves. */
const ABOUT_KEY_WORDS = /RFC 2119|Each MUST has an id/;

/** Reads every numbered requirement of the chapters. */
export function readSpec(root: string): Spec {
  const requirements: Requirement[] = [];
  const findings: string[] = [];
  for (const file of globSync("spec/[0-9]*.md", { cwd: root }).sort()) {
    readChapter({ file, text: readFileSync(join(root, file), "utf8") }, requirements, findings);
  }
  const places = new Map<string, string>();
  for (const { id, file, line } of requirements) {
    const place = `${file}:${line}`;
    const first = places.get(id);
    if (first !== undefined) findings.push(`${place}: ${id} is already at ${first}`);
    else places.set(id, place);
  }
  return { requirements, findings };
}

function readChapter(
  { file, text }: { readonly file: string; readonly text: string },
  requirements: Requirement[],
  findings: string[],
): void {
  const lines = text.split("\n");
  let open: { id: string; line: number; parts: string[] } | undefined;
  const close = () => {
    if (open === undefined) return;
    const { id, line, parts } = open;
    const whole = parts.join(" ");
    requirements.push({ id, level: levelOf(whole), file, line, text: whole });
    open = undefined;
  };
  lines.forEach((content, index) => {
    const started = BULLET.exec(content);
    if (started !== null) {
      close();
      open = { id: started[1] as string, line: index + 1, parts: [content.replace(BULLET, "")] };
    } else if (open !== undefined && content.startsWith("  ")) {
      open.parts.push(content.trim());
    } else {
      close();
      if (KEY_WORD.test(content) && !ABOUT_KEY_WORDS.test(content)) {
        findings.push(`${file}:${index + 1}: a MUST or SHOULD without an id`);
      }
    }
  });
  close();
}

function levelOf(text: string): Requirement["level"] {
  return (KEY_WORD.exec(text)?.[1] as "MUST" | "SHOULD" | undefined) ?? "statement";
}

/** Changes when the requirement is reworded, and not when its lines are broken elsewhere. */
export function hashOf({ text }: Requirement): string {
  return createHash("sha256").update(text.replace(/\s+/g, " ")).digest("hex").slice(0, 16);
}
