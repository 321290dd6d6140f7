import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tokensOf } from "./tokens.ts";

const read = (text: string) => tokensOf(text).map((token) => `${token.kind} ${token.text}`);

test("strings and comments hide what stands in them", () => {
  assert.deepEqual(read(`a("// b", '\\'"') // c "d"`), [
    "word a",
    "mark (",
    `string "// b"`,
    "mark ,",
    `string '\\'"'`,
    "mark )",
    `comment // c "d"`,
  ]);
  assert.deepEqual(read("a /* b\n// */ c"), ["word a", "comment /* b\n// */", "word c"]);
  assert.deepEqual(read("#!/usr/bin/env node\na"), ["comment #!/usr/bin/env node", "word a"]);
});

test("a template's texts and expressions are apart, however deep", () => {
  assert.deepEqual(read("`a ${ {b: `c${d}`} } $ {e}`f"), [
    "template `a ${",
    "mark {",
    "word b",
    "mark :",
    "template `c${",
    "word d",
    "template }`",
    "mark }",
    "template } $ {e}`",
    "word f",
  ]);
});

test("a slash divides after a value and begins a regular expression elsewhere", () => {
  assert.deepEqual(
    tokensOf("a / b / c; (d) / 2; return /[/]\\//gu.x; f(/'/)").filter(
      ({ kind }) => kind === "regex",
    ),
    [
      { kind: "regex", text: "/[/]\\//gu", line: 1 },
      { kind: "regex", text: "/'/", line: 1 },
    ],
  );
});

test("lines are counted through comments and templates of several lines", () => {
  const lines = tokensOf("a\n/*\n*/ b `\n${\nc}\n` d").map(({ text, line }) => [text.trim(), line]);
  assert.deepEqual(lines, [
    ["a", 1],
    ["/*\n*/", 2],
    ["b", 3],
    ["`\n${", 3],
    ["c", 5],
    ["}\n`", 5],
    ["d", 6],
  ]);
});

test("nothing but white space is lost, whatever the text", () => {
  const piece = fc.constantFrom(..."`${}()/\\'\"=>\n #aé1*".split(""), "//", "/*", "${", "return ");
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join("");
      const kept = tokensOf(text).map((token) => token.text);
      assert.equal(kept.join("").replace(/\s/g, ""), text.replace(/\s/g, ""));
    }),
    { numRuns: 500 },
  );
});
