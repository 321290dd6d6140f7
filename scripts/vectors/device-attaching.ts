import { frame, named } from "./builder.ts";
import {
  ATTACHED,
  close,
  type DeviceStep,
  type DeviceVector,
  deliver,
  device,
  EMPTY,
  GIVEN,
  linked,
  op,
  READY,
  result,
  submitted,
  told,
  welcome,
  welcomeWithout,
  when,
} from "./device.ts";

const cut: DeviceStep = { cut: true, sends: [] };
const telling = (step: DeviceStep, ...results: readonly ReturnType<typeof told>[]): DeviceStep => ({
  ...step,
  results,
});
const BOTH = [submitted(2, op(2)), submitted(3, op(3))];

const OUTBOXES: readonly DeviceVector[] = [
  device(
    named("SEQ-7 SES-7", "repeats", "What Welcome does not cover goes up again, the same bytes."),
    GIVEN,
    ...ATTACHED,
  ),
  device(
    named("SEQ-7 RES-14 P9 P20", "repeats-often", "On each link again, under the same numbers."),
    GIVEN,
    ...ATTACHED,
    cut,
    ...ATTACHED,
    cut,
    ...ATTACHED,
  ),
  device(
    named(
      "SEQ-7 P19",
      "repeats-the-rest",
      "What Welcome covers has its result and is not sent again.",
    ),
    GIVEN,
    linked(),
    telling(
      when(
        welcome({
          outbox: { epoch: "2", through: "2", resultsThrough: "1", results: [result(2)] },
        }),
        READY,
        submitted(3, op(3)),
      ),
      told(2, "ok"),
    ),
  ),
  device(
    named("SEQ-7 SEQ-4 P19", "repeats-nothing", "Welcome covers all: chapter 5's example."),
    GIVEN,
    linked(),
    telling(
      when(
        welcome({
          outbox: { epoch: "2", through: "3", resultsThrough: "1", results: [2, 3].map(result) },
        }),
        READY,
      ),
      told(2, "ok"),
      told(3, "ok"),
    ),
    { submit_hex: [op(4)], sends: [submitted(4, op(4))], acknowledged: { results_through: 3 } },
    cut,
    linked({ outbox: [2, 3, 5] }),
  ),
  device(
    named("RES-8 RES-9", "fresh", "A device that holds nothing."),
    EMPTY,
    linked({ outbox: [0, 0, 1], cursor: [0, 0] }),
    when(welcome({ outbox: { epoch: "1" } }), READY),
    { submit_hex: [op(1)], sends: [submitted(1, op(1))] },
    cut,
    linked({ outbox: [1, 0, 2], cursor: [7, 3] }),
  ),
  device(
    named(
      "SES-5 RES-9",
      "fresh-with-submits",
      "Without an epoch the outbox says 1, whatever waits.",
    ),
    { ...EMPTY, next: 3, pending_hex: [op(1), op(2)] },
    linked({ outbox: [0, 0, 1], cursor: [0, 0] }),
    when(welcome({ outbox: { epoch: "6" } }), READY, submitted(1, op(1)), submitted(2, op(2))),
    cut,
    linked({ outbox: [6, 0, 3] }),
  ),
  device(
    named("RES-11", "renumbers", "Under another epoch the pending submits are numbered from 1."),
    GIVEN,
    linked(),
    when(welcome({ outbox: { epoch: "3" } }), READY, submitted(1, op(2)), submitted(2, op(3))),
    { submit_hex: [op(4)], sends: [submitted(3, op(4))] },
    cut,
    linked({ outbox: [3, 0, 4] }),
  ),
  device(
    named("RES-12", "rolled-back", "The kept result of number 2 is of other content."),
    GIVEN,
    linked(),
    telling(
      when(
        welcome({
          outbox: {
            epoch: "2",
            through: "2",
            resultsThrough: "1",
            results: [{ ...result(2), digest: 7 }],
          },
        }),
        READY,
        submitted(3, op(3)),
      ),
      told(2, "rolled-back"),
    ),
  ),
  device(
    named("RES-12", "rolled-back-one-of-two", "The own result is told, the foreign one is not."),
    GIVEN,
    linked(),
    telling(
      when(
        welcome({
          outbox: {
            epoch: "2",
            through: "3",
            resultsThrough: "1",
            results: [result(2), { ...result(3), digest: 7 }],
          },
        }),
        READY,
      ),
      told(2, "ok"),
      told(3, "rolled-back"),
    ),
  ),
  device(
    named(
      "RES-12",
      "rolled-back-beyond",
      "Welcome covers more than this journal knows: go on above.",
    ),
    GIVEN,
    linked(),
    telling(
      when(welcome({ outbox: { epoch: "2", through: "5", resultsThrough: "5" } }), READY),
      told(2, "rolled-back"),
      told(3, "rolled-back"),
    ),
    { submit_hex: [op(4)], sends: [submitted(6, op(4))] },
  ),
];

