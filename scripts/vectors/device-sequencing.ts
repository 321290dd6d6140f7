import { crc32, frame, named, raw, varint } from "./builder.ts";
import {
  ATTACHED,
  close,
  type DeviceStep,
  type DeviceVector,
  deliver,
  device,
  GIVEN,
  linked,
  op,
  READY,
  result,
  submitAck,
  submitted,
  told,
  welcome,
  when,
} from "./device.ts";

const quiet: DeviceStep = { sends: [] };
const at = (at_ms: number, step: DeviceStep): DeviceStep => ({ ...step, at_ms });
const ping = (id: number, sentThrough: number | bigint) =>
  frame("ping", { id, sentThrough: String(sentThrough) });
const WAITING = { ...GIVEN, handles: "when-told" as const };

const RESULTS: readonly DeviceVector[] = [
  device(
    named("SEQ-4 SEQ-9 P20", "acknowledged", "Each submit has one result, told once."),
    GIVEN,
    ...ATTACHED,
    { ...when(submitAck(2, 2)), results: [told(2, "ok")] },
    { ...when(submitAck(3, 2, 3)), results: [told(3, "ok")] },
    when(submitAck(2, 2)),
    when(submitAck(3, 3)),
  ),
  device(
    named("SEQ-4", "acknowledged-at-once", "Results of all that was sent, in one frame."),
    GIVEN,
    ...ATTACHED,
    { ...when(submitAck(3, 2, 3)), results: [told(2, "ok"), told(3, "ok")] },
    { cut: true, sends: [] },
    linked({ outbox: [2, 3, 4] }),
  ),
  device(
    named("SEQ-6 P29", "refused", "A refusal is a result, whatever its code."),
    GIVEN,
    ...ATTACHED,
    {
      ...when(
        frame("submitAck", {
          through: "2",
          results: [{ ...result(2), code: "ERROR_CODE_USER_UNKNOWN" }],
        }),
      ),
      results: [told(2, "USER_UNKNOWN")],
    },
  ),
  device(
    named("SEQ-6 ERR-3", "refused-for-an-unknown-reason", "An unknown code is a refusal too."),
    GIVEN,
    ...ATTACHED,
    {
      ...when(frame("submitAck", { through: "2", results: [{ ...result(2), code: 9999 }] })),
      results: [told(2, "9999")],
    },
  ),
  ...(
    [
      ["one", 4n],
      ["2-32", 2n ** 32n + 3n],
      ["2-53-1", 2n ** 53n - 1n],
    ] as const
  ).map(([name, through]) =>
    device(
      named("SEQ-9 P8 P31", `acknowledged-beyond-${name}`, "A submit that was never sent."),
      GIVEN,
      ...ATTACHED,
      when(
        frame("submitAck", { through: String(through), results: [2, 3, 4].map(result) }),
        close("ACK_BEYOND_SENT"),
      ),
    ),
  ),
  device(
    named(
      "SEQ-4 SEQ-2 P16",
      "result-missing",
      "The results do not reach down to the last one held.",
    ),
    GIVEN,
    ...ATTACHED,
    when(submitAck(3, 3), close("SEQUENCE_GAP")),
  ),
  device(
    named("SEQ-4 SEQ-2", "results-missing", "Acknowledged without any result."),
    GIVEN,
    ...ATTACHED,
    when(submitAck(3), close("SEQUENCE_GAP")),
  ),
];

const settled = (through: number) => ({
  outbox: { epoch: "2", through: String(through), resultsThrough: String(through) },
});
const IDLE_OUTBOX = { ...GIVEN, pending_hex: [], results_through: 3 };
const attachedIdle = (part: object = {}): DeviceStep[] => [
  linked({ outbox: [2, 3, 4] }),
  when(welcome({ ...settled(3), ...part }), READY),
];

