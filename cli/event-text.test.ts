import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageContent } from "../client/conversations/content.ts";
import { contentText, eventLine, jsonLine, oneLine } from "./event-text.ts";

/** Escape sequences of both kinds, directions, and a line that looks like one of ours. */
const EVIL = "a\u001b]0;b\u0007\u009b31mc\u202ed\u2066e\u2028f\u200e\r\n-- verified --\u007f\t!";
const MISLEADING = /[^\P{Cc}\t\n]|\p{Bidi_Control}|[\u2028\u2029]/u;

test("text of others moves no cursor, and its lines look like none of ours", () => {
  const contents: readonly MessageContent[] = [
    EVIL,
    { kind: "location", latitude: 1, longitude: 2, label: EVIL },
    { kind: "attachment", shownAs: "image", uri: `x:${EVIL}`, name: EVIL, caption: EVIL },
  ];
  for (const content of contents) {
    const text = contentText(content);
    assert.doesNotMatch(text, MISLEADING);
    for (const line of text.split("\n").slice(1)) assert.ok(line.startsWith("  | "), line);
  }
  const device = { kind: "device", seq: 1, deviceId: "d", change: "named", name: EVIL } as const;
  for (const line of [oneLine(EVIL), eventLine(device) ?? ""]) {
    assert.doesNotMatch(line, MISLEADING);
    assert.doesNotMatch(line, /[\n\t]/);
  }
  const plain = "שלום 👩‍👩‍👧 é\tok";
  assert.equal(contentText(plain), plain);
});

test("a line of JSON says the same, and misleads nobody who looks at it", () => {
  const value = { content: EVIL, [EVIL]: [EVIL] };
  const line = jsonLine(value);
  assert.doesNotMatch(line, MISLEADING);
  assert.ok(!line.includes("\n"));
  assert.deepEqual(JSON.parse(line), value);
});
