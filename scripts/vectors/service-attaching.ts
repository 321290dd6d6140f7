import {
  bytesField,
  contentOf,
  delimited,
  field,
  frame,
  named,
  raw,
  type VectorFrame,
  varint,
} from "./builder.ts";
import {
  ATTACHED,
  ack,
  acked,
  close,
  delivered,
  FRESH,
  hello,
  helloWithout,
  KNOWN,
  NOTHING,
  ready,
  result,
  type ServiceGiven,
  type ServiceVector,
  service,
  submit,
  welcome,
  when,
} from "./service.ts";

const timeline = (floor: number, head: number): ServiceGiven => ({
  ...KNOWN,
  timeline: { epoch: 7, floor, head },
});
const at = (seq: number | bigint, epoch = 7) =>
  hello({ cursor: { epoch: String(epoch), seq: String(seq) } });
const outbox = (epoch: number | bigint, resultsThrough: number, next: number | bigint) => ({
  outbox: { epoch: String(epoch), resultsThrough: String(resultsThrough), next: String(next) },
});

const RESUMING: readonly ServiceVector[] = [
  service(
    named("RES-8 RES-9", "fresh", "A device and user that nobody knows."),
    NOTHING,
    when(
      hello(FRESH),
      welcome({ version: 1, generation: "1", outbox: { epoch: "1" }, resume: { resumed: {} } }),
    ),
    when(ready),
    when(submit(1), acked(1), ...delivered(1)),
  ),
  service(
    named("RES-2 SEQ-4", "resumed", "The cursor is the head; the kept result comes with Welcome."),
    KNOWN,
    when(
      hello(),
      welcome({
        generation: "5",
        outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [result(2)] },
        timeline: { epoch: "7", head: "3", floor: "1" },
        resume: { cursor: "3", resumed: {} },
        userId: "alice",
      }),
    ),
    when(ready),
  ),
  service(
    named("RES-2 P12", "resumed-empty", "A timeline without an event."),
    timeline(1, 0),
    when(at(0), welcome({ timeline: { epoch: "7", floor: "1" }, resume: { resumed: {} } })),
    when(ready),
    when(submit(3), acked(3), ...delivered(1)),
  ),
  service(
    named("RES-3 SEQ-10 SES-7", "replaying", "Two events follow, and not before Ready."),
    KNOWN,
    when(at(1), welcome({ resume: { cursor: "1", replaying: { count: "2" } } })),
    when(ready, ...delivered(2, 3)),
  ),
  service(
    named("RES-3", "replaying-from-the-floor", "The first event held is the next: none is lost."),
    timeline(3, 5),
    when(at(2), welcome({ resume: { cursor: "2", replaying: { count: "3" } } })),
    when(ready, ...delivered(3, 4, 5)),
  ),
  service(
    named("RES-4", "lost", "Retention removed what follows the cursor."),
    timeline(3, 3),
    when(
      at(1),
      welcome({
        resume: { cursor: "2", lost: { from: "2", to: "2", reason: "LOST_REASON_RETENTION" } },
      }),
    ),
    when(ready, ...delivered(3)),
  ),
  service(
    named("RES-4", "lost-all", "Retention removed everything: the floor is above the head."),
    timeline(4, 3),
    when(
      at(1),
      welcome({
        timeline: { head: "3", floor: "4" },
        resume: { cursor: "3", lost: { from: "2", to: "3", reason: "LOST_REASON_RETENTION" } },
      }),
    ),
    when(ready),
    when(submit(3), acked(3), ...delivered(4)),
  ),
  service(
    named("RES-2", "resumed-all-removed", "Nothing is held any more, and nothing was missed."),
    timeline(4, 3),
    when(at(3), welcome({ resume: { cursor: "3", resumed: {} } })),
  ),
  service(
    named("RES-5 P14", "epoch-changed", "The cursor is of another epoch: from the floor."),
    timeline(2, 3),
    when(
      at(3, 6),
      welcome({
        timeline: { epoch: "7" },
        resume: { cursor: "1", epochChanged: { oldEpoch: "6" } },
      }),
    ),
    when(ready, ...delivered(2, 3)),
  ),
  service(
    named("RES-5 RES-7 P14", "epoch-changed-ahead", "Numbers of another epoch are never ahead."),
    KNOWN,
    when(at(9, 8), welcome({ resume: { epochChanged: { oldEpoch: "8" } } })),
  ),
  ...(
    [
      ["cursor-ahead", 4n],
      ["cursor-ahead-2-31", 2n ** 31n + 3n],
      ["cursor-ahead-2-32", 2n ** 32n + 3n],
      ["cursor-ahead-2-53-1", 2n ** 53n - 1n],
    ] as const
  ).map(([name, seq]) =>
    service(
      named("RES-7 P8 P31", name, "The cursor is above the head."),
      KNOWN,
      when(at(seq), close("CURSOR_AHEAD")),
    ),
  ),
  service(
    named("RES-7", "cursor-ahead-fences-nobody", "The refused attach disturbs nobody."),
    KNOWN,
    ...ATTACHED,
    { link: "b", ...when(at(4), close("CURSOR_AHEAD")) },
    when(submit(3), acked(3), ...delivered(4)),
  ),
  service(
    named("RES-8", "earliest", "Without a cursor, from the floor."),
    timeline(2, 3),
    when(
      hello({ cursor: { start: "CURSOR_START_EARLIEST" } }),
      welcome({ resume: { cursor: "1", replaying: { count: "2" } } }),
    ),
    when(ready, ...delivered(2, 3)),
  ),
  service(
    named("RES-8", "latest", "Without a cursor, after the head."),
    KNOWN,
    when(
      hello({ cursor: { start: "CURSOR_START_LATEST" } }),
      welcome({ resume: { cursor: "3", resumed: {} } }),
    ),
    when(ready),
  ),
];