const WINDOWS: readonly DeviceVector[] = [
  device(
    named("SEQ-8", "window", "Four submits above the acknowledged result, and no fifth."),
    GIVEN,
    ...ATTACHED,
    { submit_hex: [op(4), op(5), op(6)], sends: [submitted(4, op(4)), submitted(5, op(5))] },
    {
      ...when(submitAck(3, 2, 3), submitted(6, op(6))),
      results: [told(2, "ok"), told(3, "ok")],
      acknowledged: { results_through: 3 },
    },
  ),
  device(
    named("SEQ-8", "window-bytes", "Two operations of two bytes in a window of four bytes."),
    IDLE_OUTBOX,
    ...attachedIdle({ submitWindow: { count: 8, bytes: 4 } }),
    { submit_hex: [op(4), op(5), op(6)], sends: [submitted(4, op(4)), submitted(5, op(5))] },
    { ...when(submitAck(4, 4), submitted(6, op(6))), results: [told(4, "ok")] },
  ),
  device(
    named("SEQ-8", "larger-than-the-window", "One may always be under way."),
    IDLE_OUTBOX,
    ...attachedIdle({ submitWindow: { count: 8, bytes: 1 } }),
    { submit_hex: [op(4), op(5)], sends: [submitted(4, op(4))] },
    { ...when(submitAck(4, 4), submitted(5, op(5))), results: [told(4, "ok")] },
  ),
  device(
    named("SEQ-8", "credit", "Credit replaces the window that Welcome granted."),
    IDLE_OUTBOX,
    ...attachedIdle({ submitWindow: { count: 1, bytes: 1000 } }),
    { submit_hex: [op(4), op(5), op(6)], sends: [submitted(4, op(4))] },
    when(frame("credit", { window: { count: 2, bytes: 1000 } }), submitted(5, op(5))),
    when(frame("credit", { window: { bytes: 1000 } })),
    { ...when(submitAck(4, 4)), results: [told(4, "ok")] },
    when(frame("credit", { window: { count: 4, bytes: 1000 } }), submitted(6, op(6))),
  ),
];

const LARGE = `0a62${"61".repeat(98)}`;
const SMALL_FRAMES = { limits: { frameBytes: 64, contentBytes: 32, calls: 16 } };
const tooLarge = { operation_hex: LARGE, outcome: "MESSAGE_TOO_LARGE" };
const nothing = { code: "ERROR_CODE_OPERATION_MALFORMED" };
const largeCommitted = { ...result(2), digest: crc32(Buffer.from(LARGE, "hex")) };

const LIMITED: readonly DeviceVector[] = [
  device(
    named("SEQ-17", "submit-too-large", "Refused at once; the next submit has its number."),
    IDLE_OUTBOX,
    ...attachedIdle(SMALL_FRAMES),
    { submit_hex: [LARGE, op(4)], sends: [submitted(4, op(4))], results: [tooLarge] },
    { ...when(submitAck(4, 4)), results: [told(4, "ok")] },
  ),
  device(
    named("SEQ-18 SEQ-6", "limit-lowered", "No bytes go up in its place, and consume its number."),
    { ...GIVEN, pending_hex: [LARGE, op(3)] },
    linked(),
    when(welcome(SMALL_FRAMES), READY, { submit: { seq: "2" } }, submitted(3, op(3))),
    { ...when(frame("submitAck", { through: "2", results: [nothing] })), results: [tooLarge] },
    { ...when(submitAck(3, 3)), results: [told(3, "ok")] },
  ),
  device(
    named("SEQ-18 SEQ-7", "limit-lowered-and-raised", "What may have gone up is repeated."),
    { ...GIVEN, pending_hex: [LARGE, op(3)] },
    linked(),
    when(welcome(SMALL_FRAMES), READY, { submit: { seq: "2" } }, submitted(3, op(3))),
    { cut: true, sends: [] },
    linked(),
    when(welcome(), READY, { submit: { seq: "2" } }, submitted(3, op(3))),
    { ...when(frame("submitAck", { through: "2", results: [nothing] })), results: [tooLarge] },
  ),
  device(
    named("SEQ-18 SEQ-4", "limit-lowered-too-late", "An older link had it committed meanwhile."),
    { ...GIVEN, pending_hex: [LARGE, op(3)] },
    linked(),
    when(welcome(SMALL_FRAMES), READY, { submit: { seq: "2" } }, submitted(3, op(3))),
    when(frame("close", { code: "ERROR_CODE_ATTACH_OVERTAKEN" })),
    linked(),
    {
      ...when(
        welcome({
          ...SMALL_FRAMES,
          outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [largeCommitted] },
        }),
        READY,
        submitted(3, op(3)),
      ),
      results: [{ operation_hex: LARGE, outcome: "ok" }],
    },
  ),
];

