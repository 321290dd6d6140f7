import type { EnvelopeCase, Failure } from "./cases.ts";
import { type About, appended, flipped } from "./lies.ts";
import { clearAlert, type Lies, LinkVector } from "./link-builder.ts";
import { ascii, drawn, join } from "./primitives.ts";
import { clearRecord, headerOf, innerOf, SEALED, VectorDirection } from "./record-builder.ts";

/** Refused later: after ServerHello, and after the handshake. */
const RSA_LINK = { device: { suites: [1] } } as const;

function finishRefused([ids, name, description]: About, lies: Lies, failure: Failure) {
  const link = new LinkVector({ name, ...RSA_LINK, lies });
  return link.refused([ids, `finish-${name}`, description], { judge: "service", failure });
}

function orderRefused(
  [ids, name, description]: About,
  at: number,
  change: (link: LinkVector) => LinkVector,
) {
  const link = new LinkVector({ name, ...RSA_LINK });
  link.records.splice(at);
  const judge = at === 1 ? "device" : "service";
  return change(link).refused([ids, `order-${name}`, description], { judge, failure: "order" });
}

const FINISHES: readonly EnvelopeCase[] = [
  finishRefused(
    ["ENV-18", "flipped", "A bit of the confirm."],
    {
      clientConfirm: flipped(31),
    },
    "confirm",
  ),
  finishRefused(
    ["ENV-18", "short", "A confirm of 31 bytes."],
    {
      clientConfirm: (confirm) => confirm.subarray(1),
    },
    "parse",
  ),
  finishRefused(
    ["ENV-12", "unknown-field", "A field behind the confirm."],
    {
      finishedBody: appended("120161"),
    },
    "parse",
  ),
  orderRefused(["ENV-11", "finished-from-service", "The service says ClientFinished."], 1, (link) =>
    link.push({ from: "service", record: clearRecord(3, drawn("confirm", 32)) }),
  ),
  orderRefused(["ENV-11", "sealed-first", "A sealed record in ServerHello's place."], 1, (link) =>
    link.push({ from: "service", record: link.down.seal("frames", ascii("early")) }),
  ),
  orderRefused(
    ["ENV-11", "sealed-unfinished", "Sealed records without ClientFinished."],
    2,
    (link) => link.push({ from: "device", record: link.up.seal("frames", ascii("early")) }),
  ),
  orderRefused(["ENV-11", "hello-twice", "A second ClientHello."], 2, (link) =>
    link.push(link.records[0] as never),
  ),
];

function sealedRefused([ids, name, description]: About, failure: Failure, [judge, record]: Sealed) {
  const from = judge === "device" ? "service" : "device";
  const link = new LinkVector({ name, ...RSA_LINK })
    .seal("device", "frames", ascii("from the device"))
    .seal("service", "frames", ascii("from the service"));
  link.push({ from, record: record(link) });
  return link.refused([ids, `sealed-${name}`, description], { judge, failure });
}
type Sealed = readonly [judge: "device" | "service", record: (link: LinkVector) => Uint8Array];

const SEALED_FAULTS: readonly EnvelopeCase[] = [
  sealedRefused(["ENV-50", "flipped", "A record does not open."], "aead", [
    "device",
    (link) => flipped(-1)(link.down.seal("frames", ascii("next"))),
  ]),
  sealedRefused(["ENV-6 ENV-50", "reflected", "A record of the service's own."], "aead", [
    "service",
    (link) => {
      const copy = new VectorDirection(link.down.aead, link.down.secret);
      copy.seq = link.down.seq;
      return copy.seal("frames", ascii("reflected"));
    },
  ]),
  sealedRefused(["ENV-6 ENV-50", "again", "A record comes twice."], "replay", [
    "service",
    (link) => link.records[3]?.record as Uint8Array,
  ]),
  sealedRefused(["ENV-6 ENV-50", "gap", "A record is missing."], "order", [
    "device",
    (link) => {
      link.down.seal("frames", ascii("lost"));
      return link.down.seal("frames", ascii("next"));
    },
  ]),
  sealedRefused(["ENV-6 ENV-49", "clear-alert", "A clear alert after sealed records."], "order", [
    "device",
    () => clearAlert(),
  ]),
  sealedRefused(["ENV-6", "clear-hello", "A hello after sealed records."], "order", [
    "service",
    (link) => link.records[0]?.record as Uint8Array,
  ]),
  sealedRefused(["ENV-8", "no-type", "No content type."], "padding", [
    "service",
    (link) => link.up.sealInner(new Uint8Array(64)),
  ]),
  sealedRefused(["ENV-8", "unknown-type", "An unknown content type."], "parse", [
    "device",
    (link) => link.down.sealInner(innerOf(9, ascii("next"))),
  ]),
  sealedRefused(["ENV-3", "epoch-0", "A sealed record of epoch 0."], "parse", [
    "service",
    (link) => link.up.sealInner(innerOf("frames", ascii("next")), { epoch: 0 }),
  ]),
  sealedRefused(["ENV-5", "short", "A body without room for a tag."], "tag", [
    "service",
    () => join(headerOf({ type: SEALED, epoch: 1, seq: 1, length: 8 }), drawn("short", 8)),
  ]),
  sealedRefused(["ENV-4", "too-long", "A body that is too long, by its header."], "parse", [
    "device",
    () => headerOf({ type: SEALED, epoch: 1, seq: 1, length: 16_657 }),
  ]),
];

export const REFUSED_LATER: readonly EnvelopeCase[] = [...FINISHES, ...SEALED_FAULTS];
