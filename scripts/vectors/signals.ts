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
const watch = (...userIds: readonly string[]): VectorFrame =>
  frame("signal", { watch: { userIds: [...userIds] } });
const setPresence = (state: string): VectorFrame =>
  frame("signal", { setPresence: { state: `PRESENCE_STATE_${state}` } });
/** Users as they are told, in the order of the Watch. */
const presence = (...users: readonly (readonly [userId: string, state: string])[]): JsonValue =>
  hints({
    presence: users.map(([userId, state]) => ({ userId, state: `PRESENCE_STATE_${state}` })),
  });
/** Sets to whom alice shows itself. */
const policy = (seq: number, stateTo: number): VectorFrame =>
  submit(seq, Uint8Array.from([0x82, 0x01, ...lengthAnd(bytesField(1, field(1, stateTo)))]));
const lengthAnd = (bytes: readonly number[]) => [bytes.length, ...bytes];
const taken = (seq: number): JsonValue => ({ submitAck: { through: String(seq) } });
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
    named(
      "SIG-11 SIG-13",
      "watch",
      "A user who is not there, oneself, and one who is shown nothing.",
    ),
    KNOWN,
    ...ATTACHED,
    ...BOB,
    when(watch("bob", "alice", "nobody", "no user")),
    {
      at_ms: 1000,
      sends: [presence(["bob", "OFFLINE"], ["alice", "ONLINE"], ["nobody", "OFFLINE"])],
    },
    { ...when(setPresence("AWAY")), link: "a" },
    { at_ms: 2000, sends: [presence(["alice", "AWAY"])] },
    { ...when(setPresence("BUSY")), link: "b" },
    { at_ms: 2900, sends: [], others: { b: [] } },
  ),
  service(
    named("SIG-13 SIG-15", "presence-policy", "To everybody, then to nobody."),
    KNOWN,
    ...ATTACHED,
    ...BOB,
    when(policy(3, 1), taken(3), ...delivered(4)),
    { link: "b", ...when(watch("alice")) },
    { link: "b", at_ms: 1000, sends: [presence(["alice", "ONLINE"])] },
    when(policy(4, 3), taken(4), ...delivered(5)),
    { link: "b", at_ms: 2000, sends: [presence(["alice", "OFFLINE"])] },
    when(setPresence("AWAY")),
    { link: "b", at_ms: 2900, sends: [] },
  ),
  service(
    named("SIG-13", "presence-policy-invalid", "Its number is consumed."),
    KNOWN,
    ...ATTACHED,
    when(policy(3, 4), {
      submitAck: { through: "3", results: [{ code: "ERROR_CODE_PRESENCE_POLICY_INVALID" }] },
    }),
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
