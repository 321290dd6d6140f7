import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { identityOf, POLICY } from "../../fuzz/envelope/pair.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { ClientEnvelope, type ClientEnvelopeEffect } from "./client.ts";
import { NOBLE_CRYPTO } from "./noble.ts";
import type { CryptoProvider } from "./provider.ts";
import { ServerEnvelope } from "./server.ts";

// Reads envelope-link.json as a stranger would: nothing of the generator is used.

interface Vector {
  readonly name: string;
  readonly requirements: readonly string[];
  readonly side: "device" | "service";
  readonly suites: readonly number[];
  readonly client_randomness_hex: string;
  readonly server_randomness_hex: string;
  readonly server_id_hex: string;
  readonly psk_hex?: string;
  readonly ticket_suite?: number;
  readonly min_suite?: number;
  readonly client_hello_hex: string;
  readonly server_hello_hex?: string;
  readonly client_finished_hex?: string;
  readonly channel_binding_hex?: string;
  readonly records?: readonly {
    readonly from: "device" | "service";
    readonly frames_hex?: string;
    readonly record_hex: string;
  }[];
  readonly expect: "valid" | { readonly fails: keyof typeof ErrorCode };
}

const PATH = join(import.meta.dirname, "../../spec/vectors/envelope-link.json");
const { cases } = JSON.parse(readFileSync(PATH, "utf8")) as { readonly cases: readonly Vector[] };

for (const vector of cases) {
  const ids = vector.requirements.map((id) => `[${id}]`).join(" ");
  for (const crypto of vector.side === "device" ? [NOBLE_CRYPTO, NATIVE_CRYPTO] : [NATIVE_CRYPTO]) {
    test(`${ids} ${vector.name}, by ${crypto.name}`, () => {
      if (vector.side === "device") asDevice(vector, crypto);
      else asService(vector, crypto);
    });
  }
}

function bytes(hex: string | undefined): Uint8Array {
  assert.ok(hex !== undefined, "the vector has this field");
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function hexOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString("hex");
}

function deviceOf(vector: Vector, crypto: CryptoProvider): ClientEnvelope {
  const { psk_hex: psk, ticket_suite: suite = 0, min_suite: minSuite } = vector;
  const expiresMs = Number.POSITIVE_INFINITY;
  const ticketId = ticketIdOf(vector);
  const ticket = psk && { ticketId, psk: bytes(psk), suite, expiresMs };
  return new ClientEnvelope(
    crypto,
    {
      suites: vector.suites,
      expects: { kind: "pinned", serverIds: [bytes(vector.server_id_hex)] },
      randomness: bytes(vector.client_randomness_hex),
      ...(minSuite === undefined ? {} : { minSuite }),
      ...(ticket ? { ticket, ticketOnly: vector.suites.length === 0 } : {}),
    },
    0,
  );
}

/** Field 5 of the core, 16 bytes: nothing but that looks like this. */
function ticketIdOf({ client_hello_hex: hello, server_id_hex: id }: Vector): Uint8Array {
  const at = hello.indexOf(`${id}2a10`) + id.length + 4;
  return bytes(hello.slice(at, at + 32));
}

function asDevice(vector: Vector, crypto: CryptoProvider): void {
  const device = deviceOf(vector, crypto);
  const told: ClientEnvelopeEffect[] = [];
  const written = () => {
    const effects = device.effects();
    told.push(...effects);
    const writes = effects.flatMap((effect) => (effect.kind === "write" ? [effect.bytes] : []));
    return hexOf(Buffer.concat(writes));
  };
  assert.equal(written(), vector.client_hello_hex);
  device.received(bytes(vector.server_hello_hex), 0);
  const answer = written();
  if (vector.client_finished_hex !== undefined) {
    assert.equal(answer, vector.client_finished_hex);
    const established = told.find((effect) => effect.kind === "established");
    const binding = established?.kind === "established" && established.link.channelBinding;
    assert.equal(hexOf(binding || undefined), vector.channel_binding_hex);
  }
  for (const { from, frames_hex: frames, record_hex: record } of vector.records ?? []) {
    if (from === "device") {
      device.write(bytes(frames));
      assert.equal(written(), record);
      continue;
    }
    const before = told.length;
    device.received(bytes(record), 0);
    written();
    const opened = told.slice(before).flatMap((effect) => {
      return effect.kind === "frames" ? [hexOf(effect.bytes)] : [];
    });
    assert.deepEqual(opened, frames === undefined ? [] : [frames]);
  }
  judgeEnd(vector, told);
}

function asService(vector: Vector, crypto: CryptoProvider): void {
  const service = new ServerEnvelope(
    crypto,
    {
      identities: [identityOf(NATIVE_CRYPTO, "vector")],
      suites: [1, 2, 3],
      allowsTicketOnly: true,
      policy: POLICY,
      randomness: bytes(vector.server_randomness_hex),
    },
    0,
  );
  service.received(bytes(vector.client_hello_hex), 0);
  judgeEnd(vector, service.effects());
}

function judgeEnd({ expect }: Vector, effects: readonly { readonly kind: string }[]): void {
  const ends = effects.filter(({ kind }) => kind === "close") as Extract<
    ClientEnvelopeEffect,
    { readonly kind: "close" }
  >[];
  const codes = ends.map(({ because }) => because.code);
  const code = expect === "valid" ? ErrorCode.GOODBYE : ErrorCode[expect.fails];
  assert.deepEqual(codes, [code]);
}

test("[ENV-13] [ENV-14] [ENV-15] a service says what the vectors say", () => {
  for (const vector of cases) {
    if (vector.expect !== "valid" || vector.psk_hex !== undefined) continue;
    const service = new ServerEnvelope(
      NOBLE_CRYPTO,
      {
        identities: [identityOf(NOBLE_CRYPTO, "vector", vector.name === "lasting-identity")],
        suites: [2, 3],
        allowsTicketOnly: false,
        policy: POLICY,
        randomness: bytes(vector.server_randomness_hex),
      },
      0,
    );
    service.received(bytes(vector.client_hello_hex), 0);
    const [write] = service.effects();
    assert.equal(hexOf(write?.kind === "write" ? write.bytes : undefined), vector.server_hello_hex);
  }
});
