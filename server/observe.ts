import { pino, stdTimeFunctions } from "pino";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { ERROR_RULES, errorRule } from "../gen/posthorn/v1/error_rules.ts";
import { SENSITIVE_FIELDS } from "../gen/posthorn/v1/sensitive_fields.ts";
import type { WebhookObserver } from "./backend/webhook.ts";
import type { Config } from "./config.ts";
import type { EnvelopeObserver } from "./envelope/door.ts";
import type { Metrics } from "./metrics.ts";
import type { SessionObserver } from "./sessions/driver.ts";

/** Structured logs: `at` names what happened as noun.participle, the rest is data. */
export interface Log {
  debug(at: string, data: object): void;
  info(at: string, data: object): void;
  warn(at: string, data: object): void;
  error(at: string, data: object): void;
}

export type LogLevel = Config["log"]["level"];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: Config["log"]["format"];
  /** Where lines go; standard error when undefined. */
  readonly destination?: NodeJS.WritableStream;
}

/**
 * Logs one line for each call, as JSON or for people. Members that the schema marks sensitive are
 * never written, however deep they lie; of errors only name, code, message, stack and cause are,
 * and of bytes only their number. [AUT-5]
 */
export function createLog({ level, format, destination = process.stderr }: LogOptions): Log {
  const formatters = {
    level: (label: string) => ({ level: label }),
    log: (data: object) => loggable(data, 0) as Record<string, unknown>,
  };
  // An error is data like any other; left alone, the library adds its text again as a message.
  const asData = { errorKey: "", serializers: { err: (err: unknown) => err } };
  const timestamp = stdTimeFunctions.isoTime;
  const shown = visible(destination);
  const stream = format === "json" ? shown : textLines(shown);
  const logger = pino({ level, base: null, timestamp, formatters, ...asData }, stream);
  return {
    debug: (at, data) => logger.debug({ at, ...data }),
    info: (at, data) => logger.info({ at, ...data }),
    warn: (at, data) => logger.warn({ at, ...data }),
    error: (at, data) => logger.error({ at, ...data }),
  };
}

/** What happens in sessions, as log lines and metrics. */
export function observeSessions(log: Log, metrics: Metrics): SessionObserver {
  return {
    attached: ({ device, generation, sessionId, link, agent }) => {
      metrics.add("posthorn_attaches_total", 1, link.kind);
      metrics.add("posthorn_sessions", 1, link.kind);
      const session = Buffer.from(sessionId).toString("hex");
      const { kind, peer } = link;
      log.info("session.attached", { ...device, generation, session, link: kind, peer, agent });
    },
    closed: ({ device, isAttached, link, because }) => {
      const { name } = errorRule(because.code);
      const { requirement, detail } = because;
      // A device closes with any number: those that nobody knows are one cause.
      const cause = ERROR_RULES.has(because.code) ? name : "UNKNOWN";
      metrics.add("posthorn_closes_total", 1, cause);
      if (requirement !== "") metrics.add("posthorn_violations_total", 1, requirement);
      if (isAttached) metrics.add("posthorn_sessions", -1, link.kind);
      const { kind, peer } = link;
      const data = { ...device, link: kind, peer, code: name, requirement, detail };
      log.info(isAttached ? "session.closed" : "link.closed", data);
    },
    committed: (count) => metrics.add("posthorn_submits_total", count),
    delivered: (count) => metrics.add("posthorn_deliveries_total", count),
    passed: (more) => {
      metrics.add("posthorn_signals_total", more.signalsHeard, "heard");
      metrics.add("posthorn_signals_total", more.signalsDropped, "dropped");
      metrics.add("posthorn_hints_total", more.hintsWritten, "written");
      metrics.add("posthorn_hints_total", more.hintsDropped, "dropped");
    },
    failed: (where, error) => {
      metrics.add("posthorn_failures_total", 1, where);
      log.error("session.failed", { where, err: error });
    },
  };
}

