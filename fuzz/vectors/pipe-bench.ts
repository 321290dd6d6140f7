import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { LongPollLink } from "../../server/links/longpoll-link.ts";
import { Alarms, TICK_MS } from "../../server/sessions/alarms.ts";
import { codeText } from "../sim/frame-text.ts";
import { hexOf } from "./frames.ts";

/** As byte-pipe.json states it. */
export interface PipeSetup {
  readonly hold_ms: number;
  readonly coalesce_ms: number;
  readonly idle_ms: number;
  readonly poll_bytes_max: number;
  readonly send_bytes_max: number;
}

/** The service's half of a long-poll link over a clock by hand. */
export class PipeBench {
  readonly #link: LongPollLink;
  readonly #cancels = new Map<string, () => void>();
  #answers: Record<string, object> = {};
  #nowMs = 0;
  #ring: (() => void) | undefined;
  #up = "";

  constructor(setup: PipeSetup) {
    const alarms = new Alarms({
      nowMs: () => this.#nowMs,
      timer: (_, ring) => {
        this.#ring = ring;
        return () => {};
      },
    });
    this.#link = new LongPollLink(
      {
        peer: "bench",
        holdMs: setup.hold_ms,
        coalesceMs: setup.coalesce_ms,
        pollBytesMax: setup.poll_bytes_max,
      },
      {
        holdMs: setup.hold_ms,
        coalesceMs: setup.coalesce_ms,
        idleMs: setup.idle_ms,
        sendBytesMax: setup.send_bytes_max,
        pollBytesMax: setup.poll_bytes_max,
        bufferBytesMax: 1024,
        linksMax: 1,
        linksPerPeerMax: 1,
      },
      alarms,
      () => {},
    );
    this.#link.start({
      received: (bytes) => {
        this.#up += hexOf(bytes);
      },
      drained: () => {},
      closed: () => {},
    });
  }

  write(bytes: Uint8Array): void {
    this.#link.write(bytes);
  }

  end(): void {
    this.#link.close(ErrorCode.GOODBYE);
  }

  send(offset: bigint, data: Uint8Array): object {
    const outcome = this.#link.sent(Number(offset), data);
    if (typeof outcome !== "number") return { fails: codeText(outcome.code) };
    return { received_offset: outcome };
  }

  poll(name: string, receivedOffset: bigint): void {
    const cancel = this.#link.polled(Number(receivedOffset), (outcome) => {
      this.#answers[name] =
        "code" in outcome
          ? { fails: codeText(outcome.code) }
          : {
              offset: outcome.offset,
              data_hex: hexOf(outcome.data),
              ...(outcome.ended ? { ended: true } : {}),
            };
    });
    this.#cancels.set(name, cancel);
  }

  cut(name: string): void {
    this.#cancels.get(name)?.();
  }

  passUntil(atMs: number): void {
    while (this.#nowMs < atMs) {
      this.#nowMs = Math.min(atMs, this.#nowMs + TICK_MS);
      this.#ring?.();
    }
  }

  /** The polls that were answered since the last call. */
  takeAnswers(): Readonly<Record<string, object>> {
    const answers = this.#answers;
    this.#answers = {};
    return answers;
  }

  /** All that the session received. */
  async received(): Promise<string> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#up;
  }
}
