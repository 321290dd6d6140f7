import type { JsonValue } from "@bufbuild/protobuf";
import { bytesField, delimited, field, frame, named, raw, type VectorFrame } from "./builder.ts";
import { type DeviceVector, device, GIVEN, ATTACHED as THERE, when as told } from "./device.ts";
import {
  ATTACHED,
  acked,
  delivered,
  FRESH,
  hello,
  KNOWN,
  ping,
  ready,
  type ServiceStep,
  type ServiceVector,
  service,
  submit,
  welcome,
  when,
} from "./service.ts";

const DIRECT = "d:alice:bob";
const typing = (conversationId: string, active: boolean): VectorFrame =>
  frame("signal", { typing: { conversationId, active } });
const hints = (json: JsonValue): JsonValue => ({ hints: json });
const pong = (id: number): JsonValue => ({ pong: { id } });

/** Bob is attached on a link of his own. */
const BOB: readonly ServiceStep[] = [
  { link: "b", ...when(hello({ ...FRESH, userId: "bob", deviceId: "tablet" }), welcome({})) },
  { link: "b", ...when(ready) },
];

/** Signals that nobody hears: the link goes on. */
const unheard = (name: string, about: string, signal: VectorFrame) =>
  service(
    named("SIG-2", `signal-${name}`, about),
    KNOWN,
    ...ATTACHED,
    ...BOB,
    { ...when([signal, ping(7, 2)], pong(7)), others: { b: [] } },
    when(submit(3), acked(3), ...delivered(4)),
  );

export const SERVICE_SIGNALS: readonly ServiceVector[] = [
  service(
    named(
      "SIG-7 SIG-6",
      "typing",
      "The other one is told, each time 250 ms later at the earliest.",
    ),
    KNOWN,
    ...ATTACHED,
    ...BOB,
    {
      ...when(typing(DIRECT, true)),
      others: {
        b: [hints({ typing: [{ conversationId: DIRECT, userId: "alice", active: true }] })],
      },
    },
    { ...when(typing(DIRECT, false)), others: { b: [] } },
    {
      at_ms: 300,
      sends: [],
      others: { b: [hints({ typing: [{ conversationId: DIRECT, userId: "alice" }] })] },
    },
  ),
  unheard("foreign", "A conversation of others.", typing("d:bob:carol", true)),
  unheard("reversed", "An id that no conversation has.", typing("d:bob:alice", true)),
  unheard("unknown-conversation", "A conversation that nobody made.", typing("g:none", true)),
  unheard("empty", "A signal that says nothing.", raw(delimited(bytesField(15, [])))),
  unheard(
    "unknown-kind",
    "A kind of a later version.",
    raw(delimited(bytesField(15, bytesField(9, field(1, 1))))),
  ),
  unheard(
    "unknown-state",
    "A state of a later version.",
    raw(delimited(bytesField(15, bytesField(2, field(1, 99))))),
  ),
  service(
    named("SIG-3", "signals-too-often", "A hundred at once end nothing."),
    KNOWN,
    ...ATTACHED,
    ...BOB,
    {
      ...when(
        [...Array.from({ length: 100 }, () => typing("d:bob:carol", true)), ping(7, 2)],
        pong(7),
      ),
      others: { b: [] },
    },
  ),
];

export const DEVICE_SIGNALS: readonly DeviceVector[] = [
  device(
    named("SIG-2", "hints", "Nothing is answered, and the cursor stays where it is."),
    GIVEN,
    ...THERE,
    {
      ...told(
        frame("hints", {
          typing: [{ conversationId: DIRECT, userId: "bob", active: true }],
          presence: [{ userId: "bob", state: "PRESENCE_STATE_AWAY" }],
          heads: [{ conversationId: "g:a", head: "9007199254740991" }],
        }),
      ),
      acknowledged: { delivered_through: 3 },
    },
  ),
];
