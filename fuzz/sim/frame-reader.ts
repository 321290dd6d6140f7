import { FRAME_RULES_BY_NUMBER, type FramePhase } from "../../gen/posthorn/v1/frame_rules.ts";
import { decodeFrame, type Frame, isViolation } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";

/** A frame that one of our machines wrote, whatever the phase it was written in. */
export function frameIn(
  from: Uint8Array,
  range: { readonly at: number; readonly end: number },
  sender: "client" | "server",
): Frame {
  const frame = decodeFrame(from, range, { sender, phase: phaseOf(from[range.at] as number) });
  assert(!isViolation(frame), "what a machine writes can be read");
  return frame;
}

/** A phase in which a frame of this tag may come. */
function phaseOf(tag: number): FramePhase {
  return FRAME_RULES_BY_NUMBER[tag >>> 3]?.phases[0] ?? "open";
}
