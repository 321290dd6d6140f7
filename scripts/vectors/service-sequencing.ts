import {
  bytesField,
  delimited,
  field,
  frame,
  named,
  raw,
  sendText,
  type VectorFrame,
} from "./builder.ts";
import {
  ATTACHED,
  ack,
  acked,
  close,
  delivered,
  FRESH,
  hello,
  KNOWN,
  note,
  ping,
  ready,
  result,
  type ServiceVector,
  service,
  submit,
  welcome,
  when,
} from "./service.ts";

const rawSubmit = (seq: bigint) =>
  raw(delimited(bytesField(4, [...field(1, seq), ...bytesField(2, [0])])));
const cut = { cut: true as const, sends: [] };
/** DeviceChanged: tablet, ADDED. [DEV-13] */
const NEW_TABLET = { deliver: { seq: "4", event: "SgoKBnRhYmxldBAD" } };
/** The fifth above the acknowledged results is one too many: these fill the window of four. */
const FILLING = [3, 4, 5].map((seq) => when(submit(seq), acked(seq), ...delivered(seq + 1)));

const SUBMITTING: readonly ServiceVector[] = [
  service(
    named("SEQ-3 SEQ-14", "submit", "A submit is acknowledged and delivered."),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
  ),
  service(
    named("SEQ-1 SEQ-4 P17", "submits-in-one-piece", "Three at once: in order, none left out."),
    KNOWN,
    ...ATTACHED,
    when([submit(3), submit(4), submit(5)], acked(3, 4, 5), ...delivered(4, 5, 6)),
  ),
  service(
    named(
      "SEQ-4 P19 P20",
      "submit-repeated",
      "A repeat has the kept result and no further effect.",
    ),
    KNOWN,
    ...ATTACHED,
    when(submit(2), acked(2)),
    when(submit(3), acked(3), ...delivered(4)),
    when(submit(3), acked(3)),
    when(submit(3), acked(3)),
    when(submit(4), acked(4), ...delivered(5)),
  ),
  service(
    named("SEQ-4 P20", "submit-repeated-settled", "A repeat whose result the device holds."),
    KNOWN,
    ...ATTACHED,
    { ...when(submit(1)), may_send: ["submitAck"] },
    when(submit(3), acked(3), ...delivered(4)),
  ),
  service(
    named(
      "SEQ-4 P19",
      "submit-repeated-on-another-link",
      "Its acknowledgement was lost with the link.",
    ),
    KNOWN,
    ...ATTACHED,
    when([submit(3), submit(4)], acked(3, 4), ...delivered(4, 5)),
    cut,
    {
      link: "b",
      ...when(
        hello({ outbox: { epoch: "2", resultsThrough: "1", next: "5" } }),
        welcome({
          generation: "6",
          outbox: { through: "4", resultsThrough: "1", results: [2, 3, 4].map(result) },
          resume: { cursor: "3", replaying: { count: "2" } },
        }),
      ),
    },
    { link: "b", ...when(ready, ...delivered(4, 5)) },
    { link: "b", ...when([submit(3), submit(4)], acked(3, 4)) },
  ),
  service(
    named("SEQ-5", "submit-conflict", "A used number with other content."),
    KNOWN,
    ...ATTACHED,
    when(submit(2, note(99)), close("SUBMIT_CONFLICT")),
  ),
  service(
    named("SEQ-5", "submit-conflict-no-effect", "The conflicting submit had none."),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(submit(3, note(99)), close("SUBMIT_CONFLICT")),
    {
      link: "b",
      ...when(
        hello({
          outbox: { epoch: "2", resultsThrough: "2", next: "4" },
          cursor: { epoch: "7", seq: "4" },
        }),
        welcome({ outbox: { through: "3", results: [result(3)] }, resume: { resumed: {} } }),
      ),
    },
  ),
  ...[4n, 2n ** 31n + 3n, 2n ** 32n + 3n, 2n ** 53n - 1n].map((seq) =>
    service(
      named(
        "SEQ-2 P16 P31",
        `submit-gap-${seq}`,
        "Numbers are missing, however few bits are looked at.",
      ),
      KNOWN,
      ...ATTACHED,
      when(submit(seq), close("SEQUENCE_GAP")),
    ),
  ),
  service(
    named("SEQ-2 P16", "submit-twice-and-gap", "A duplicate does not make up for a hole."),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(submit(3), acked(3)),
    when(submit(5), close("SEQUENCE_GAP")),
  ),
  service(
    named(
      "SEQ-2",
      "submit-gap-no-effect",
      "What came after the hole had none; what came before, had.",
    ),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(submit(5), close("SEQUENCE_GAP")),
    { link: "b", ...when(hello(), welcome({ outbox: { through: "3" }, timeline: { head: "4" } })) },
  ),
  service(
    named("FRM-5", "submit-0", "Numbering begins at 1."),
    KNOWN,
    ...ATTACHED,
    when(rawSubmit(0n), close("COUNTER_OUT_OF_RANGE")),
  ),
  service(
    named("FRM-5 P31", "submit-2-53", "A number above 2^53-1."),
    KNOWN,
    ...ATTACHED,
    when(rawSubmit(2n ** 53n), close("COUNTER_OUT_OF_RANGE")),
  ),
  service(
    named("FRM-5 P31", "submit-2-64-1", "A number that is -1 to whom it is signed."),
    KNOWN,
    ...ATTACHED,
    when(rawSubmit(2n ** 64n - 1n), close("COUNTER_OUT_OF_RANGE")),
  ),
];

