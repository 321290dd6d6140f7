import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type { DialledLink } from "../protocol/link.ts";
import type { ClientSession } from "../protocol/session/client.ts";
import type { Credential } from "../protocol/session/welcome.ts";
import { sleep } from "./sleep.ts";
import type { SteadyClock } from "./steady-clock.ts";

/** What a link is tried with. */
export interface Trial {
  /** Used for nothing else; {@link ClientSession.forTrial}. */
  readonly session: ClientSession;
  readonly credential: Credential;
  readonly clock: SteadyClock;
  /** Ends the trial: nobody wants to know any more. */
  readonly signal: AbortSignal;
}

/**
 * Whether the service answers on a fresh link: sends Hello, waits for a true Welcome and leaves
 * before Ready, so that no attachment is disturbed. The link is closed then. Never throws. [LNK-15]
 * [SES-18]
 */
export async function serviceAnswers(link: DialledLink, trial: Trial): Promise<boolean> {
  const { session, credential, clock, signal } = trial;
  const over = new AbortController();
  let answered = false;
  const pump = () => {
    for (const effect of session.effects(clock.nowMs())) {
      if (effect.kind === "write") link.write(effect.bytes);
      if (effect.kind === "close") over.abort();
      if (effect.kind === "install") {
        answered = true;
        leave();
      }
    }
  };
  const leave = () => {
    session.close(ErrorCode.GOODBYE);
    pump();
  };
  const received = (bytes: Uint8Array) => {
    session.received(bytes, clock.nowMs());
    pump();
  };
  session.linked(credential, clock.nowMs());
  link.start({ received, drained: () => {}, closed: () => over.abort() });
  pump();
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  while (!over.signal.aborted) {
    const waitMs = Math.max(0, session.deadlineMs() - clock.nowMs());
    await sleep(waitMs, over.signal).catch(() => {});
    session.elapsed(clock.nowMs());
    pump();
  }
  signal.removeEventListener("abort", leave);
  link.close(ErrorCode.GOODBYE);
  return answered;
}