/** A Welcome with another timeline and resume result than the usual. */
const resuming = (
  [epoch, floor, head]: readonly [number, number, number],
  cursor: number,
  outcome: object,
) =>
  welcome({
    timeline: { epoch: String(epoch), floor: String(floor), head: String(head) },
    resume: { cursor: String(cursor), ...outcome },
  });
const lost = (from: number, to: number) => ({
  lost: { from: String(from), to: String(to), reason: "LOST_REASON_RETENTION" },
});
const resumed = { resumed: {} };
const replaying = (count: number) => ({ replaying: { count: String(count) } });
const epochChanged = (oldEpoch: number) => ({ epochChanged: { oldEpoch: String(oldEpoch) } });

const CURSORS: readonly DeviceVector[] = [
  device(
    named("RES-3", "replayed", "Two events follow; the next Hello states the new cursor."),
    GIVEN,
    linked(),
    when(resuming([7, 1, 5], 3, replaying(2)), READY, ...BOTH),
    { ...when(deliver(4, 5)), events: [4, 5] },
    cut,
    linked({ cursor: [7, 5] }),
  ),
  device(
    named("RES-4 RES-6", "lost", "Events 4 to 6 are gone; deliveries begin at 7."),
    GIVEN,
    linked(),
    when(resuming([7, 7, 8], 6, lost(4, 6)), READY, ...BOTH),
    { ...when(deliver(7, 8)), events: [7, 8] },
    cut,
    linked({ cursor: [7, 8] }),
  ),
  device(
    named(
      "RES-4 RES-6",
      "lost-and-cut",
      "The cursor in force is durable, though nothing was delivered.",
    ),
    GIVEN,
    linked(),
    when(resuming([7, 7, 8], 6, lost(4, 6)), READY, ...BOTH),
    cut,
    linked({ cursor: [7, 6] }),
  ),
  device(
    named("RES-5 RES-6 P14", "epoch-changed", "Epoch and number are installed together."),
    GIVEN,
    linked(),
    when(resuming([8, 1, 2], 0, epochChanged(7)), READY, ...BOTH),
    cut,
    linked({ cursor: [8, 0] }),
    when(resuming([8, 1, 2], 0, replaying(2)), READY, ...BOTH),
    { ...when(deliver(1)), events: [1] },
    cut,
    linked({ cursor: [8, 1] }),
  ),
  device(
    named("RES-8", "from-the-floor", "Without a cursor, from where the service says."),
    EMPTY,
    linked({ outbox: [0, 0, 1], cursor: [0, 0] }),
    when(
      welcome({
        outbox: { epoch: "1" },
        timeline: { epoch: "7", floor: "5", head: "6" },
        resume: { cursor: "4", replaying: { count: "2" } },
      }),
      READY,
    ),
    { ...when(deliver(5, 6)), events: [5, 6] },
  ),
  device(
    named(
      "RES-15 SEQ-9",
      "handled-since-hello",
      "It comes again, is not told again, and acknowledged then.",
    ),
    { ...GIVEN, handles: "when-told", pending_hex: [], results_through: 3 },
    linked({ outbox: [2, 3, 4] }),
    when(welcome({ outbox: { epoch: "2", through: "3", resultsThrough: "3" } }), READY),
    { ...when(deliver(4)), events: [4] },
    cut,
    linked({ outbox: [2, 3, 4] }),
    { handles: 4, sends: [] },
    when(
      welcome({
        outbox: { epoch: "2", through: "3", resultsThrough: "3" },
        timeline: { epoch: "7", floor: "1", head: "4" },
        resume: { cursor: "3", replaying: { count: "1" } },
      }),
      READY,
    ),
    { at_ms: 500, sends: [], acknowledged: { delivered_through: 3 } },
    when(deliver(4)),
    { at_ms: 700, sends: [], acknowledged: { delivered_through: 4 } },
    cut,
    linked({ outbox: [2, 3, 4], cursor: [7, 4] }),
  ),
  device(
    named(
      "RES-15 RES-4",
      "handled-what-was-lost",
      "The cursor does not go back to where LOST says.",
    ),
    { ...GIVEN, handles: "when-told", pending_hex: [], results_through: 3 },
    linked({ outbox: [2, 3, 4] }),
    when(welcome({ outbox: { epoch: "2", through: "3", resultsThrough: "3" } }), READY),
    { ...when(deliver(4, 5)), events: [4, 5] },
    cut,
    linked({ outbox: [2, 3, 4] }),
    { handles: 5, sends: [] },
    when(
      welcome({
        outbox: { epoch: "2", through: "3", resultsThrough: "3" },
        timeline: { epoch: "7", floor: "5", head: "6" },
        resume: { cursor: "4", ...lost(4, 4) },
      }),
      READY,
    ),
    { ...when(deliver(5, 6)), events: [6] },
    cut,
    linked({ outbox: [2, 3, 4], cursor: [7, 5] }),
  ),
];