/** What a call was answered with, in metrics: of a closed set. */
export function answerName(code: ErrorCode): string {
  return code === ErrorCode.UNSPECIFIED ? "OK" : errorRule(code).name;
}

/** What happens to links before they have a session. */
export function observeEnvelope(log: Log, metrics: Metrics): EnvelopeObserver {
  return {
    established: ({ kind, peer }, { suite, linkId }) => {
      metrics.add("posthorn_sealed_links_total", 1, `0x${suite.toString(16).padStart(4, "0")}`);
      const id = Buffer.from(linkId).toString("hex");
      log.debug("link.sealed", { link: kind, peer, suite, linkId: id });
    },
    refused: ({ kind, peer }, { code, requirement, detail }) => {
      const { name } = errorRule(code);
      metrics.add("posthorn_closes_total", 1, ERROR_RULES.has(code) ? name : "UNKNOWN");
      if (requirement !== "") metrics.add("posthorn_violations_total", 1, requirement);
      log.info("link.closed", { link: kind, peer, code: name, requirement, detail });
    },
    failed: (where, error) => {
      metrics.add("posthorn_failures_total", 1, where);
      log.error("link.failed", { where, err: error });
    },
  };
}

/** What becomes of what webhooks are told. Their addresses are not logged. [BCK-25] */
export function observeWebhooks(log: Log, metrics: Metrics): WebhookObserver {
  const counted = (outcome: string) => metrics.add("posthorn_webhook_requests_total", 1, outcome);
  return {
    delivered: (told) => {
      counted("taken");
      log.debug("webhook.delivered", told);
    },
    failed: (told) => {
      counted("failed");
      log.warn("webhook.failed", told);
    },
    disabled: (name) => {
      counted("gone");
      log.error("webhook.disabled", { name });
    },
    behind: (name, count) => metrics.gauge("posthorn_webhook_behind", count, name),
    lost: (told) => {
      log.error("webhook.lost", told);
    },
    failedInside: (error) => {
      metrics.add("posthorn_failures_total", 1, "webhook");
      log.error("webhook.broken", { err: error });
    },
  };
}

const SENSITIVE: ReadonlySet<string> = new Set(SENSITIVE_FIELDS);
/** Deeper data is nobody's log line, and may be a circle. */
const DEPTH_MAX = 6;

function loggable(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (depth === DEPTH_MAX) return "(deeper)";
  if (value instanceof Error) return loggable(errorData(value), depth);
  if (Array.isArray(value)) return value.map((item) => loggable(item, depth + 1));
  const entries = Object.entries(value).map(([name, member]) => {
    return [name, SENSITIVE.has(name) ? "[redacted]" : loggable(member, depth + 1)];
  });
  return Object.fromEntries(entries);
}

/**
 * Libraries hang anything on their errors, such as the claims of a token: only what is known is
 * kept.
 */
function errorData(error: Error): object {
  const { name, message, stack, cause } = error;
  const { code } = error as { readonly code?: unknown };
  return { name, code, message, stack, cause };
}

interface Lines {
  write(line: string): void;
}

/** What JSON leaves as it is, and a terminal obeys: C1 controls and directions of text. */
const UNESCAPED = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Escapes what a peer said to deceive whoever looks at the log: it is in JSON strings only. */
function visible(destination: NodeJS.WritableStream): Lines {
  const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return { write: (line) => void destination.write(line.replace(UNESCAPED, escaped)) };
}

/** Turns each JSON line into `time level at name=value …`. What a peer said stays escaped. */
function textLines(destination: Lines): Lines {
  const plain = /^[\w.:@+/-]+$/;
  const shown = (value: unknown) =>
    typeof value === "string" && plain.test(value) ? value : JSON.stringify(value);
  return {
    write: (line) => {
      const { time, level, at, ...data } = JSON.parse(line) as Record<string, unknown>;
      const members = Object.entries(data).map(([name, value]) => ` ${name}=${shown(value)}`);
      destination.write(`${time} ${String(level).padEnd(5)} ${at}${members.join("")}\n`);
    },
  };
}
