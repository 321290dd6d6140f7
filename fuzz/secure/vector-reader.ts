import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { SecureParametersPlain } from "../../protocol/secure/established.ts";
import type { SecureKeys } from "../../protocol/secure/identity.ts";
import type { Violation } from "../../protocol/violation.ts";

// Reads the vectors that have kinds as a stranger would: nothing of the generator is used.

interface Case {
  readonly name: string;
  readonly requirements: readonly string[];
  readonly kind: string;
  readonly expect: "valid" | { readonly fails: string };
}

const FOLDER = join(import.meta.dirname, "../../spec/vectors");

/** Members of a case, or of an object in it. */
export class Members {
  readonly #of: Readonly<Record<string, unknown>>;

  constructor(of: unknown) {
    assert.ok(typeof of === "object" && of !== null, "an object");
    this.#of = of as Readonly<Record<string, unknown>>;
  }

  has(name: string): boolean {
    return name in this.#of;
  }

  bytes(name: string): Uint8Array {
    return Uint8Array.from(Buffer.from(this.text(`${name}_hex`), "hex"));
  }

  bytesOr(name: string, otherwise: Uint8Array): Uint8Array {
    return this.has(`${name}_hex`) ? this.bytes(name) : otherwise;
  }

  list(name: string): Members[] {
    return (this.#of[name] as unknown[]).map((one) => new Members(one));
  }

  hexes(name: string): Uint8Array[] {
    const list = (this.#of[name] ?? this.#of[`${name}_hex`]) as string[];
    return list.map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
  }

  text(name: string): string {
    assert.equal(typeof this.#of[name], "string", name);
    return this.#of[name] as string;
  }

  number(name: string): number {
    assert.equal(typeof this.#of[name], "number", name);
    return this.#of[name] as number;
  }

  /** JSON as it is. */
  json(name: string): unknown {
    return this.#of[name];
  }

  flag(name: string): boolean {
    return this.#of[name] === true;
  }

  object(name: string): Members {
    return new Members(this.#of[name]);
  }
}

/** Not as expected on purpose: the code, or MISTAKE. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export function refusedBy(violation: Pick<Violation, "code">): Refusal {
  return new Refusal(nameOfCode(violation.code));
}

export function nameOfCode(code: ErrorCode): string {
  return Object.entries(ErrorCode).find(([, value]) => value === code)?.[0] ?? `${code}`;
}

export function same(ours: Uint8Array, theirs: Uint8Array, what: string): void {
  assert.equal(Buffer.from(ours).toString("hex"), Buffer.from(theirs).toString("hex"), what);
}

/** What may be wrong on purpose. */
export function derived(of: Members, name: string, ours: Uint8Array): void {
  if (!Buffer.from(ours).equals(of.bytes(name))) throw new Refusal("MISTAKE");
}

export function keysOf(of: Members): SecureKeys {
  return { ed25519: of.bytes("ed25519"), mlDsa65: of.bytes("ml_dsa_65") };
}

export function parametersOf(of: Members): SecureParametersPlain {
  return {
    rekeyMessages: of.number("rekey_messages"),
    rekeyS: of.number("rekey_s"),
    lifetimeS: of.number("lifetime_s"),
    franking: of.flag("franking"),
  };
}

/** Throws Refusal where a case is refused, and anything else where it is not as the case says. */
export type VectorCheck = (of: Members, crypto: CryptoProvider) => void;

/**
 * One test for each case of these kinds in these files, by each provider that can say it again:
 * Node's signs and encapsulates with randomness of its own.
 */
export function testVectors(
  files: readonly string[],
  checks: Readonly<Record<string, VectorCheck>>,
  providers: readonly CryptoProvider[] = [NATIVE_CRYPTO, NOBLE_CRYPTO],
  folder = "secure",
): void {
  for (const file of files) {
    const text = readFileSync(join(FOLDER, folder, `${file}.json`), "utf8");
    const { cases } = JSON.parse(text) as { readonly cases: readonly Case[] };
    for (const one of cases) {
      const check = checks[one.kind];
      const ids = one.requirements.map((id) => `[${id}]`).join(" ");
      for (const crypto of check === undefined ? [] : providers) {
        test(`${ids} ${one.name}, by ${crypto.name}`, () =>
          judge(one, check as VectorCheck, crypto));
      }
    }
  }
}

function judge(one: Case, check: VectorCheck, crypto: CryptoProvider): void {
  try {
    check(new Members(one), crypto);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    assert.deepEqual(one.expect, { fails: refusal.code });
    return;
  }
  assert.equal(one.expect, "valid");
}