const OUTBOXES: readonly ServiceVector[] = [
  service(
    named("RES-9", "epoch-asked", "Epoch 0 is granted a new one, above the known."),
    KNOWN,
    when(hello({ outbox: { next: "1" } }), welcome({ generation: "5", outbox: { epoch: "3" } })),
    when(ready),
    when(submit(1), acked(1), ...delivered(4)),
  ),
  service(
    named(
      "RES-9",
      "epoch-foreign",
      "An epoch that was not granted here is answered with one above.",
    ),
    KNOWN,
    when(hello(outbox(9, 4, 6)), welcome({ outbox: { epoch: "10" } })),
  ),
  service(
    named(
      "RES-9",
      "epoch-foreign-in-between",
      "Nor is one that a grant above a foreign one left out.",
    ),
    KNOWN,
    when(hello(outbox(9, 4, 6)), welcome({ outbox: { epoch: "10" } })),
    { cut: true, sends: [] },
    { link: "b", ...when(hello(outbox(5, 0, 1)), welcome({ outbox: { epoch: "11" } })) },
  ),
  service(
    named("RES-9", "epoch-granted-twice", "A granted epoch is not granted again, attached or not."),
    KNOWN,
    when(hello({ outbox: { next: "1" } }), welcome({ outbox: { epoch: "3" } })),
    { cut: true, sends: [] },
    { link: "b", ...when(hello({ outbox: { next: "1" } }), welcome({ outbox: { epoch: "4" } })) },
  ),
  service(
    named("RES-9", "epoch-stays-granted", "A granted epoch under which the device never attached."),
    KNOWN,
    when(hello({ outbox: { next: "1" } }), welcome({ outbox: { epoch: "3" } })),
    { cut: true, sends: [] },
    { link: "b", ...when(hello(outbox(3, 0, 2)), welcome({ outbox: { epoch: "3" } })) },
    { link: "b", ...when(ready) },
    { link: "b", ...when(submit(1), acked(1), ...delivered(4)) },
  ),
  service(
    named("RES-10", "epoch-stale", "An epoch that is over."),
    KNOWN,
    when(hello(outbox(1, 0, 1)), close("OUTBOX_EPOCH_STALE")),
  ),
  service(
    named("RES-13 P8", "results-ahead", "Results are claimed that were never given."),
    KNOWN,
    when(hello(outbox(2, 3, 4)), close("ACK_BEYOND_SENT")),
  ),
  service(
    named("RES-13 SEQ-8", "results-claimed", "Results that are durable there need not be kept."),
    KNOWN,
    when(
      hello(outbox(2, 2, 3)),
      welcome({ outbox: { through: "2", resultsThrough: "2", results: [] } }),
    ),
  ),
  service(
    named("RES-12", "journal-rolled-back", "The device would give out number 2 again."),
    KNOWN,
    when(
      hello(outbox(2, 1, 2)),
      welcome({ outbox: { through: "2", resultsThrough: "1", results: [result(2)] } }),
    ),
  ),
  service(
    named(
      "RES-12",
      "journal-rolled-back-far",
      "Results that are not held any more are not made up.",
    ),
    KNOWN,
    when(
      hello(outbox(2, 0, 1)),
      welcome({ outbox: { through: "2", resultsThrough: "1", results: [result(2)] } }),
    ),
  ),
  service(
    named("RES-14 P9", "resumed-often", "Nothing is counted by resuming, whatever the link."),
    KNOWN,
    ...["a", "b", "c"].flatMap((link, index) => [
      {
        link,
        ...when(
          hello(),
          welcome({
            generation: String(5 + index),
            outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [result(2)] },
            resume: { cursor: "3", resumed: {} },
          }),
        ),
      },
      { link, ...when(ready) },
      { link, cut: true as const, sends: [] },
    ]),
  ),
];

