import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError } from "../config-error.ts";
import { webhooksIn } from "./webhook-file.ts";

const SECRET = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const GOOD = {
  name: "orders",
  user: "shop",
  url: "https://example.com/hook?key=0a1b",
  secretFiles: ["now"],
};

/** What a file comes to, beside files that it may name. */
function read(file: unknown) {
  const files: Readonly<Record<string, string>> = {
    hooks: typeof file === "string" ? file : JSON.stringify(file),
    now: `${SECRET}\n`,
    old: `whsec_${Buffer.alloc(24, 2).toString("base64")}`,
    empty: "",
    ca: readFileSync(join(import.meta.dirname, "../testdata/localhost-cert.pem"), "utf8"),
  };
  return webhooksIn("hooks", (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("none"), { code: "ENOENT" });
    return Buffer.from(text);
  });
}

test("[BCK-13] a file says who is told what, and by which secrets", () => {
  const second = { ...GOOD, name: "b", tenant: "acme", secretFiles: ["now", "old"], caFile: "ca" };
  const [first, other] = read({ webhooks: [GOOD, second] });
  assert.deepEqual(first, {
    name: "orders",
    tenant: "",
    userId: "shop",
    url: new URL(GOOD.url),
    secrets: [Buffer.alloc(32, 1)],
    ca: undefined,
  });
  assert.deepEqual([other?.tenant, other?.secrets.length], ["acme", 2]);
  assert.match(String(other?.ca), /CERTIFICATE/);
  assert.deepEqual(read({ webhooks: [] }), []);
  for (const url of ["http://localhost:1/a", "http://127.0.0.1", "http://[::1]:8080/"]) {
    assert.equal(read({ webhooks: [{ ...GOOD, url }] })[0]?.url.href, new URL(url).href);
  }
});

test("[BCK-13] [BCK-25] what is wrong is refused, and no address is repeated", () => {
  const urls = [
    "http://example.com/0a1b",
    "http://10.0.0.1/0a1b",
    "http://127.0.0.1.example.com/0a1b",
    "http://localhost.example.com/0a1b",
    "https://user@example.com/0a1b",
    "https://user:0a1b@example.com/",
    "https://example.com/0a1b#there",
    "file:///0a1b",
    "ftp://example.com/0a1b",
    "0a1b",
    "",
    7,
  ];
  const entries: readonly unknown[] = [
    ...urls.map((url) => ({ ...GOOD, url })),
    { ...GOOD, secretFiles: [] },
    { ...GOOD, secretFiles: ["now", "old", "now"] },
    { ...GOOD, secretFiles: "now" },
    { ...GOOD, secretFiles: ["empty"] },
    { ...GOOD, secretFiles: ["none"] },
    { ...GOOD, secretFiles: [7] },
    { ...GOOD, caFile: "none" },
    { ...GOOD, caFile: "" },
    { ...GOOD, caFile: "now" },
    { ...GOOD, name: "" },
    { ...GOOD, name: "a/b" },
    { ...GOOD, name: undefined },
    { ...GOOD, user: "a/b" },
    { ...GOOD, tenant: "a/b" },
    { ...GOOD, colour: "red" },
    null,
    "orders",
    [],
  ];
  const files: readonly unknown[] = [
    ...entries.map((entry) => ({ webhooks: [entry] })),
    { webhooks: [GOOD, GOOD] },
    { webhooks: Array.from({ length: 257 }, (_, index) => ({ ...GOOD, name: `n${index}` })) },
    { webhooks: GOOD },
    { webhooks: [], more: 1 },
    {},
    [],
    "null",
    "",
    '{"webhooks": ["0a1b"',
  ];
  for (const file of files) {
    const refusal = (): unknown => {
      try {
        return read(file);
      } catch (error) {
        return error;
      }
    };
    const error = refusal();
    assert.ok(error instanceof ConfigError, JSON.stringify(file));
    assert.match(error.message, /backend\.webhooksFile/);
    assert.ok(!error.message.includes("0a1b"), error.message);
  }
});
