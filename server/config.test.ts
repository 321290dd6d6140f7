import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { grantTimers, timersHold } from "../protocol/session/timers.ts";
import { type ConfigSources, configFrom, NAMED_KEYS } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { loadConfig, valueAt } from "./config-file.ts";
import { type ConfigValue, valueText } from "./config-values.ts";

function refusal(sources: ConfigSources): ConfigError {
  try {
    configFrom(sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, ErrorCode.CONFIG_INVALID);
    return error;
  }
  throw new assert.AssertionError({ message: "the configuration was accepted" });
}

/** Builds `{a: {b: value}}` from "a.b". */
function fileWith(path: string, value: unknown): object {
  return path
    .split(".")
    .reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
}

describe("configFrom", () => {
  test("without sources gives every default, and the defaults fit together", () => {
    const config = configFrom({});
    for (const { path, key } of NAMED_KEYS)
      assert.deepEqual(valueAt(config, path), key.value, path);
    assert.equal(config.port, 4370);
    assert.equal(config.host, "127.0.0.1");
  });

  test("[OPS-1] flags win over environment, environment over file, file over default", () => {
    const file = { port: 1, limits: { linksMax: 1, frameMs: "1s" }, data: "file" };
    const env = { POSTHORN_PORT: "2", POSTHORN_LIMITS_LINKS_MAX: "2", PORT: "9" };
    const flags = new Map([["port", "3"]]);
    const config = configFrom({ flags, env, file });
    assert.equal(config.port, 3);
    assert.equal(config.limits.linksMax, 2);
    assert.equal(config.limits.frameMs, 1000);
    assert.equal(config.data, "file");
    assert.equal(config.longPoll.coalesceMs, 20);
  });

  test("every key is read alike from flag, environment and file", () => {
    const others: Record<string, ConfigValue> = {
      "log.level": "debug",
      "log.format": "text",
      "transports.longPoll": false,
      "auth.publicKeyFiles": ["a.pem", "b.jwk"],
      "limits.linksMax": 7,
      "limits.frameBytes": 512 * 1024,
      "limits.handshakeMs": 1500,
      "tls.certFile": "c.pem",
      "auth.issuer": "a",
    };
    for (const named of NAMED_KEYS.filter(({ path }) => path in others)) {
      const { path, flag, env, key } = named;
      const value = others[path] as ConfigValue;
      const text = valueText(key.type, value);
      const file = fileWith(path, value);
      const flags = new Map(path === "tls.certFile" ? [["tls-key-file", "k.pem"]] : []);
      if (path === "auth.issuer") flags.set("auth-hmac-secret-file", "s");
      assert.deepEqual(valueAt(configFrom({ flags, file }), path), value, path);
      const variables = { [env]: text };
      assert.deepEqual(valueAt(configFrom({ flags, env: variables }), path), value, env);
      flags.set(flag, text);
      assert.deepEqual(valueAt(configFrom({ flags }), path), value, flag);
    }
  });

  test("names are unique, and follow from the path", () => {
    for (const kind of ["path", "flag", "env"] as const) {
      assert.equal(new Set(NAMED_KEYS.map((named) => named[kind])).size, NAMED_KEYS.length);
    }
    const linksMax = NAMED_KEYS.find(({ path }) => path === "limits.linksMax");
    assert.equal(linksMax?.flag, "limits-links-max");
    assert.equal(linksMax?.env, "POSTHORN_LIMITS_LINKS_MAX");
  });

  test("every default can be written as text and read back", () => {
    for (const { path, flag, key } of NAMED_KEYS) {
      const flags = new Map([[flag, valueText(key.type, key.value)]]);
      assert.deepEqual(valueAt(configFrom({ flags }), path), key.value, path);
    }
  });

  const unknown: readonly (readonly [string, ConfigSources, string, string | undefined])[] = [
    ["key", { file: { prot: 1 } }, "prot", "port"],
    ["key inside", { file: { limits: { linkMax: 1 } } }, "limits.linkMax", "limits.linksMax"],
    ["object", { file: { limit: { linksMax: 1 } } }, "limit", "limits"],
    ["key without its object", { file: { linksMax: 1 } }, "linksMax", "limits.linksMax"],
    ["key far from all", { file: { zzzzzz: 1 } }, "zzzzzz", undefined],
    ["inherited name", { file: JSON.parse('{"__proto__": 1}') }, "__proto__", undefined],
    ["name of Object", { file: { constructor: 1 } }, "constructor", undefined],
    ["variable", { env: { POSTHORN_PROT: "1" } }, "POSTHORN_PROT", "POSTHORN_PORT"],
    ["flag", { flags: new Map([["prot", "1"]]) }, "--prot", "--port"],
    ["short variable", { env: { POSTHORN_TCP: "1" } }, "POSTHORN_TCP", "POSTHORN_TRANSPORTS_TCP"],
    ["short flag", { flags: new Map([["tcp", "true"]]) }, "--tcp", "--transports-tcp"],
  ];
  for (const [what, sources, key, meant] of unknown) {
    test(`[OPS-1] an unknown ${what} is an error that names it`, () => {
      const error = refusal(sources);
      assert.equal(error.key, key);
      const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
      assert.equal(error.message, `${key}: unknown${hint}`);
    });
  }

  const illegal: readonly (readonly [string, unknown])[] = [
    ["port", -1],
    ["port", 65_536],
    ["port", 1.5],
    ["port", "80"],
    ["port", null],
    ["host", 1],
    ["transports.tcp", "true"],
    ["transports.tcp", 1],
    ["log.level", "loud"],
    ["log", "info"],
    ["limits", []],
    ["limits.frameBytes", "1MB"],
    ["limits.frameBytes", "-1"],
    ["limits.frameBytes", 1024],
    ["limits.frameBytes", "127KiB"],
    ["limits.frameBytes", "1e6"],
    ["limits.handshakeMs", "10 s"],
    ["limits.handshakeMs", "1w"],
    ["limits.handshakeMs", "1constructor"],
    ["limits.handshakeMs", Number.NaN],
    ["auth.publicKeyFiles", [1]],
    ["auth.publicKeyFiles", { 0: "a" }],
  ];
  for (const [path, value] of illegal) {
    test(`[OPS-1] ${path} cannot be ${JSON.stringify(value)}`, () => {
      assert.equal(refusal({ file: fileWith(path, value) }).key, path);
    });
  }

  test("[OPS-1] a file that is no object is refused", () => {
    for (const file of [null, [], "port", 1]) assert.match(refusal({ file }).key, /file/);
  });

  test("[OPS-1] text that fits no type is refused where it was given", () => {
    const port = (text: string) => refusal({ flags: new Map([["port", text]]) }).key;
    for (const text of ["", " 1", "1 ", "0x10", "1e3", "-1", "4370s", "Infinity"]) {
      assert.equal(port(text), "--port");
    }
    const env = { POSTHORN_TRANSPORTS_TCP: "yes" };
    assert.equal(refusal({ env }).key, "POSTHORN_TRANSPORTS_TCP");
  });
});