/** Login keys that nobody may register: lengths, and points that are none or anybody's. [ENV-31] */
const LOGIN_KEYS: readonly (readonly [string, string])[] = [
  ["short-key", "58".padEnd(62, "66")],
  ["key-of-order-1", "01".padEnd(64, "0")],
  ["key-of-order-4", "".padEnd(64, "0")],
  ["key-of-order-8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
  ["key-above-the-field", "ed".padEnd(62, "f").concat("7f")],
];
const SECRET = Buffer.alloc(32, 7).toString("base64");

const invalid = (name: string, receive: VectorFrame) =>
  service(
    named("SES-5", `hello-${name}`, "A Hello that breaks a rule."),
    KNOWN,
    when(receive, close("HELLO_INVALID")),
  );
const valid = (ids: string, name: string, part: object) =>
  service(
    named(ids, `hello-${name}`, "A Hello just within a rule."),
    KNOWN,
    when(hello(part), welcome({ version: 1 })),
  );
const timers = (name: string, keepaliveMs: number, idleMs: number, ageMs = 0) =>
  service(
    named("SES-11 SES-12 P28", `timers-${name}`, "Timers that cannot work together."),
    KNOWN,
    when(hello({ timers: { keepaliveMs, idleMs, ageMs } }), close("TIMERS_IMPOSSIBLE")),
  );
const granted = (name: string, asked: { keepaliveMs: number; idleMs: number; ageMs: number }) =>
  service(
    named("SES-11 P28", `timers-${name}`, "Timers that are granted as they are asked for."),
    KNOWN,
    when(hello({ timers: asked }), welcome({ timers: asked })),
  );

const HELLOS: readonly ServiceVector[] = [
  invalid("device-id-empty", hello({ deviceId: "" })),
  invalid("device-id-space", hello({ deviceId: "a b" })),
  invalid("device-id-65", hello({ deviceId: "x".repeat(65) })),
  invalid("device-id-letter", hello({ deviceId: "téléphone" })),
  invalid("user-id-empty", hello({ userId: "" })),
  invalid("user-id-65", hello({ userId: "x".repeat(65) })),
  invalid("user-id-slash", hello({ userId: "alice/bob" })),
  invalid("no-outbox", helloWithout("outbox")),
  invalid("no-cursor", helloWithout("cursor")),
  invalid("no-delivery-window", helloWithout("deliveryWindow")),
  invalid("next-0", hello({ outbox: { epoch: "2" } })),
  invalid("results-not-below-next", hello(outbox(2, 3, 3))),
  invalid("epoch-0-with-results", hello(outbox(0, 1, 2))),
  invalid("epoch-0-with-next", hello(outbox(0, 0, 2))),
  invalid("cursor-0-with-number", hello({ cursor: { seq: "1" } })),
  invalid("agent-129", hello({ agent: "x".repeat(129) })),
  invalid("token-8193", hello({ token: "x".repeat(8193) })),
  invalid("agent-130-in-65-letters", hello({ agent: "\u00e9".repeat(65) })),
  invalid("version-0", hello({ versionMin: 0 })),
  ...LOGIN_KEYS.map(([name, loginKey]) => {
    const key = Buffer.from(loginKey, "hex").toString("base64");
    const registration = { loginKey: key, registrationSecret: SECRET };
    return invalid(`registration-${name}`, hello({ token: "t", registration }));
  }),
  invalid("versions-reversed", hello({ versionMin: 2, versionMax: 1 })),
  valid("SES-5", "device-id-64", { deviceId: "A-z0_9.".padEnd(64, "x") }),
  valid("SES-5", "user-id-64", { ...FRESH, userId: "Z9._@+-".padEnd(64, "x") }),
  valid("SES-5", "agent-128", { agent: "x".repeat(128) }),
  valid("SES-5", "window-0", { deliveryWindow: {} }),
  valid("SES-5 FRM-5 P31", "next-2-53-1", outbox(2, 1, 2n ** 53n - 1n)),
  valid("SES-3", "versions-1-to-9", { versionMax: 9 }),
  service(
    named("SES-3", "version-2-only", "No common version."),
    KNOWN,
    when(hello({ versionMin: 2, versionMax: 2 }), close("VERSION_UNSUPPORTED")),
  ),
  service(
    named("FRM-5 P31", "hello-next-2-53", "A counter above 2^53-1."),
    KNOWN,
    when(hello(outbox(2, 1, 2n ** 53n)), close("COUNTER_OUT_OF_RANGE")),
  ),
  timers("keepalive-half-of-idle", 1500, 3000),
  timers("keepalive-above-idle", 4000, 3000),
  timers("age-at-idle", 1000, 3000, 3000),
  timers("idle-2-31", 1000, 2 ** 31),
  timers("age-2-31", 1000, 3000, 2 ** 31),
  granted("keepalive-below-half-of-idle", { keepaliveMs: 1499, idleMs: 3000, ageMs: 3001 }),
  service(
    named("SES-12", "timers-left-open", "Zeros leave the choice to the service."),
    KNOWN,
    when(hello({ timers: {} }), welcome({ timers: { keepaliveMs: 1000, idleMs: 3000 } })),
  ),
];

/** A Hello that an unknown field brings to a length. */
function paddedHello(length: number): VectorFrame {
  const content = contentOf(hello());
  // Tag and length of the kind take 3 bytes at these lengths, those of field 100 take 4.
  const padding = bytesField(100, Array(length - content.length - 7).fill(0));
  const bytes = bytesField(1, [...content, ...padding]);
  if (bytes.length !== length) throw new RangeError(`${bytes.length} bytes, not ${length}`);
  return raw(delimited(bytes));
}

const FIRST_FRAMES: readonly ServiceVector[] = [
  service(
    named("SES-1 FRM-8", "not-hello", "The first frame is another one."),
    KNOWN,
    when(ack(0, 0), close("FRAME_WRONG_PHASE")),
  ),
  service(
    named("FRM-4", "hello-16384-bytes", "As large as a frame may be before the attach."),
    KNOWN,
    when(paddedHello(16_384), welcome({ generation: "5" })),
  ),
  service(
    named("FRM-4", "hello-16385-bytes", "One byte more, refused by its length alone."),
    KNOWN,
    when(raw(varint(16_385)), close("FRAME_TOO_LARGE")),
  ),
  service(
    named("FRM-4", "large-before-ready", "What Welcome said holds only from Ready on."),
    KNOWN,
    when(hello(), welcome({ limits: { frameBytes: 262_144 } })),
    when(raw(varint(16_385)), close("FRAME_TOO_LARGE")),
  ),
  service(
    named(
      "FRM-3 FRM-4",
      "large-after-ready",
      "What follows Ready may be as large as Welcome said.",
    ),
    KNOWN,
    when(hello(), welcome({ limits: { frameBytes: 262_144 } })),
    when([ready, raw([...varint(262_144), 0x3a])]),
  ),
  service(
    named("FRM-3", "too-large-after-ready", "And no larger."),
    KNOWN,
    ...ATTACHED,
    when(raw(varint(262_145)), close("FRAME_TOO_LARGE")),
  ),
  service(
    named("FRM-2", "length-in-long-form", "The length 4 written in two bytes."),
    KNOWN,
    ...ATTACHED,
    when(raw([0x84, 0x00]), close("LENGTH_INVALID")),
  ),
  service(
    named("FRM-6", "unknown-kind", "Field 15 of Frame."),
    KNOWN,
    ...ATTACHED,
    when(raw(delimited(bytesField(15, field(1, 1)))), close("FRAME_MALFORMED")),
  ),
  service(named("SES-2 FRM-8", "hello-twice", "A second Hello behind the first."), KNOWN, {
    ...when([hello(), hello()], close("FRAME_WRONG_PHASE")),
    may_send: ["welcome"],
  }),
  service(named("SES-2 FRM-8", "submit-behind-hello", "A submit behind Hello."), KNOWN, {
    ...when([hello(), submit(3)], close("FRAME_WRONG_PHASE")),
    may_send: ["welcome"],
  }),
  service(named("SES-2 LNK-14", "close-behind-hello", "Only Close may follow Hello."), KNOWN, {
    ...when([hello(), frame("close", { code: "ERROR_CODE_GOODBYE" })]),
    may_send: ["welcome"],
  }),
  service(
    named("FRM-8", "submit-before-ready", "Submits wait for Ready."),
    KNOWN,
    when(hello(), welcome({})),
    when(submit(3), close("FRAME_WRONG_PHASE")),
  ),
  service(
    named("FRM-8", "ready-twice", "Ready comes once."),
    KNOWN,
    ...ATTACHED,
    when(ready, close("FRAME_WRONG_PHASE")),
  ),
  service(
    named("FRM-7", "deliver-from-device", "Only a service delivers."),
    KNOWN,
    ...ATTACHED,
    when(frame("deliver", { seq: "1", event: "AQ==" }), close("FRAME_WRONG_SENDER")),
  ),
  service(
    named("SES-6", "submits-behind-ready", "They wait until the attachment is in force."),
    KNOWN,
    when(hello(), welcome({ generation: "5" })),
    when([ready, submit(3), submit(4)], acked(3, 4), ...delivered(4, 5)),
  ),
];

export const ATTACHING: readonly ServiceVector[] = [
  ...RESUMING,
  ...OUTBOXES,
  ...HELLOS,
  ...FIRST_FRAMES,
];