const refusal = (name: string, operation: Uint8Array, code: string) =>
  service(
    named(
      "SEQ-6",
      `refused-${name}`,
      "A refused operation consumes its number, also when repeated.",
    ),
    KNOWN,
    ...ATTACHED,
    when(submit(3, operation), {
      submitAck: { through: "3", results: [{ code: `ERROR_CODE_${code}` }] },
    }),
    when(submit(3, operation), {
      submitAck: { through: "3", results: [{ code: `ERROR_CODE_${code}` }] },
    }),
    when(submit(4), acked(4), ...delivered(4)),
  );

const OPERATIONS: readonly ServiceVector[] = [
  refusal("user-unknown", sendText("nobody", "hello"), "USER_UNKNOWN"),
  refusal("user-id", sendText("alice/bob", "hello"), "USER_ID_INVALID"),
  refusal("empty", sendText("bob", ""), "MESSAGE_EMPTY"),
  refusal("too-large", sendText("alice", "x".repeat(1025)), "MESSAGE_TOO_LARGE"),
  refusal("malformed", Uint8Array.of(0xff), "OPERATION_MALFORMED"),
  refusal("no-operation", new Uint8Array(0), "OPERATION_MALFORMED"),
  refusal("unknown-kind", Uint8Array.of(0xfa, 0x01, 0x00), "OPERATION_MALFORMED"),
  service(
    named("SEQ-6", "largest-content", "As large as a content may be."),
    KNOWN,
    ...ATTACHED,
    when(
      submit(3, sendText("alice", "x".repeat(1024))),
      { submitAck: { through: "3" } },
      ...delivered(4),
    ),
  ),
];

