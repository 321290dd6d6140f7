import { randomBytes } from "node:crypto";
import { EnvelopeAlertSchema } from "../../gen/posthorn/v1/envelope_pb.ts";
import {
  clearRecord,
  encodeHeader,
  HEADER_BYTES,
  type RecordType,
} from "../../protocol/envelope/records.ts";
import { encodePlain } from "../../protocol/plain.ts";
import { type Attack, type Passing, pass, type RelayedLink, type Side } from "./relay.ts";

/** What is done with one record. */
export type Act = (record: Passing) => void;

/** Does something to the next record of a type for a side, once, and is honest otherwise. */
export function onNext(to: Side, type: RecordType, act: Act): Attack {
  let isDone = false;
  return (record) => {
    if (isDone || record.to !== to || record.type !== type) return pass(record);
    isDone = true;
    act(record);
  };
}

/** Holds the next sealed record for a side back until others of it have come. */
export function withheld(to: Side, count: number, act: (held: readonly Passing[]) => void): Attack {
  const held: Passing[] = [];
  return (record) => {
    if (held.length === count || record.to !== to || record.type !== "sealed") return pass(record);
    held.push(record);
    if (held.length === count) act(held);
  };
}

/** Passes a record on with one bit of it turned over: of its body, or counted from its end. */
export function flipBit(record: Passing, at: number): void {
  const changed = record.bytes.slice();
  const place = at < 0 ? changed.length + at : HEADER_BYTES + at;
  changed[place] = (changed[place] as number) ^ 1;
  record.link.send(record.to, changed);
}

/** A record's body under another header. */
export function reheaded(
  { body, ...record }: Passing,
  change: { readonly epoch?: number; readonly seq?: number; readonly body?: Uint8Array },
): Uint8Array {
  const { type, epoch, seq } = { ...record, ...change };
  const text = change.body ?? body;
  const header = encodeHeader({ type, epoch, seq, bodyBytes: text.length });
  return Buffer.concat([header, text]);
}

/** How many sealed records a side has been sent by the other one: the number it expects next. */
export function sealedCount(link: RelayedLink, to: Side): number {
  return link.seenFor(to).filter(({ type }) => type === "sealed").length;
}

/** A sealed record with the right number and nothing but noise in it. */
export function forged(link: RelayedLink, to: Side): Uint8Array {
  const body = randomBytes(80);
  const seq = sealedCount(link, to);
  const header = encodeHeader({ type: "sealed", epoch: 1, seq, bodyBytes: body.length });
  return Buffer.concat([header, body]);
}

/** The alert of a handshake: whoever is in between can say it. */
export function forgedAlert(): Uint8Array {
  return clearRecord("alert", encodePlain(EnvelopeAlertSchema, { code: 40 }));
}
