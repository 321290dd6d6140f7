import assert from "node:assert/strict";
import {
  ClientHelloCoreSchema,
  ClientHelloSchema,
  EnvelopeAlertSchema,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import {
  type ClientCore,
  readClientHello,
  readServerHello,
  type ServerCore,
} from "../../protocol/envelope/hello.ts";
import { clearRecord } from "../../protocol/envelope/records.ts";
import { decodePlain, encodePlain } from "../../protocol/plain.ts";
import type { Passing, RelayedLink, Side } from "./relay.ts";

type Policy = NonNullable<ServerCore["policy"]>;

/** What a ClientHello says. @throws Error for a record that is none */
export function clientCoreOf({ body }: Passing): ClientCore {
  const hello = readClientHello(body);
  if ("code" in hello) throw new Error(hello.detail);
  return hello.core;
}

/** What a ServerHello says. @throws Error for a record that is none */
export function serverCoreOf({ body }: Passing): ServerCore {
  const hello = readServerHello(body);
  if ("code" in hello) throw new Error(hello.detail);
  return hello.core;
}

/** Passes a ClientHello on that says something else. */
export function rewriteClient(
  record: Passing,
  change: (core: ClientCore) => Partial<ClientCore>,
  binder?: Uint8Array,
): void {
  const hello = readClientHello(record.body);
  if ("code" in hello) throw new Error(hello.detail);
  const core = encodePlain(ClientHelloCoreSchema, { ...hello.core, ...change(hello.core) });
  const body = encodePlain(ClientHelloSchema, { core, binder: binder ?? hello.binder });
  record.link.send("service", clearRecord("clientHello", body));
}

export interface ServerChange {
  readonly core?: (core: ServerCore) => Partial<ServerCore>;
  readonly policy?: Partial<Policy>;
  readonly algorithm?: number;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  readonly confirm?: (confirm: Uint8Array) => Uint8Array;
}

/** Passes a ServerHello on that says something else, under the signature that it had. */
export function rewriteServer(record: Passing, change: ServerChange): void {
  const hello = readServerHello(record.body);
  if ("code" in hello) throw new Error(hello.detail);
  const policy = { ...hello.policy, ...change.policy };
  const core = { ...hello.core, policy, ...change.core?.(hello.core) };
  const body = encodePlain(ServerHelloSchema, {
    core: encodePlain(ServerHelloCoreSchema, core),
    signatureAlgorithm: change.algorithm ?? hello.algorithm,
    signature: change.signature?.(hello.signature) ?? hello.signature,
    serverConfirm: change.confirm?.(hello.confirm) ?? hello.confirm,
  });
  record.link.send("device", clearRecord("serverHello", body));
}

/** The same bytes with one bit turned over; a negative place counts from the end. */
export function flipped(bytes: Uint8Array, at = 0): Uint8Array {
  const changed = bytes.slice();
  const place = at < 0 ? changed.length + at : at;
  changed[place] = (changed[place] as number) ^ 1;
  return changed;
}

/**
 * The codes of the clear alerts on a link, by who said them.
 *
 * @throws AssertionError when a side said anything after one
 */
export function alertsOf(link: RelayedLink): Partial<Record<Side, number[]>> {
  const found: Partial<Record<Side, number[]>> = {};
  for (const [by, to] of [
    ["device", "service"],
    ["service", "device"],
  ] as const) {
    const records = link.seenFor(to);
    const alerts = records.filter(({ type }) => type === "alert");
    if (alerts.length === 0) continue;
    assert.equal(records.at(-1), alerts.at(-1), "nothing follows an alert");
    found[by] = alerts.map(({ body }) => {
      const alert = decodePlain(EnvelopeAlertSchema, body);
      return typeof alert === "string" ? -1 : alert.code;
    });
  }
  return found;
}
