import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { assert } from "../../protocol/violation.ts";
import { cuts, mutations, openingPieces, pieces } from "../links/drawn-traffic.ts";
import { FrameLog } from "../links/frame-log.ts";
import { judged } from "../links/judged.ts";
import { Rig } from "../links/rig.ts";
import { StreamRules } from "../links/stream-rules.ts";
import { bytesOf, helloBytes, type Mutation, mutated, type Piece } from "../links/traffic.ts";
import type { Leaving } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

interface Traffic {
  /** "joining": Welcome has come before these bytes are sent. */
  readonly phase: "opening" | "joining";
  readonly pieces: readonly Piece[];
  readonly mutations: readonly Mutation[];
  readonly cuts: readonly number[];
  /** What the device does when it has sent all: "stay" sees how the link ends. */
  readonly ending: Leaving | "stay" | "wait";
}

/** The length of a frame that never comes. */
const FRAME_BEGUN = Uint8Array.of(32);

const CODES = [
  ErrorCode.LENGTH_INVALID,
  ErrorCode.FRAME_TOO_LARGE,
  ErrorCode.FRAME_MALFORMED,
  ErrorCode.COUNTER_OUT_OF_RANGE,
  ErrorCode.FRAME_WRONG_SENDER,
  ErrorCode.FRAME_WRONG_PHASE,
  ErrorCode.TOO_SLOW,
  ErrorCode.VERSION_UNSUPPORTED,
  ErrorCode.HELLO_INVALID,
  ErrorCode.TIMERS_IMPOSSIBLE,
  ErrorCode.ACK_BEYOND_SENT,
  ErrorCode.SEQUENCE_GAP,
  ErrorCode.SUBMIT_CONFLICT,
  ErrorCode.CREDIT_EXCEEDED,
];

async function play(rig: Rig, traffic: Traffic, seen: Seen): Promise<void> {
  const sender = { userId: rig.freshUser(), deviceId: "d" };
  const { phase } = traffic;
  const log = new FrameLog();
  const wire = await rig.doors.wire((bytes) => log.take(bytes));
  if (phase === "joining") {
    wire.write(Buffer.concat([PREFACE, helloBytes(sender)]));
    await wire.changes.until(() => log.last("welcome") !== undefined, "Welcome");
  }
  const epoch = log.last("welcome")?.outbox?.epoch ?? 0;
  const rules = new StreamRules(phase);
  const whole = mutated(bytesOf(traffic.pieces, sender), traffic.mutations);
  const bytes = traffic.ending === "wait" ? Buffer.concat([whole, FRAME_BEGUN]) : whole;
  rules.take(bytes);
  await wire.writeCut(phase === "joining" ? bytes : Buffer.concat([PREFACE, bytes]), traffic.cuts);
  if (traffic.ending === "wait" && rules.isUnfinished) {
    await wire.untilEnded("the end of a link whose frame does not end");
    rules.late();
  }
  if (traffic.ending === "stay" || traffic.ending === "wait") {
    const link = {
      log,
      changes: wire.changes,
      get isOver() {
        return wire.ended;
      },
      send: (more: Uint8Array) => wire.write(more),
    };
    await judged(link, rules, seen);
  } else {
    wire.leave(traffic.ending);
    seen(traffic.ending);
    if (traffic.ending === "finish") await wire.untilEnded("the service's end of a finished link");
  }
  if (epoch > 0) await keepsWhatItAcknowledged(rig, { sender, epoch, log, rules });
}

interface Left {
  readonly sender: { readonly userId: string; readonly deviceId: string };
  readonly epoch: number;
  readonly log: FrameLog;
  readonly rules: StreamRules;
}

/** However the link ended: what it acknowledged is there, and nothing that was not sent. [SEQ-3] */
async function keepsWhatItAcknowledged(rig: Rig, { sender, epoch, log, rules }: Left) {
  const again = new FrameLog();
  const wire = await rig.doors.wire((bytes) => again.take(bytes));
  const sent = Number(rules.receivedThrough);
  const outbox = { epoch, resultsThrough: 0, next: sent + 1 };
  wire.write(Buffer.concat([PREFACE, helloBytes(sender, { outbox })]));
  await wire.changes.until(() => again.frames.length > 0, "Welcome");
  const through = again.last("welcome")?.outbox?.through;
  const acked = log.last("submitAck")?.through ?? 0;
  assert(through !== undefined, `the device comes back, not ${codeText(again.close?.code ?? 0)}`);
  const text = `submits through ${through}; ${acked} were acknowledged, ${sent} sent [SEQ-3]`;
  assert(acked <= through && through <= sent, text);
}

/** Bytes on a raw link, right, wrong and anything, cut anywhere. */
export const linkFraming = property<Traffic>({
  name: "link-framing",
  title:
    "[FRM-1] [FRM-2] [FRM-3] [FRM-4] [FRM-5] [FRM-6] [FRM-7] [FRM-8] [SES-2] [SES-5] [LNK-14] " +
    "whatever bytes come over TCP, a link ends with the code that the rules name (P8, P31, P32)",
  smokeRuns: 150,
  kinds: [...CODES.map(codeText), "goodbye", "open", "destroy", "reset", "finish"],
  arbitrary: fc
    .constantFrom("opening" as const, "joining" as const, "joining" as const)
    .chain((phase) =>
      fc.record({
        phase: fc.constant(phase),
        pieces:
          phase === "opening"
            ? openingPieces
            : pieces.map((rest): Piece[] => [{ kind: "ready" }, ...rest]),
        mutations,
        cuts,
        ending: fc.oneof(
          { weight: 800, arbitrary: fc.constant("stay" as const) },
          { weight: 1, arbitrary: fc.constant("wait" as const) },
          { weight: 100, arbitrary: fc.constantFrom<Leaving[]>("destroy", "reset", "finish") },
        ),
      }),
    ),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (traffic) => rig.run(() => play(rig, traffic, seen)),
      stop: () => rig.stop(),
    };
  },
});
