import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/**
 * Lines that plain text seldom holds: several scripts, both directions, joined emoji, control data
 * look-alikes.
 */
const SPECIAL = [
  "Grüße aus Köln, señor Åström",
  "Привет, мир! Как дела?",
  "你好，世界。今天天氣很好。",
  "こんにちは世界",
  "안녕하세요 세계",
  "مرحبا بالعالم، كيف حالك؟",
  "שלום עולם",
  "नमस्ते दुनिया",
  "สวัสดีชาวโลก",
  "📯 🧑🏽‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u202eright to left\u202c",
  '{"seq":1,"through":9007199254740991}',
  "\u0000\u0001\u001b[31m looks like control data",
];

/** Sizes around the limits of length prefixes and of content. */
const SIZES = [1, 127, 128, 16_383, 16_384, 65_536, 204_000];

/**
 * What is sent: every line of the specification and the README, or of another file, and the special
 * ones.
 */
export function demoTexts(file: string | undefined): string[] {
  const files =
    file === undefined ? globSync(["README.md", "spec/**/*.md"], { cwd: ROOT }) : [file];
  const lines = files
    .sort()
    .flatMap((name) =>
      readFileSync(file === undefined ? join(ROOT, name) : name, "utf8").split("\n"),
    );
  const sized = SIZES.map((size) => "x".repeat(size));
  // Empty lines stay: the service refuses them with a typed error, and that is checked too.
  return [...SPECIAL, ...sized, ...lines];
}
