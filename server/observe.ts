import { type Logger, pino } from "pino";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import { SENSITIVE_FIELDS } from "../gen/posthorn/v1/sensitive_fields.ts";
import type { Metrics } from "./metrics.ts";
import type { SessionObserver } from "./sessions/driver.ts";

/** One-line structured logs: `at` names what happened as noun.participle, the rest is data. */
export interface Log {
  debug(at: string, data: object): void;
  info(at: string, data: object): void;
  warn(at: string, data: object): void;
  error(at: string, data: object): void;
}

/** Logs to standard error; members that the schema marks sensitive are never written. [AUT-5] */
export function createLog(level: string, destination: NodeJS.WritableStream = process.stderr): Log {
  const paths = SENSITIVE_FIELDS.flatMap((name) => [name, `*.${name}`]);
  const options = { level, redact: { paths, censor: "[redacted]" }, messageKey: "at" };
  const logger: Logger = pino(options, destination);
  return {
    debug: (at, data) => logger.debug(data, at),
    info: (at, data) => logger.info(data, at),
    warn: (at, data) => logger.warn(data, at),
    error: (at, data) => logger.error(data, at),
  };
}

/** What happens in sessions, as log lines and metrics. */
export function observeSessions(log: Log, metrics: Metrics): SessionObserver {
  return {
    attached: ({ device, generation, sessionId, link, agent }) => {
      metrics.add(`posthorn_attaches_total{link="${link.kind}"}`);
      log.info("session.attached", {
        ...device,
        generation,
        session: Buffer.from(sessionId).toString("hex"),
        link: link.kind,
        peer: link.peer,
        agent,
      });
    },
    closed: ({ device, link, because }) => {
      const { name } = errorRule(because.code);
      metrics.add(`posthorn_closes_total{code="${name}"}`);
      const { requirement, detail } = because;
      log.info("session.closed", { ...device, link: link.kind, code: name, requirement, detail });
    },
    committed: (count) => metrics.add("posthorn_submits_total", count),
    delivered: (count) => metrics.add("posthorn_deliveries_total", count),
    failed: (where, error) => {
      metrics.add(`posthorn_failures_total{where="${where}"}`);
      log.error("session.failed", { where, err: error });
    },
  };
}