const SECRET = { auth: { hmacSecretFile: "secret" } };

describe("keys that do not fit together", () => {
  const loopback = ["127.0.0.1", "127.8.8.8", "::1", "localhost"];
  for (const host of loopback) {
    test(`[AUT-4] ${host} needs no authentication`, () => {
      assert.equal(configFrom({ file: { host } }).host, host);
    });
  }

  const outside = ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1.example.org", "127.1"];
  for (const host of outside) {
    test(`[AUT-4] without authentication ${host} is refused, with it taken (P27)`, () => {
      assert.equal(refusal({ file: { host } }).key, "host");
      assert.equal(configFrom({ file: { host, ...SECRET } }).host, host);
      const publicKeys = { auth: { publicKeyFiles: ["key.pem"] } };
      assert.equal(configFrom({ file: { host, ...publicKeys } }).host, host);
    });
  }

  test("an empty host, which Node takes for every address, is always refused (P27)", () => {
    assert.equal(refusal({ file: { host: "", ...SECRET } }).key, "host");
  });

  const cases: readonly (readonly [string, string, object])[] = [
    ["an issuer to check with no key", "auth.issuer", { auth: { issuer: "a" } }],
    ["an audience to check with no key", "auth.audience", { auth: { audience: "a" } }],
    ["an empty key file", "auth.publicKeyFiles", { auth: { publicKeyFiles: ["a", ""] } }],
    ["no folder", "data", { data: "" }],
    [
      "a promise without links to keep it",
      "envelopeMinSuite",
      { envelope: "off", envelopeMinSuite: 2 },
    ],
    ["a certificate without key", "tls.certFile", { tls: { certFile: "c" } }],
    ["a key without certificate", "tls.keyFile", { tls: { keyFile: "k" } }],
    [
      "no transport",
      "transports",
      { transports: { tcp: false, websocket: false, longPoll: false } },
    ],
    [
      "content as large as a frame",
      "limits.contentBytes",
      { limits: { contentBytes: 256 * 1024, frameBytes: 256 * 1024 } },
    ],
    [
      "a submit window smaller than a frame",
      "limits.submitWindowBytes",
      { limits: { submitWindowBytes: 256 * 1024 - 1 } },
    ],
    [
      "a long-poll buffer smaller than a frame",
      "longPoll.bufferBytesMax",
      { limits: { frameBytes: "2MiB", submitWindowBytes: "2MiB" } },
    ],
    [
      "a long-poll buffer smaller than an answer",
      "longPoll.bufferBytesMax",
      { longPoll: { pollBytesMax: "2MiB" } },
    ],
  ];
  for (const [what, key, file] of cases) {
    test(`${what} is refused`, () => assert.equal(refusal({ file }).key, key));
  }

  const timers: readonly (readonly [string, string, object])[] = [
    ["a hold as long as idle", "longPoll.holdMs", { longPoll: { holdMs: 1000, idleMs: 1000 } }],
    [
      "a coalescing above the hold",
      "longPoll.coalesceMs",
      { longPoll: { coalesceMs: 101, holdMs: 100 } },
    ],
    [
      "a keepalive of half the idle time",
      "timers.keepalive.defaultMs",
      { timers: { keepalive: { defaultMs: "30s" }, idle: { defaultMs: "60s" } } },
    ],
    [
      "a shortest keepalive of half the shortest idle time",
      "timers.keepalive.minMs",
      { timers: { keepalive: { minMs: 1500 }, idle: { minMs: 3000 } } },
    ],
    ["a default below the minimum", "timers.idle", { timers: { idle: { minMs: "2m" } } }],
    ["a default above the maximum", "timers.age", { timers: { age: { defaultMs: "1h" } } }],
    [
      "an age shorter than the idle time",
      "timers.age.maxMs",
      { timers: { age: { defaultMs: "29m", maxMs: "30m" } } },
    ],
    [
      "a default age shorter than the default idle time",
      "timers.age.defaultMs",
      { timers: { age: { defaultMs: "1m", maxMs: "1h" } } },
    ],
  ];
  for (const [what, key, file] of timers) {
    test(`[SES-11] [LNK-13] ${what} is refused (P28)`, () => {
      assert.equal(refusal({ file }).key, key);
    });
  }

  test("[SES-11] whatever timers are configured and asked, what is granted works (P28)", () => {
    const ms = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }));
    const range = fc.array(ms, { minLength: 3, maxLength: 3 }).map((values) => {
      const [minMs, defaultMs, maxMs] = values.sort((a, b) => a - b);
      return { minMs, defaultMs, maxMs };
    });
    const noAge = fc.constant({ minMs: 0, defaultMs: 0, maxMs: 0 });
    const timersFile = fc.record({
      keepalive: range,
      idle: range,
      age: fc.oneof(noAge, range),
    });
    const asked = fc.record({ keepaliveMs: ms, idleMs: ms, ageMs: ms });
    let accepted = 0;
    const property = fc.property(timersFile, asked, (file, wanted) => {
      let config: ReturnType<typeof configFrom>;
      try {
        config = configFrom({ file: { timers: file } });
      } catch (error) {
        assert.ok(error instanceof ConfigError);
        return;
      }
      accepted += 1;
      const granted = grantTimers(wanted, config.timers);
      const { keepaliveMs, idleMs, ageMs } = wanted;
      const rarePings = idleMs > 0 && keepaliveMs * 2 >= idleMs;
      const earlyAge = ageMs > 0 && ageMs <= idleMs;
      if (granted === "impossible") return assert.ok(rarePings || earlyAge);
      assert.ok(timersHold(granted));
      const { keepalive, idle, age } = config.timers;
      assert.ok(granted.keepaliveMs >= keepalive.minMs && granted.keepaliveMs <= keepalive.maxMs);
      assert.ok(granted.idleMs >= idle.minMs && granted.idleMs <= idle.maxMs);
      assert.ok(granted.ageMs <= age.maxMs);
    });
    fc.assert(property, { numRuns: 600, seed: 28 });
    assert.ok(accepted > 50, `only ${accepted} configurations were legal`);
  });
});