const WINDOWS: readonly ServiceVector[] = [
  service(
    named("SEQ-8 P33", "submit-window", "The fifth above the acknowledged results, of four."),
    KNOWN,
    ...ATTACHED,
    ...FILLING,
    when(submit(6), close("CREDIT_EXCEEDED")),
  ),
  service(
    named("SEQ-8", "submit-window-moves", "Acknowledged results make room, one each."),
    KNOWN,
    ...ATTACHED,
    ...FILLING,
    when(ack(3, 2)),
    when(submit(6), acked(6), ...delivered(7)),
    when(submit(7), close("CREDIT_EXCEEDED")),
  ),
  service(
    named(
      "SEQ-8 SEQ-15 P21",
      "submit-window-outlives-links",
      "Results are kept for as long as it takes.",
    ),
    KNOWN,
    ...ATTACHED,
    ...FILLING,
    cut,
    {
      at_ms: 40_000_000,
      link: "b",
      ...when(
        hello({
          outbox: { epoch: "2", resultsThrough: "1", next: "6" },
          cursor: { epoch: "7", seq: "6" },
        }),
        welcome({ outbox: { through: "5", results: [2, 3, 4, 5].map(result) } }),
      ),
    },
    { link: "b", ...when(ready) },
    { link: "b", ...when(submit(6), close("CREDIT_EXCEEDED")) },
  ),
  service(
    named("SEQ-8", "submit-larger-than-the-window", "One may always be under way."),
    { ...KNOWN, submit_window: { count: 4, bytes: 10 } },
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(submit(4), acked(4), ...delivered(5)),
  ),
  service(
    named("SEQ-13 P33", "delivery-window", "Two of a window of two; each acknowledged makes room."),
    KNOWN,
    when(
      hello({
        cursor: { epoch: "7", seq: "0" },
        deliveryWindow: { count: 2, bytes: 10_000 },
      }),
      welcome({ resume: { replaying: { count: "3" } } }),
    ),
    when(ready, ...delivered(1, 2)),
    when(ack(1, 1), ...delivered(3)),
    when(submit(3), acked(3)),
    when(ack(3, 1), ...delivered(4)),
  ),
  service(
    named("SEQ-13", "delivery-larger-than-the-window", "One may always be outstanding."),
    KNOWN,
    when(
      hello({ cursor: { epoch: "7", seq: "0" }, deliveryWindow: { count: 8, bytes: 1 } }),
      welcome({ resume: { replaying: { count: "3" } } }),
    ),
    when(ready, ...delivered(1)),
    when(ack(1, 1), ...delivered(2)),
    when(ack(1, 1)),
  ),
  service(
    named("SEQ-13 SEQ-16 P33", "delivery-window-bytes", "Two of 100 bytes do not fit into 150."),
    KNOWN,
    when(
      hello({ cursor: { epoch: "7", seq: "0" }, deliveryWindow: { count: 8, bytes: 150 } }),
      welcome({ resume: { replaying: { count: "3" } } }),
    ),
    when(ready, ...delivered(1)),
    when(ack(1, 1), ...delivered(2)),
    when(frame("credit", { window: { count: 8, bytes: 200 } }), ...delivered(3)),
  ),
  service(
    named("SEQ-13", "delivery-window-0", "Nothing is delivered until Credit opens the window."),
    KNOWN,
    when(
      hello({ cursor: { epoch: "7", seq: "1" }, deliveryWindow: {} }),
      welcome({ resume: { replaying: { count: "2" } } }),
    ),
    when(ready),
    when(frame("credit", { window: { count: 1, bytes: 10_000 } }), ...delivered(2)),
    when(frame("credit", { window: { count: 2, bytes: 10_000 } }), ...delivered(3)),
  ),
];

const ackBeyond = (name: string, receive: VectorFrame) =>
  service(
    named("SEQ-9 P8 P31", `ack-beyond-${name}`, "More is acknowledged than was sent."),
    KNOWN,
    ...ATTACHED,
    when(receive, close("ACK_BEYOND_SENT")),
  );

const ACKNOWLEDGING: readonly ServiceVector[] = [
  ackBeyond("deliveries", ack(4, 1)),
  ackBeyond("deliveries-2-31", ack(2n ** 31n + 3n, 1)),
  ackBeyond("deliveries-2-32", ack(2n ** 32n + 3n, 1)),
  ackBeyond("deliveries-2-53-1", ack(2n ** 53n - 1n, 1)),
  ackBeyond("results", ack(3, 3)),
  ackBeyond("results-2-32", ack(3, 2n ** 32n + 2n)),
  ackBeyond("results-2-53-1", ack(3, 2n ** 53n - 1n)),
  service(
    named("SEQ-9 P8", "ack-beyond-this-link", "The head, and it was not sent on this link."),
    KNOWN,
    when(
      hello({ cursor: { epoch: "7", seq: "0" }, deliveryWindow: { count: 2, bytes: 10_000 } }),
      welcome({ resume: { replaying: { count: "3" } } }),
    ),
    when(ready, ...delivered(1, 2)),
    when(ack(3, 1), close("ACK_BEYOND_SENT")),
  ),
  service(
    named("SEQ-9", "ack-below", "Earlier acknowledgements are ignored."),
    KNOWN,
    ...ATTACHED,
    when(ack(3, 2)),
    when(ack(0, 0)),
    when(ack(3, 1)),
    when(submit(3), acked(3), ...delivered(4)),
    when(ack(4, 3)),
  ),
  service(
    named(
      "SEQ-8",
      "results-partly-acknowledged",
      "Those that the device does not hold yet are kept.",
    ),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(ack(4, 2)),
    cut,
    {
      link: "b",
      ...when(
        hello({
          outbox: { epoch: "2", resultsThrough: "2", next: "4" },
          cursor: { epoch: "7", seq: "4" },
        }),
        welcome({ outbox: { through: "3", resultsThrough: "2", results: [result(3)] } }),
      ),
    },
  ),
  service(
    named("SEQ-8 RES-14", "results-acknowledged", "Results that the device holds are not kept."),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    when(ack(4, 3)),
    cut,
    {
      link: "b",
      ...when(
        hello({
          outbox: { epoch: "2", resultsThrough: "3", next: "4" },
          cursor: { epoch: "7", seq: "4" },
        }),
        welcome({
          outbox: { through: "3", resultsThrough: "3", results: [] },
          resume: { cursor: "4", resumed: {} },
        }),
      ),
    },
  ),
  service(
    named("SES-9", "ping", "Each Ping has a Pong of its id, with the service's position."),
    KNOWN,
    ...ATTACHED,
    when(ping(77, 2), { pong: { id: 77, sentThrough: "3" } }),
    when([ping(2 ** 32 - 1, 2), ping(77, 0)], { pong: { id: 2 ** 32 - 1 } }, { pong: { id: 77 } }),
    when(submit(3), acked(3), ...delivered(4)),
    when(ping(78, 3), { pong: { id: 78, sentThrough: "4" } }),
  ),
  ...(
    [
      ["ping", 3n],
      ["ping-2-32", 2n ** 32n + 2n],
      ["ping-2-53-1", 2n ** 53n - 1n],
    ] as const
  ).map(([name, sentThrough]) =>
    service(
      named("SES-15 P12 P31", `${name}-tells-of-a-loss`, "The device sent what never came."),
      KNOWN,
      ...ATTACHED,
      {
        ...when(ping(1, sentThrough), close("SEQUENCE_GAP")),
        may_send: ["pong"],
      },
    ),
  ),
  service(
    named("SES-15", "pong-tells-of-a-loss", "Likewise in a Pong."),
    KNOWN,
    ...ATTACHED,
    when(frame("pong", { id: 9, sentThrough: "3" }), close("SEQUENCE_GAP")),
  ),
];

