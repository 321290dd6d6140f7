import { ERROR_RULES } from "../../gen/posthorn/v1/error_rules.ts";
import type { Frame } from "../../protocol/frames.ts";

/** A frame in one line, for a person to read. */
export function frameText(frame: Frame): string {
  switch (frame.kind) {
    case "hello": {
      const { outbox, cursor } = frame.value;
      const out = `outbox ${outbox?.epoch}:${outbox?.next}, results ${outbox?.resultsThrough}`;
      return `Hello ${out}, cursor ${cursor?.epoch}:${cursor?.seq}`;
    }
    case "welcome": {
      const { generation, outbox, timeline, resume } = frame.value;
      const out = `outbox ${outbox?.epoch}:${outbox?.through}, results ${outbox?.resultsThrough}`;
      const bounds = `timeline ${timeline?.epoch}:${timeline?.floor}..${timeline?.head}`;
      const outcome = `${resume?.outcome.case} at ${resume?.cursor}`;
      return `Welcome generation ${generation}, ${out}, ${bounds}, ${outcome}`;
    }
    case "submit":
      return `Submit ${frame.value.seq} (${frame.value.operation.length} bytes)`;
    case "submitAck": {
      const { through, results } = frame.value;
      return `SubmitAck ${through} [${results.map(({ code }) => codeText(code)).join(" ")}]`;
    }
    case "deliver":
      return `Deliver ${frame.value.seq} (${frame.value.event.length} bytes)`;
    case "index": {
      const { firstSeq, seq, conversations, events } = frame.value;
      const told = `${conversations.length} conversations, ${events.length} events`;
      return `Index ${firstSeq} to ${seq} (${told})`;
    }
    case "ack": {
      const { deliveredThrough, resultsThrough } = frame.value;
      return `Ack deliveries ${deliveredThrough}, results ${resultsThrough}`;
    }
    case "ping":
    case "pong": {
      const { id, sentThrough } = frame.value;
      return `${frame.kind === "ping" ? "Ping" : "Pong"} ${id}, sent ${sentThrough}`;
    }
    case "close":
      return `Close ${codeText(frame.value.code)} ${frame.value.requirement}`;
    case "drain":
      return `Drain, slot ${frame.value.slotMs} ms`;
    case "call":
      return `Call ${frame.value.id} ${frame.value.method}`;
    case "reply":
      return `Reply ${frame.value.id} ${codeText(frame.value.code)}`;
    case "signal":
      return `Signal ${frame.value.kind.case}`;
    case "hints": {
      const { typing, presence, heads } = frame.value;
      return `Hints: ${typing.length} typing, ${presence.length} presence, ${heads.length} heads`;
    }
    case "ready":
      return "Ready";
    case "credit":
      return `Credit ${frame.value.window?.count}, ${frame.value.window?.bytes} bytes`;
  }
}

/** The schema's name of a code; "ok" for none. */
export function codeText(code: number): string {
  return code === 0 ? "ok" : (ERROR_RULES.get(code)?.name ?? String(code));
}