describe("loadConfig", () => {
  const files: Record<string, string> = {
    "posthorn.json": '{"port": 1}',
    "broken.json": '{"port": ',
    "secure.json": '{"auth": {"hmacSecretFile": "secret"}}',
    secret: "s".repeat(32),
  };
  const readFile = (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
    return Buffer.from(text);
  };
  const load = (flags: readonly (readonly [string, string])[], env: Record<string, string> = {}) =>
    loadConfig({ flags: new Map(flags), env, readFile });

  test("takes the file from the flag, or else from the variable", () => {
    assert.equal(load([["config", "posthorn.json"]]).port, 1);
    assert.equal(load([], { POSTHORN_CONFIG: "posthorn.json" }).port, 1);
    const both = load([["config", "posthorn.json"]], { POSTHORN_CONFIG: "missing" });
    assert.equal(both.port, 1);
    assert.equal(load([]).port, 4370);
  });

  test("[OPS-1] what cannot be read is an error that names the key and the reason", () => {
    const refused = (run: () => unknown, key: string, reason: RegExp) =>
      assert.throws(run, (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.key, key);
        assert.match(error.message, reason);
        return true;
      });
    refused(() => load([["config", "missing"]]), "--config", /missing \(ENOENT\)/);
    refused(() => load([], { POSTHORN_CONFIG: "missing" }), "POSTHORN_CONFIG", /ENOENT/);
    refused(() => load([["config", "broken.json"]]), "--config", /is not JSON/);
    refused(() => load([["auth-hmac-secret-file", "gone"]]), "auth.hmacSecretFile", /gone/);
    const keys = [["auth-public-key-files", "secret,gone"]] as const;
    refused(() => load(keys), "auth.publicKeyFiles", /gone/);
    assert.equal(load([["config", "secure.json"]]).auth.hmacSecretFile, "secret");
  });

  test("a certificate and its key are looked at together, and neither is quoted", () => {
    const read = (name: string) => readFileSync(new URL(`testdata/${name}`, import.meta.url));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const keys: Record<string, Uint8Array> = {
      cert: read("localhost-cert.pem"),
      key: read("localhost-key.pem"),
      other: Buffer.from(privateKey.export({ format: "pem", type: "pkcs8" })),
      hush: Buffer.from("hush"),
    };
    const loadTls = (certFile: string, keyFile: string) => {
      const flags = new Map([
        ["tls-cert-file", certFile],
        ["tls-key-file", keyFile],
      ]);
      return loadConfig({ flags, env: {}, readFile: (path) => keys[path] as Uint8Array });
    };
    assert.equal(loadTls("cert", "key").tls.keyFile, "key");
    const refused = (files: readonly [string, string], message: string) =>
      assert.throws(() => loadTls(...files), { name: "ConfigError", message });
    refused(["hush", "key"], "tls.certFile: is no certificate in PEM form");
    refused(["key", "key"], "tls.certFile: is no certificate in PEM form");
    refused(["cert", "hush"], "tls.keyFile: is no private key in PEM form");
    refused(["cert", "cert"], "tls.keyFile: is no private key in PEM form");
    refused(["cert", "other"], "tls.keyFile: is not the key of tls.certFile");
  });

  test("the file cannot be named by the file", () => {
    assert.equal(refusal({ file: { config: "other.json" } }).key, "config");
  });
});
