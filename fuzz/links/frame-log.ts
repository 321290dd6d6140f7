import type { FrameKind } from "../../gen/posthorn/v1/frame_rules.ts";
import { Delimiter } from "../../protocol/delimit.ts";
import type { Frame, FrameContents } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";
import { frameIn } from "../sim/frame-reader.ts";

/** More than any frame of a service. */
const FRAME_BYTES_MAX = 1 << 20;

/** The frames that came down one link. */
export class FrameLog {
  readonly frames: Frame[] = [];
  /** What the link was closed with. */
  close: FrameContents["close"] | undefined;
  /** Told of each frame as it comes. */
  listener: (frame: Frame) => void = () => {};
  readonly #delimiter = new Delimiter(FRAME_BYTES_MAX);

  take(bytes: Uint8Array): void {
    const fault = this.#delimiter.push(bytes, (from, at, end) => {
      assert(this.close === undefined, "nothing follows Close [LNK-14]");
      const frame = frameIn(from, { at, end }, "server");
      if (frame.kind === "close") this.close = frame.value;
      this.frames.push(frame);
      this.listener(frame);
      return true;
    });
    assert(fault === undefined, "the service keeps the rules of lengths [FRM-2]");
    assert(bytes.length === 0 || this.close === undefined || !this.#delimiter.unfinished, "whole");
  }

  /** What came is whole frames and nothing else. */
  get isWhole(): boolean {
    return !this.#delimiter.unfinished;
  }

  last<Kind extends FrameKind>(kind: Kind): FrameContents[Kind] | undefined {
    return this.frames.findLast((frame) => frame.kind === kind)?.value as
      | FrameContents[Kind]
      | undefined;
  }
}