const DELIVERING: readonly DeviceVector[] = [
  device(
    named("SEQ-10 SEQ-11", "delivered", "Deliveries reach the application once, in order."),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4)), events: [4] },
    { ...when(deliver(5)), events: [5] },
    when(deliver(5)),
    when(deliver(4, 5)),
    { ...when(deliver(6)), events: [6] },
  ),
  device(
    named("SEQ-12", "acknowledged-after-half-of-the-window", "Two of four."),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4, 5)), events: [4, 5], acknowledged: { delivered_through: 5 } },
  ),
  device(
    named("SEQ-12", "acknowledged-after-200-ms", "One is acknowledged when 200 ms are over."),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4)), events: [4] },
    at(200, { ...quiet, acknowledged: { delivered_through: 4 } }),
  ),
  device(
    named("SEQ-12", "acknowledged-with-the-next-frame", "It rides with a submit."),
    IDLE_OUTBOX,
    ...attachedIdle(),
    { ...when(deliver(4)), events: [4] },
    { submit_hex: [op(4)], sends: [submitted(4, op(4))], acknowledged: { delivered_through: 4 } },
  ),
  device(
    named("SEQ-11", "unhandled", "What is not handled is not acknowledged, however long it takes."),
    WAITING,
    ...ATTACHED,
    { ...when(deliver(4, 5, 6)), events: [4, 5, 6] },
    at(500, { ...quiet, acknowledged: { delivered_through: 3 } }),
    { handles: 5, sends: [], acknowledged: { delivered_through: 5 } },
    at(900, { ...quiet, acknowledged: { delivered_through: 5 } }),
    { cut: true, sends: [] },
    linked({ cursor: [7, 5] }),
  ),
  ...(
    [
      ["one", 5n],
      ["2-32", 2n ** 32n + 4n],
      ["2-53-1", 2n ** 53n - 1n],
    ] as const
  ).map(([name, seq]) =>
    device(
      named("SEQ-2 P16 P31", `delivery-gap-${name}`, "Deliveries are missing."),
      GIVEN,
      ...ATTACHED,
      when(
        frame("deliver", {
          seq: String(seq),
          conversationSeq: "1",
          committedMs: "1",
          event: "AQ==",
        }),
        close("SEQUENCE_GAP"),
      ),
    ),
  ),
  device(
    named("SEQ-2 P16 P20", "delivery-twice-and-gap", "A duplicate does not make up for a hole."),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4)), events: [4] },
    when(deliver(4)),
    when(deliver(6), close("SEQUENCE_GAP")),
  ),
  device(
    named(
      "SEQ-2 SES-17",
      "delivery-gap-and-again",
      "What came before the hole counts; the rest comes again.",
    ),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4, 6), close("SEQUENCE_GAP")), events: [4], next: "same" },
    linked({ cursor: [7, 4] }),
  ),
  device(
    named(
      "SEQ-10 P13",
      "payload-like-a-frame",
      "An event whose bytes are a delivery is just bytes.",
    ),
    GIVEN,
    ...ATTACHED,
    {
      ...when(
        frame("deliver", {
          seq: "4",
          event: Buffer.from(deliver(99)[0]?.hex ?? "", "hex").toString("base64"),
        }),
      ),
      events: [4],
    },
    { ...when(deliver(5)), events: [5] },
  ),
];

const PINGS: readonly DeviceVector[] = [
  device(
    named("SES-9", "ping", "Each Ping has a Pong of its id, with the device's position."),
    GIVEN,
    ...ATTACHED,
    when(ping(77, 3), { pong: { id: 77, sentThrough: "3" } }),
    { submit_hex: [op(4)], sends: [submitted(4, op(4))] },
    when(ping(78, 3), { pong: { id: 78, sentThrough: "4" } }),
  ),
  device(
    named("SES-9", "keepalive", "Nothing was sent for keepalive_ms."),
    IDLE_OUTBOX,
    ...attachedIdle(),
    at(980, quiet),
    at(1000, { sends: [{ ping: { sentThrough: "3" } }] }),
    at(1100, when(frame("pong", { id: 2, sentThrough: "3" }))),
    at(1980, quiet),
    at(2000, { sends: [{ ping: { sentThrough: "3" } }] }),
  ),
  device(
    named("SES-10 P24", "idle", "Nothing was heard for idle_ms."),
    GIVEN,
    ...ATTACHED,
    at(2980, quiet),
    at(3000, { sends: [close("IDLE")], next: "same" }),
  ),
  device(
    named("SES-10", "idle-counts-from-the-last-frame", "Whatever is heard starts the time anew."),
    GIVEN,
    ...ATTACHED,
    at(2000, when(ping(1, 3), { pong: { id: 1 } })),
    at(4980, quiet),
    at(5000, { sends: [close("IDLE")], next: "same" }),
  ),
  device(
    named("SES-1", "no-welcome", "The handshake is not complete in time."),
    GIVEN,
    linked(),
    at(980, quiet),
    at(1000, { sends: [close("TOO_SLOW")], next: "after-delay" }),
  ),
  ...(
    [
      ["pong", "pong", 4n],
      ["ping", "ping", 4n],
      ["ping-2-32", "ping", 2n ** 32n + 3n],
      ["ping-2-53-1", "ping", 2n ** 53n - 1n],
    ] as const
  ).map(([name, kind, sentThrough]) =>
    device(
      named("SES-15 P12 P31", `${name}-tells-of-a-loss`, "The service has sent what never came."),
      GIVEN,
      ...ATTACHED,
      {
        ...when(frame(kind, { id: 1, sentThrough: String(sentThrough) }), close("SEQUENCE_GAP")),
        may_send: ["pong"],
        next: "same",
      },
    ),
  ),
];

