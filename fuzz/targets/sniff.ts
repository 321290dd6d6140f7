import { equal } from "node:assert/strict";
import { type Opening, sniff } from "../../protocol/sniff.ts";

/** The first bytes say what a connection is, and more of them never say something else. [LNK-3] */
export function fuzz(data: Uint8Array): void {
  let verdict: Opening = "more";
  for (let length = 0; length <= data.length; length += 1) {
    const next = sniff(new Uint8Array(data.subarray(0, length)));
    if (verdict === "more") verdict = next;
    equal(next, verdict, "what was said stays said");
    equal(next, said(Buffer.from(data.subarray(0, length)).toString("latin1")));
  }
}

/** [LNK-2] [LNK-3] a second time. */
function said(text: string): Opening {
  if (text === "") return "more";
  if (text.startsWith("\x16")) return "tls";
  if (/^[A-Z]/.test(text)) return "http";
  if (text.startsWith(PREFACE)) return "preface";
  return PREFACE.startsWith(text) ? "more" : "unknown";
}

const PREFACE = "\xf0\x9f\x93\xaf\x01";
