import assert from "node:assert/strict";
import { test } from "node:test";
import { functionsOf } from "./functions.ts";
import { tokensOf } from "./tokens.ts";

/** The functions of a text as "name lines/parameters". */
function read(text: string): string[] {
  const tokens = tokensOf(text).filter(({ kind }) => kind !== "comment");
  return functionsOf(tokens).map(
    ({ name, lineCount, parameterCount }) => `${name} ${lineCount}/${parameterCount}`,
  );
}

test("functions, methods, accessors and constructors are found by name", () => {
  assert.deepEqual(
    read(`
      export async function first<T extends Map<string, T>>(a: T, b = 2): Promise<void> {
      }
      class Second {
        constructor(private_: string) {
          super();
        }
        async #hidden({ a, b }: { a: string; b: string }, [c, d]: number[]) {}
        get value() { return 1; }
        static from(...all: Array<[string, number]>): Second { return new Second(""); }
        [Symbol.iterator]() {}
      }`),
    ["first 2/2", "constructor 3/1", "#hidden 1/2", "value 1/0", "from 1/1", "=> 1/0"],
  );
});

test("arrows end with their brace or with their expression", () => {
  assert.deepEqual(
    read(`
      const a = (x: number, y: number) => {
        return x;
      };
      const b = async () =>
        call(1, 2)
          .then((z) => z * 2);
      call((q): q is string => true, 3);
      const c = \`\${list.map((item) => item.name)} \${d}\`;`),
    ["=> 3/2", "=> 3/0", "=> 1/1", "=> 1/1", "=> 1/1"],
  );
});

test("statements, calls and conditions are no functions", () => {
  assert.deepEqual(
    read(`
      if (a) { b(); }
      for await (const x of y) {}
      while (f(x)) {}
      switch (x) { case g(y): { break; } }
      try {} catch (error) {}
      const z = a ? f(b) : { c: 1 };
      const n = new Thing(a, b, c, d, e);`),
    [],
  );
});

test("return types may hold braces, arrows and predicates", () => {
  assert.deepEqual(
    read(`
      function a(): { readonly b: string; c(): void } {
      }
      function d(e: (f: number) => void): () => void {
        return () => {};
      }
      function g(h: unknown): asserts h is Map<string, { i: number }> | undefined {
      }
      function j(): Promise<readonly string[]> {}`),
    ["a 2/0", "d 3/1", "=> 1/1", "=> 1/0", "g 2/1", "j 1/0"],
  );
});

test("this is a type and no parameter", () => {
  assert.deepEqual(read("function a(this: Thing, b: Record<string, number>, c: [d, e],) {}"), [
    "a 1/2",
  ]);
});