const closed = (ids: string, code: string | number, next: NonNullable<DeviceStep["next"]>) => {
  const name = String(code).toLowerCase().replaceAll("_", "-");
  const json = typeof code === "string" ? `ERROR_CODE_${code}` : code;
  return device(
    named(ids, `closed-${name}`, `The service closes with ${code}: nothing more is sent.`),
    GIVEN,
    ...ATTACHED,
    { ...when(frame("close", { code: json })), next },
    { submit_hex: [op(4)], sends: [] },
  );
};

const ENDING: readonly DeviceVector[] = [
  closed("SES-8 SES-17 P11", "SUPERSEDED", "never"),
  closed("SES-17", "OUTBOX_EPOCH_STALE", "never"),
  closed("SES-17", "TOKEN_EXPIRED", "never"),
  closed("SES-17 SES-18", "ATTACH_OVERTAKEN", "same"),
  closed("SES-17", "AGED", "same"),
  closed("SES-17", "DRAINED", "after-delay"),
  closed("SES-17", "STORE_UNAVAILABLE", "after-delay"),
  closed("ERR-3", 9999, "after-delay"),
  closed("ERR-3", 0, "after-delay"),
  device(
    named("SES-17 RES-7", "refused-hello", "Close comes in place of Welcome."),
    GIVEN,
    linked(),
    { ...when(frame("close", { code: "ERROR_CODE_CURSOR_AHEAD" })), next: "never" },
  ),
  device(
    named("SES-14 P4", "drained", "What is handled is acknowledged before the link closes."),
    GIVEN,
    ...ATTACHED,
    { ...when(deliver(4)), events: [4] },
    {
      ...when(frame("drain", { slotMs: 20, graceMs: 500 }), close("GOODBYE")),
      acknowledged: { delivered_through: 4 },
    },
    linked({ cursor: [7, 4] }),
  ),
  device(
    named(
      "SES-14 SEQ-11",
      "drained-unhandled",
      "What is not handled is not acknowledged even then.",
    ),
    WAITING,
    ...ATTACHED,
    { ...when(deliver(4, 5)), events: [4, 5] },
    { handles: 4, sends: [] },
    {
      ...when(frame("drain", { slotMs: 20, graceMs: 500 }), close("GOODBYE")),
      acknowledged: { delivered_through: 4 },
    },
    linked({ cursor: [7, 4] }),
  ),
  device(
    named(
      "LNK-14 SES-14",
      "left",
      "The application closes: the last acknowledgement, Close, no more.",
    ),
    GIVEN,
    ...ATTACHED,
    { ...when(submitAck(2, 2)), results: [told(2, "ok")] },
    { closes: true, sends: [close("GOODBYE")], acknowledged: { results_through: 2 } },
    when(deliver(4)),
    { submit_hex: [op(4)], sends: [] },
  ),
  device(
    named("RPC-7", "reply-to-nothing", "A reply where nothing was asked."),
    GIVEN,
    ...ATTACHED,
    when(frame("reply", { id: "1" }), close("ACK_BEYOND_SENT")),
  ),
  device(
    named("FRM-3", "too-large", "A frame larger than Welcome said."),
    GIVEN,
    linked(),
    when(
      welcome({ limits: { frameBytes: 1000, contentBytes: 100, calls: 16 } }),
      READY,
      submitted(2, op(2)),
      submitted(3, op(3)),
    ),
    when(raw(varint(1001)), close("FRAME_TOO_LARGE")),
  ),
  device(
    named("FRM-3", "too-large-before-welcome", "A frame larger than 262,144 bytes."),
    GIVEN,
    linked(),
    when(raw(varint(262_145)), close("FRAME_TOO_LARGE")),
  ),
  device(
    named("FRM-2", "length-in-long-form", "The length 4 written in two bytes."),
    GIVEN,
    ...ATTACHED,
    when(raw([0x84, 0x00]), close("LENGTH_INVALID")),
  ),
];

export const DEVICE_SEQUENCING: readonly DeviceVector[] = [
  ...RESULTS,
  ...WINDOWS,
  ...LIMITED,
  ...DELIVERING,
  ...PINGS,
  ...ENDING,
];