const bob = (link: string, ...received: readonly VectorFrame[]) => ({ link, receive: received });
const BOB = hello({ ...FRESH, userId: "bob", deviceId: "desk" });

const DEVICES: readonly ServiceVector[] = [
  service(
    named(
      "SEQ-14 P5",
      "delivered-from-another-user",
      "Bob writes: both have it, Alice as number 4.",
    ),
    KNOWN,
    ...ATTACHED,
    { ...bob("bob", BOB), sends: [welcome({ generation: "1", userId: "bob" })] },
    { ...bob("bob", ready), sends: [] },
    {
      ...bob("bob", submit(1, sendText("alice", "hello"))),
      sends: [{ submitAck: { through: "1" } }, ...delivered(1)],
      others: { a: delivered(4) },
    },
    when(submit(3), acked(3), ...delivered(5)),
  ),
  service(
    named(
      "SEQ-14 P17",
      "delivered-to-each-device",
      "Another device of Alice is delivered the same, and first that it is new.",
    ),
    KNOWN,
    ...ATTACHED,
    {
      ...bob("b", hello({ ...FRESH, deviceId: "tablet", cursor: { epoch: "7", seq: "3" } })),
      sends: [welcome({ generation: "1", outbox: { epoch: "1" }, resume: { resumed: {} } })],
    },
    { ...bob("b", ready), sends: [NEW_TABLET], others: { a: [NEW_TABLET] } },
    { ...when(submit(3), acked(3), ...delivered(5)), others: { b: delivered(5) } },
    {
      ...bob("b", submit(1)),
      sends: [{ submitAck: { through: "1" } }, ...delivered(6)],
      others: { a: delivered(6) },
    },
  ),
  service(
    named("SEQ-11 RES-3 P12", "not-acknowledged-comes-again", "Deliveries that no Hello covers."),
    KNOWN,
    ...ATTACHED,
    when(submit(3), acked(3), ...delivered(4)),
    cut,
    {
      link: "b",
      ...when(
        hello({ outbox: { epoch: "2", resultsThrough: "1", next: "4" } }),
        welcome({ resume: { cursor: "3", replaying: { count: "1" } } }),
      ),
    },
    { link: "b", ...when(ready, ...delivered(4)) },
  ),
];

export const SEQUENCING: readonly ServiceVector[] = [
  ...SUBMITTING,
  ...OPERATIONS,
  ...WINDOWS,
  ...ACKNOWLEDGING,
  ...DEVICES,
];
