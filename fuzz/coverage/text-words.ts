import { TOKEN_ALGORITHMS } from "../../server/auth/keys.ts";
import { NAMED_KEYS } from "../../server/config.ts";

/** What configuration files are made of: the names of all keys, and values of every kind. */
export function configWords(): Uint8Array[] {
  const names = NAMED_KEYS.flatMap(({ path }) => path.split("."));
  const entries = NAMED_KEYS.map(({ path, key }) => {
    const inner = JSON.stringify(key.value);
    return path.split(".").reduceRight((value, name) => `{"${name}":${value}}`, inner);
  });
  const choices = NAMED_KEYS.flatMap(({ key }) => ("of" in key.type ? key.type.of : []));
  const texts = [
    ...names,
    ...choices,
    "25s",
    "256KiB",
    "1GiB",
    "30d",
    "0.0.0.0",
    "::1",
    "__proto__",
  ];
  return textWords([...texts.map((text) => JSON.stringify(text)), ...entries, ...JSON_WORDS]);
}

/** What identity files and pins are made of. */
export function identityWords(): Uint8Array[] {
  const names = ["format", "present", "next", "former", "ed25519", "mlDsa65"];
  const seed = Buffer.alloc(32, 9).toString("base64");
  const texts = [...names, "posthorn identity 1", seed].map((text) => JSON.stringify(text));
  return textWords([...texts, ...JSON_WORDS, "a".repeat(52), "-", " "]);
}

/** What tokens are made of. */
export function tokenWords(): Uint8Array[] {
  const claims = [
    { sub: "u" },
    { exp: 4e9 },
    { sub: "u", exp: 4e9 },
    { sub: "u", exp: 1 },
    { nbf: 4e9 },
    { nbf: 1, iat: 1 },
    { tenant: "t", device: "d" },
    { aud: "a", iss: "i", jti: "j" },
    { crit: ["b64"], b64: false },
    { kid: "k", typ: "JWT", cty: "JWT" },
    ...["none", ...TOKEN_ALGORITHMS].map((alg) => ({ alg })),
  ];
  const texts = claims.map((claim) => JSON.stringify(claim));
  const names = [...new Set(claims.flatMap((claim) => Object.keys(claim)))];
  const members = [
    ...texts.map((text) => `${text.slice(1, -1)},`),
    ...names.flatMap((name) => [`"${name}":"",`, `"${name}":0,`]),
  ];
  const encoded = texts.map((text) => Buffer.from(text).toString("base64url"));
  return textWords([...texts, ...members, ...encoded, ".", "..", "\n", ...JSON_WORDS]);
}

const JSON_WORDS = [
  ..."{}[]:,",
  '""',
  ...["null", "true", "false", "0", "-1", "0.5", "1e9", "1e400", "9007199254740993"],
  ...['"\\u0000"', '"\\ud800"', "{}", "[]"],
];

function textWords(texts: readonly string[]): Uint8Array[] {
  return [...new Set(texts)].map((text) => new Uint8Array(Buffer.from(text)));
}