const untrue = (ids: string, name: string, received: ReturnType<typeof welcome>, given = GIVEN) =>
  device(
    named(ids, `welcome-untrue-${name}`, "A Welcome that cannot be true for this Hello."),
    given,
    given === GIVEN ? linked() : linked({ outbox: [0, 0, 1], cursor: [0, 0] }),
    when(received, close("FRAME_MALFORMED")),
  );
const outbox = (epoch: number, through: number, resultsThrough: number, ...results: object[]) =>
  welcome({
    outbox: {
      epoch: String(epoch),
      through: String(through),
      resultsThrough: String(resultsThrough),
      results,
    },
  });

const UNTRUE: readonly DeviceVector[] = [
  untrue("RES-1 RES-2", "resumed-elsewhere", resuming([7, 1, 3], 2, resumed)),
  untrue("RES-1 RES-2", "resumed-below-head", resuming([7, 1, 4], 3, resumed)),
  untrue("RES-1 RES-2 P14", "resumed-in-another-epoch", resuming([8, 1, 3], 3, resumed)),
  untrue("RES-1 RES-3", "replay-count", resuming([7, 1, 5], 3, replaying(1))),
  untrue("RES-1 RES-3", "replay-of-none", resuming([7, 1, 3], 3, { replaying: {} })),
  untrue("RES-1 RES-3", "replay-behind-the-cursor", resuming([7, 1, 5], 2, replaying(3))),
  untrue("RES-1 RES-3 P14", "replay-in-another-epoch", resuming([8, 1, 5], 3, replaying(2))),
  untrue("RES-1 RES-4", "lost-nothing", resuming([7, 4, 5], 3, lost(4, 3))),
  untrue("RES-1 RES-4", "lost-what-it-holds", resuming([7, 5, 6], 4, lost(3, 4))),
  untrue("RES-1 RES-4", "lost-not-all", resuming([7, 6, 7], 5, lost(4, 4))),
  untrue("RES-1 RES-4 P14", "lost-in-another-epoch", resuming([8, 6, 7], 5, lost(4, 5))),
  untrue("RES-1 RES-5 P14", "epoch-not-changed", resuming([7, 1, 3], 0, epochChanged(7))),
  untrue("RES-1 RES-5 P14", "epoch-changed-from-another", resuming([8, 1, 3], 0, epochChanged(6))),
  untrue("RES-1", "no-outcome", resuming([7, 1, 3], 3, {})),
  untrue("RES-1", "cursor-above-head", resuming([8, 1, 3], 4, epochChanged(7))),
  untrue("RES-1", "cursor-below-floor", resuming([8, 3, 5], 1, epochChanged(7))),
  untrue("RES-6 RES-8", "no-epoch", resuming([0, 1, 3], 3, resumed), EMPTY),
  untrue("SEQ-4 RES-12", "results-missing", outbox(2, 2, 1)),
  untrue("SEQ-4 RES-12", "results-too-many", outbox(2, 2, 1, result(2), result(3))),
  untrue("RES-13", "through-below-results", outbox(2, 0, 0)),
  untrue("RES-9", "epoch-below", outbox(1, 0, 0)),
  untrue("RES-9", "epoch-none", outbox(0, 0, 0)),
  untrue("RES-9", "epoch-new-with-submits", outbox(3, 1, 1)),
  untrue("SES-11 P28", "timers", welcome({ timers: { keepaliveMs: 1500, idleMs: 3000 } })),
  untrue("SES-11", "no-idle", welcome({ timers: { keepaliveMs: 1000 } })),
  untrue("SES-11", "no-keepalive", welcome({ timers: { idleMs: 3000 } })),
  untrue("SES-3", "version-above", welcome({ version: 2 })),
  untrue("SES-3", "version-0", welcome({ version: 0 })),
  ...(["outbox", "timeline", "resume", "timers", "submitWindow", "limits"] as const).map((member) =>
    untrue("RES-1", `without-${member.toLowerCase()}`, welcomeWithout(member)),
  ),
];

