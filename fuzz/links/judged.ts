import { encodeFrame } from "../../protocol/frames.ts";
import { assert } from "../../protocol/violation.ts";
import type { Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";
import type { RawLink } from "./raw-link.ts";
import type { Ending, StreamRules } from "./stream-rules.ts";

/** One end of a link, as far as its ending is concerned. */
export type Judged = Pick<RawLink, "log" | "changes" | "isOver" | "send">;

const PING_ID = 4_242;

/**
 * Waits until a link has ended as its rules say, or goes on as they say, and is sure of it.
 *
 * @throws Error when it ends in another way, or neither ends nor goes on
 */
export async function judged(link: Judged, rules: StreamRules, seen: Seen): Promise<Ending> {
  const { log, changes } = link;
  const { endings } = rules;
  const isOver = () => log.close !== undefined || link.isOver;
  if (!endings.has("open")) await changes.until(isOver, `one of ${namesOf(endings)}`);
  else if (!rules.isUnfinished) await goesOn(link, rules, isOver);
  const ending = log.close?.code ?? (link.isOver ? "goodbye" : "open");
  assert(endings.has(ending), `ended with ${nameOf(ending)}, must be one of ${namesOf(endings)}`);
  if (ending !== "open") {
    await changes.until(() => link.isOver, "the end of the link after Close [LNK-14]");
    assert(log.isWhole, "the last frame is whole");
  }
  seen(nameOf(ending));
  return ending;
}

/** Says what makes a living session answer. */
async function goesOn(link: Judged, rules: StreamRules, isOver: () => boolean): Promise<void> {
  const { log, changes } = link;
  if (rules.phase === "opening") return;
  if (rules.phase === "helloed") {
    return await changes.until(() => log.last("welcome") !== undefined || isOver(), "Welcome");
  }
  if (rules.phase === "joining") link.send(encodeFrame({ kind: "ready", value: {} }));
  link.send(encodeFrame({ kind: "ping", value: { id: PING_ID, sentThrough: 0 } }));
  const isAnswered = () =>
    log.frames.some((frame) => frame.kind === "pong" && frame.value.id === PING_ID);
  await changes.until(() => isAnswered() || isOver(), "Pong, from a session that goes on");
}

function nameOf(ending: Ending): string {
  return typeof ending === "string" ? ending : codeText(ending);
}

function namesOf(endings: ReadonlySet<Ending>): string {
  return [...endings].map(nameOf).join(", ");
}
