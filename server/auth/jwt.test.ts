import assert from "node:assert/strict";
import {
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { TOKEN_BYTES_MAX } from "../../protocol/limits.ts";
import { ConfigError } from "../config-error.ts";
import type { CredentialClaim, Identity } from "./authenticate.ts";
import { type JwtOptions, jwtAuthenticator } from "./jwt.ts";
import type { TokenKey } from "./keys.ts";
import { signToken, type TokenClaims } from "./token.ts";

const NOW_MS = 1_800_000_000_000;
const NOW = NOW_MS / 1000;
const SECRET = Buffer.from("a secret of thirty-two bytes, yes");
const OTHER_SECRET = Buffer.from("another secret, also of 32 bytes.");

const ed25519 = generateKeyPairSync("ed25519");
const otherEd25519 = generateKeyPairSync("ed25519");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

const spki = (key: KeyObject) => key.export({ format: "pem", type: "spki" }) as string;
const jwkText = (key: KeyObject, kid: string) =>
  JSON.stringify({ ...key.export({ format: "jwk" }), kid });

const OPTIONS: JwtOptions = {
  hmacSecret: SECRET,
  publicKeys: [spki(ed25519.publicKey), spki(p256.publicKey), spki(rsa.publicKey)],
  issuer: "",
  audience: "",
  clockToleranceSeconds: 5,
  nowMs: () => NOW_MS,
};
const CLAIMS: TokenClaims = { userId: "alice", issuedAtMs: NOW_MS, expiresAtMs: NOW_MS + 60_000 };

async function verdict(
  token: string,
  options: Partial<JwtOptions> = {},
  claim: Partial<CredentialClaim> = {},
): Promise<Identity> {
  const authenticator = await jwtAuthenticator({ ...OPTIONS, ...options });
  return authenticator.authenticate({ token, userId: "", deviceId: "phone", ...claim });
}

type KeyName = "HS256" | "EdDSA" | "ES256" | "RS256";
const signingKeys: Record<KeyName, TokenKey> = {
  HS256: { algorithm: "HS256", key: createSecretKey(SECRET), kid: undefined },
  EdDSA: { algorithm: "EdDSA", key: ed25519.privateKey, kid: undefined },
  ES256: { algorithm: "ES256", key: p256.privateKey, kid: undefined },
  RS256: { algorithm: "RS256", key: rsa.privateKey, kid: undefined },
};

const part = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Signs anything at all with the configured secret: what the issuer itself got wrong. */
function hs256(payload: unknown, header: unknown = { alg: "HS256" }, secret = SECRET): string {
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

const GOOD = { sub: "alice", exp: NOW + 60 };

describe("good tokens", () => {
  for (const [name, key] of Object.entries(signingKeys)) {
    test(`[AUT-1] ${name}`, async () => {
      const claims = { ...CLAIMS, tenant: "acme", deviceId: "phone" };
      assert.deepEqual(await verdict(await signToken(key, claims), {}, { userId: "alice" }), {
        kind: "authenticated",
        principal: { tenant: "acme", userId: "alice" },
      });
    });
  }

  test("[AUT-1] issuer and audience fit, the audience also as one of a list", async () => {
    const options = { issuer: "https://id.example", audience: "chat" };
    const claims = { ...CLAIMS, issuer: "https://id.example", audience: "chat" };
    const token = await signToken(signingKeys.EdDSA, claims);
    assert.equal((await verdict(token, options)).kind, "authenticated");
    const listed = hs256({ ...GOOD, iss: "https://id.example", aud: ["mail", "chat"] });
    assert.equal((await verdict(listed, options)).kind, "authenticated");
    assert.equal((await verdict(token)).kind, "authenticated");
  });

  test("[AUT-1] clocks may differ by the tolerance and no more", async () => {
    const expired = (ago: number) => verdict(hs256({ ...GOOD, exp: NOW - ago }));
    assert.equal((await expired(4)).kind, "authenticated");
    assert.equal((await expired(5)).kind, "refused");
    const early = (by: number) => verdict(hs256({ ...GOOD, nbf: NOW + by }));
    assert.equal((await early(5)).kind, "authenticated");
    assert.equal((await early(6)).kind, "refused");
  });

  test("[AUT-1] while keys are rotated both are good, with and without kid", async () => {
    const both = [jwkText(ed25519.publicKey, "old"), jwkText(otherEd25519.publicKey, "new")];
    const unnamed = [spki(ed25519.publicKey), spki(otherEd25519.publicKey)];
    for (const { privateKey: key } of [ed25519, otherEd25519]) {
      const kid = key === ed25519.privateKey ? "old" : "new";
      const named = await signToken({ algorithm: "EdDSA", key, kid }, CLAIMS);
      const bare = await signToken({ algorithm: "EdDSA", key, kid: undefined }, CLAIMS);
      for (const publicKeys of [both, unnamed]) {
        assert.equal((await verdict(named, { publicKeys })).kind, "authenticated");
        assert.equal((await verdict(bare, { publicKeys })).kind, "authenticated");
      }
    }
  });

  test("[SES-4] a token that was good is checked anew on every attach (P25)", async () => {
    let nowMs = NOW_MS;
    const authenticator = await jwtAuthenticator({ ...OPTIONS, nowMs: () => nowMs });
    const claim = { token: hs256(GOOD), userId: "", deviceId: "phone" };
    assert.equal((await authenticator.authenticate(claim)).kind, "authenticated");
    nowMs += 65_000;
    const later = await authenticator.authenticate(claim);
    assert.ok(later.kind === "refused" && later.code === ErrorCode.TOKEN_EXPIRED);
  });
});

const { TOKEN_MALFORMED, TOKEN_EXPIRED, TOKEN_FOREIGN, HELLO_INVALID } = ErrorCode;

interface BadToken {
  readonly what: string;
  readonly token: string | (() => Promise<string>);
  readonly code: ErrorCode;
  readonly requirement?: string;
  readonly options?: Partial<JwtOptions>;
  readonly claim?: Partial<CredentialClaim>;
}

const signed =
  (name: KeyName, claims: Partial<TokenClaims> = {}) =>
  () =>
    signToken(signingKeys[name], { ...CLAIMS, ...claims });
const cut = (from: number, to?: number) => hs256(GOOD).split(".").slice(from, to).join(".");
/**
 * A signature over a header that asks for the secret's algorithm, made with what everybody knows:
 * the public key.
 */
const rsaAsSecret = hs256(GOOD, { alg: "HS256" }, Buffer.from(spki(rsa.publicKey)));
const noRsa = { publicKeys: [spki(ed25519.publicKey)] };

const DESK = { sub: "backend:desk", exp: NOW + 60, backend: true };
const asBackend = { deviceId: "" };

describe("[BCK-1] tokens of backends", () => {
  test("say whose they are, and are made with every key", async () => {
    for (const key of Object.values(signingKeys)) {
      const claims = { ...CLAIMS, userId: "desk", tenant: "acme", isBackend: true };
      const expected = { kind: "backend", backend: { tenant: "acme", backendId: "desk" } };
      assert.deepEqual(await verdict(await signToken(key, claims), {}, asBackend), expected);
    }
    const known = { kind: "backend", backend: { tenant: "", backendId: "desk" } };
    const named = { ...asBackend, backendId: "desk" };
    assert.deepEqual(await verdict(hs256(DESK), {}, named), known);
  });

  const alone: Readonly<Record<string, object>> = {
    "the claim alone": { ...GOOD, backend: true },
    "the name alone": { ...GOOD, sub: "backend:desk" },
    "a claim that says no": { ...DESK, backend: false },
    "a claim that says nothing": { ...DESK, backend: null },
    "a claim that is a text": { ...DESK, backend: "true" },
    "a claim that is a number": { ...DESK, backend: 1 },
    "no name": { ...DESK, sub: "backend:" },
    "a name that is none": { ...DESK, sub: "backend:desk/1" },
    "a name in a name": { ...DESK, sub: "backend:backend:desk" },
    "other letters": { ...DESK, sub: "Backend:desk" },
    "a name that is a number": { ...DESK, sub: 7 },
    "a device": { ...DESK, device: "phone" },
    "no device": { ...DESK, device: null },
    "a tenant that is none": { ...DESK, tenant: "a/b" },
  };
  for (const [what, payload] of Object.entries(alone)) {
    test(`are marked twice, and of no device: ${what}`, async () => {
      for (const claim of [asBackend, { deviceId: "phone" }]) {
        const identity = await verdict(hs256(payload), {}, claim);
        assert.ok(identity.kind === "refused", identity.kind);
        assert.equal(identity.code, TOKEN_MALFORMED);
      }
    });
  }

  test("[BCK-2] are no user's, and a user's is no backend's", async () => {
    const cases: readonly (readonly [object, Partial<CredentialClaim>])[] = [
      [DESK, { deviceId: "phone" }],
      [DESK, { deviceId: "", userId: "desk" }],
      [DESK, { deviceId: "", backendId: "other" }],
      [GOOD, { deviceId: "", backendId: "alice" }],
    ];
    for (const [payload, claim] of cases) {
      const identity = await verdict(hs256(payload), {}, claim);
      assert.ok(identity.kind === "refused", identity.kind);
      assert.deepEqual([identity.code, identity.requirement], [TOKEN_FOREIGN, "BCK-2"]);
    }
  });
});

const FORMS: readonly BadToken[] = [
  { what: "nothing", token: "", code: TOKEN_MALFORMED },
  { what: "a word", token: "token", code: TOKEN_MALFORMED },
  { what: "dots", token: "..", code: TOKEN_MALFORMED },
  { what: "no payload and no signature", token: cut(0, 1), code: TOKEN_MALFORMED },
  { what: "no signature", token: cut(0, 2), code: TOKEN_MALFORMED },
  { what: "no header", token: cut(1), code: TOKEN_MALFORMED },
  { what: "a part too many", token: `${hs256(GOOD)}.AAAA`, code: TOKEN_MALFORMED },
  { what: "five parts (JWE)", token: "e30.e30.e30.e30.e30", code: TOKEN_MALFORMED },
  { what: "an empty signature", token: `${cut(0, 2)}.`, code: TOKEN_FOREIGN },
  { what: "a shortened signature", token: hs256(GOOD).slice(0, -4), code: TOKEN_FOREIGN },
  { what: "a signature that is no base64", token: `${cut(0, 2)}.!!!!`, code: TOKEN_MALFORMED },
  { what: "a header that is no base64", token: `!!!.${part(GOOD)}.AAAA`, code: TOKEN_MALFORMED },
  { what: "a header that is no JSON", token: hs256(GOOD, "{"), code: TOKEN_MALFORMED },
  { what: "a header that is a list", token: hs256(GOOD, []), code: TOKEN_MALFORMED },
  { what: "a payload that is no JSON", token: hs256("{"), code: TOKEN_MALFORMED },
  { what: "a payload that is a list", token: hs256([GOOD]), code: TOKEN_MALFORMED },
  {
    what: "bytes that are no UTF-8",
    token: "\u{1f4ef}.\u{1f4ef}.\u{1f4ef}",
    code: TOKEN_MALFORMED,
  },
  { what: "too many bytes", token: hs256({ ...GOOD, a: "a".repeat(8192) }), code: TOKEN_MALFORMED },
  { what: "a million dots", token: ".".repeat(1_000_000), code: TOKEN_MALFORMED },
];

const ALGORITHMS: readonly BadToken[] = [
  { what: "no alg", token: hs256(GOOD, {}), code: TOKEN_MALFORMED },
  { what: "alg none", token: `${part({ alg: "none" })}.${part(GOOD)}.`, code: TOKEN_MALFORMED },
  { what: "alg None, signed", token: hs256(GOOD, { alg: "None" }), code: TOKEN_MALFORMED },
  { what: "alg HS512", token: hs256(GOOD, { alg: "HS512" }), code: TOKEN_MALFORMED },
  { what: "alg PS256", token: hs256(GOOD, { alg: "PS256" }), code: TOKEN_MALFORMED },
  { what: "alg constructor", token: hs256(GOOD, { alg: "constructor" }), code: TOKEN_MALFORMED },
  { what: "alg that is a list", token: hs256(GOOD, { alg: ["HS256"] }), code: TOKEN_MALFORMED },
  { what: "the secret used as RS256", token: hs256(GOOD, { alg: "RS256" }), code: TOKEN_FOREIGN },
  { what: "the secret used as EdDSA", token: hs256(GOOD, { alg: "EdDSA" }), code: TOKEN_FOREIGN },
  { what: "a public key used as secret", token: rsaAsSecret, code: TOKEN_FOREIGN },
  {
    what: "a public key used as secret, where there is none",
    token: rsaAsSecret,
    code: TOKEN_FOREIGN,
    options: { hmacSecret: undefined },
  },
  {
    what: "an unknown critical extension",
    token: hs256(GOOD, { alg: "HS256", crit: ["x"], x: 1 }),
    code: TOKEN_MALFORMED,
  },
  {
    what: "an unencoded payload",
    token: hs256(GOOD, { alg: "HS256", crit: ["b64"], b64: false }),
    code: TOKEN_MALFORMED,
  },
];

const KEYS: readonly BadToken[] = [
  {
    what: "another secret",
    token: hs256(GOOD, { alg: "HS256" }, OTHER_SECRET),
    code: TOKEN_FOREIGN,
  },
  {
    what: "HS256 where no secret is configured",
    token: hs256(GOOD),
    code: TOKEN_FOREIGN,
    options: { hmacSecret: undefined },
  },
  {
    what: "RS256 where no RSA key is",
    token: signed("RS256"),
    code: TOKEN_FOREIGN,
    options: noRsa,
  },
  {
    what: "another Ed25519 key",
    token: () => signToken({ ...signingKeys.EdDSA, key: otherEd25519.privateKey }, CLAIMS),
    code: TOKEN_FOREIGN,
  },
  {
    what: "the right key under a name that no key has",
    token: () => signToken({ ...signingKeys.EdDSA, kid: "x" }, CLAIMS),
    code: TOKEN_FOREIGN,
    options: { publicKeys: [jwkText(ed25519.publicKey, "k")] },
  },
  {
    what: "a key that the token brings along",
    token: () => {
      const jwk = otherEd25519.publicKey.export({ format: "jwk" });
      const input = `${part({ alg: "EdDSA", jwk })}.${part(GOOD)}`;
      const signature = sign(null, Buffer.from(input), otherEd25519.privateKey);
      return Promise.resolve(`${input}.${signature.toString("base64url")}`);
    },
    code: TOKEN_FOREIGN,
  },
];

const WHOM = { issuer: "id", audience: "chat" };
const FOR_US = { ...GOOD, iss: "id", aud: "chat" };
const without = (claims: object, name: string) => ({ ...claims, [name]: undefined });

const PLACES: readonly BadToken[] = [
  {
    what: "another issuer",
    token: hs256({ ...FOR_US, iss: "other" }),
    code: TOKEN_FOREIGN,
    options: WHOM,
  },
  { what: "no issuer", token: hs256(without(FOR_US, "iss")), code: TOKEN_FOREIGN, options: WHOM },
  {
    what: "another audience",
    token: hs256({ ...FOR_US, aud: "chats" }),
    code: TOKEN_FOREIGN,
    options: WHOM,
  },
  {
    what: "other audiences",
    token: hs256({ ...FOR_US, aud: ["a", "b"] }),
    code: TOKEN_FOREIGN,
    options: WHOM,
  },
  { what: "no audience", token: hs256(without(FOR_US, "aud")), code: TOKEN_FOREIGN, options: WHOM },
  {
    what: "another device",
    token: signed("EdDSA", { deviceId: "tablet" }),
    code: TOKEN_FOREIGN,
    requirement: "AUT-3",
  },
  {
    what: "no device",
    token: signed("EdDSA", { deviceId: "" }),
    code: TOKEN_FOREIGN,
    requirement: "AUT-3",
  },
  {
    what: "another user than Hello says",
    token: signed("EdDSA"),
    code: HELLO_INVALID,
    requirement: "SES-5",
    claim: { userId: "bob" },
  },
];

const TIMES: readonly BadToken[] = [
  { what: "expired", token: signed("EdDSA", { expiresAtMs: NOW_MS - 6000 }), code: TOKEN_EXPIRED },
  { what: "expired in 1970", token: hs256({ ...GOOD, exp: 0 }), code: TOKEN_EXPIRED },
  {
    what: "expired, as a fraction",
    token: hs256({ ...GOOD, exp: NOW - 5.5 }),
    code: TOKEN_EXPIRED,
  },
  { what: "not yet valid", token: hs256({ ...GOOD, nbf: NOW + 60 }), code: TOKEN_FOREIGN },
  { what: "no exp", token: hs256(without(GOOD, "exp")), code: TOKEN_MALFORMED },
  {
    what: "exp that is text",
    token: hs256({ ...GOOD, exp: `${NOW + 60}` }),
    code: TOKEN_MALFORMED,
  },
  { what: "exp that is null", token: hs256({ ...GOOD, exp: null }), code: TOKEN_MALFORMED },
  { what: "nbf that is text", token: hs256({ ...GOOD, nbf: "now" }), code: TOKEN_MALFORMED },
];

const SUBJECTS: readonly BadToken[] = [
  undefined,
  null,
  "",
  7,
  ["alice"],
  "a/b",
  "a b",
  "a\u0000b",
  "\u00e4lice",
  ".alice",
  "../alice",
  "alice\n",
  "a".repeat(65),
].map((sub) => ({
  what: `sub ${JSON.stringify(sub)}`,
  token: hs256({ ...GOOD, sub }),
  code: TOKEN_MALFORMED,
}));

const CLAIM_TYPES: readonly BadToken[] = [
  { tenant: "a/b" },
  { tenant: "a".repeat(65) },
  { tenant: "a\n" },
  { tenant: 1 },
  { tenant: null },
  { device: 1 },
  { device: null },
  { device: ["phone"] },
].map((claims) => ({
  what: JSON.stringify(claims),
  token: hs256({ ...GOOD, ...claims }),
  code: TOKEN_MALFORMED,
}));

describe("bad tokens", () => {
  const all = [FORMS, ALGORITHMS, KEYS, PLACES, TIMES, SUBJECTS, CLAIM_TYPES].flat();
  for (const { what, token, code, requirement = "AUT-2", options, claim } of all) {
    test(`[AUT-5] [${requirement}] ${what.slice(0, 50)} (P27)`, async () => {
      const text = typeof token === "string" ? token : await token();
      const identity = await verdict(text, options, claim);
      assert.ok(identity.kind === "refused");
      assert.equal(identity.code, code);
      assert.equal(identity.requirement, requirement);
      for (const piece of text.split(".")) {
        assert.ok(piece.length < 8 || !identity.detail.includes(piece), identity.detail);
      }
      assert.ok(identity.detail.length < 100);
    });
  }

  test("[AUT-2] an unknown signature comes before what else is wrong", async () => {
    const token = hs256({ exp: 0 }, { alg: "HS256" }, OTHER_SECRET);
    const identity = await verdict(token);
    assert.ok(identity.kind === "refused" && identity.code === TOKEN_FOREIGN);
  });

  test("[AUT-2] any single changed character of a good token is refused", async () => {
    const authenticator = await jwtAuthenticator(OPTIONS);
    const good = hs256(GOOD);
    const alphabet = [..."ABCDwxyz0189-_.=+/ "];
    const change = fc.record({
      at: fc.nat({ max: good.length - 2 }),
      to: fc.constantFrom(...alphabet),
    });
    const property = fc.asyncProperty(change, async ({ at, to }) => {
      fc.pre(good[at] !== to);
      const token = good.slice(0, at) + to + good.slice(at + 1);
      const identity = await authenticator.authenticate({ token, userId: "", deviceId: "phone" });
      assert.equal(identity.kind, "refused");
    });
    await fc.assert(property, { numRuns: 300, seed: 2 });
  });

  test("[AUT-2] [AUT-5] no text throws, none is accepted and none is quoted", async () => {
    const authenticator = await jwtAuthenticator(OPTIONS);
    const header = fc.oneof(fc.json(), fc.constant('{"alg":"HS256"}'));
    const parts = fc
      .tuple(header, fc.json(), fc.string())
      .map((texts) => texts.map(part).join("."));
    const signedJson = fc.tuple(fc.json(), header).map(([body, head]) => hs256(body, head));
    const texts = fc.oneof(fc.string({ unit: "binary" }), parts, signedJson);
    const property = fc.asyncProperty(texts, async (token) => {
      const identity = await authenticator.authenticate({ token, userId: "", deviceId: "phone" });
      assert.ok(identity.kind === "refused");
      assert.ok(token.length < 12 || !identity.detail.includes(token));
    });
    await fc.assert(property, { numRuns: 500, seed: 5 });
  });
});

describe("keys of a configuration", () => {
  test("[AUT-1] are refused at the start, by the name of their key", async () => {
    const refused = async (options: Partial<JwtOptions>, key: string) => {
      await assert.rejects(jwtAuthenticator({ ...OPTIONS, ...options }), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.key, key);
        return true;
      });
    };
    await refused({ hmacSecret: SECRET.subarray(0, 31) }, "auth.hmacSecretFile");
    await refused({ publicKeys: ["hush"] }, "auth.publicKeyFiles");
  });

  test("the largest token that a Hello may hold is checked", async () => {
    const filler = (length: number) => hs256({ ...GOOD, a: "a".repeat(length) });
    let length = 5900;
    while (filler(length + 1).length <= TOKEN_BYTES_MAX) length += 1;
    assert.equal((await verdict(filler(length))).kind, "authenticated");
    assert.equal((await verdict(filler(length + 3))).kind, "refused");
  });
});