const PHASES: readonly DeviceVector[] = [
  device(
    named("FRM-8 SES-7", "deliver-before-welcome", "Nothing comes before Welcome."),
    GIVEN,
    linked(),
    when(deliver(4), close("FRAME_WRONG_PHASE")),
  ),
  device(
    named("FRM-8", "welcome-twice", "Welcome comes once."),
    GIVEN,
    ...ATTACHED,
    when(welcome(), close("FRAME_WRONG_PHASE")),
  ),
  device(
    named("FRM-7", "submit-from-service", "Only a device submits."),
    GIVEN,
    ...ATTACHED,
    when(frame("submit", { seq: "1", operation: "AQ==" }), close("FRAME_WRONG_SENDER")),
  ),
  device(
    named("FRM-7", "hello-from-service", "Only a device says Hello."),
    GIVEN,
    linked(),
    when(frame("hello", { versionMin: 1 }), close("FRAME_WRONG_SENDER")),
  ),
  device(
    named("FRM-5 P31", "welcome-head-2-53", "A counter above 2^53-1."),
    GIVEN,
    linked(),
    when(
      welcome({ timeline: { epoch: "7", head: "9007199254740992", floor: "1" } }),
      close("COUNTER_OUT_OF_RANGE"),
    ),
  ),
  device(
    named(
      "SES-2 SEQ-7",
      "nothing-before-welcome",
      "What the application submits waits for Welcome.",
    ),
    { ...GIVEN, pending_hex: [], results_through: 3 },
    linked({ outbox: [2, 3, 4] }),
    { submit_hex: [op(4)], sends: [] },
    when(
      welcome({ outbox: { epoch: "2", through: "3", resultsThrough: "3" } }),
      READY,
      submitted(4, op(4)),
    ),
  ),
];

export const DEVICE_ATTACHING: readonly DeviceVector[] = [
  ...OUTBOXES,
  ...CURSORS,
  ...UNTRUE,
  ...PHASES,
];
