import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { SENSITIVE_FIELDS } from "../gen/posthorn/v1/sensitive_fields.ts";
import type { Link } from "../protocol/link.ts";
import { violation } from "../protocol/violation.ts";
import { Metrics } from "./metrics.ts";
import { createLog, type LogOptions, observeSessions } from "./observe.ts";
import { userRefOf } from "./store/store.ts";

function capture(options: Partial<LogOptions> = {}) {
  const destination = new PassThrough();
  const log = createLog({ level: "debug", format: "json", ...options, destination });
  const text = () => String(destination.read() ?? "");
  return { log, text, line: () => JSON.parse(text()) };
}

describe("createLog", () => {
  test("writes one line of JSON that begins with its level and time", () => {
    const { log, text } = capture();
    log.info("session.closed", { code: "IDLE", count: 1, detail: "a\nb" });
    const line = text();
    assert.equal(line.indexOf("\n"), line.length - 1);
    const { time, ...rest } = JSON.parse(line);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const wanted = { level: "info", at: "session.closed", code: "IDLE", count: 1, detail: "a\nb" };
    assert.deepEqual(rest, wanted);
  });

  test("leaves out what is below its level", () => {
    const { log, text } = capture({ level: "warn" });
    log.debug("a.happened", {});
    log.info("b.happened", {});
    assert.equal(text(), "");
    log.warn("c.happened", {});
    log.error("d.happened", {});
    assert.deepEqual(text().match(/[cd]\.happened/g), ["c.happened", "d.happened"]);
    const silent = capture({ level: "silent" });
    silent.log.error("e.happened", {});
    assert.equal(silent.text(), "");
  });

  test("[AUT-5] never writes a sensitive member, however deep, in either format", () => {
    assert.ok(SENSITIVE_FIELDS.includes("token"));
    for (const name of SENSITIVE_FIELDS) {
      for (const format of ["json", "text"] as const) {
        const { log, text } = capture({ format });
        const secret = "very-secret-value";
        const error = Object.assign(new Error("no"), { [name]: secret, payload: { secret } });
        const held = { [name]: secret };
        const deep = {
          hello: { list: [{ inner: held }] },
          err: new Error("why", { cause: error }),
        };
        log.error("hello.refused", { ...held, ...deep });
        const line = text();
        assert.ok(!line.includes(secret), line);
        assert.ok(line.includes("[redacted]"));
        assert.ok(line.includes("why"));
      }
    }
  });

  test("writes errors with code and cause, of bytes their number, of a circle its start", () => {
    const { log, line } = capture();
    const cause = Object.assign(new Error("disk"), { code: "ENOSPC" });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    log.error("store.failed", {
      err: new TypeError("why", { cause }),
      bytes: Buffer.alloc(3),
      circle,
    });
    const { err, bytes, circle: shown, msg } = line();
    assert.equal(msg, undefined);
    assert.equal(err.name, "TypeError");
    assert.equal(err.message, "why");
    assert.match(err.stack, /observe\.test/);
    assert.equal(err.cause.code, "ENOSPC");
    assert.equal(bytes, "(3 bytes)");
    assert.match(JSON.stringify(shown), /deeper/);
  });

  test("shows nobody's terminal what would move it, in either format", () => {
    const agent = "a\u009b31m\u0085\u007f\u202eb\u2066\u2028\u001b[1m\r\nFAKE";
    for (const format of ["json", "text"] as const) {
      const { log, text } = capture({ format });
      log.warn("session.closed", { agent, err: new Error(agent) });
      const line = text();
      assert.doesNotMatch(line.trimEnd(), /\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/u, format);
      if (format === "json") assert.equal(JSON.parse(line).agent, agent);
    }
  });

  test("as text is one line too, with what a peer said escaped", () => {
    const { log, text } = capture({ format: "text" });
    log.warn("session.closed", { link: "tcp", agent: "a\u001b[31m\nb", count: 2, user: "alice" });
    const line = text();
    const said = 'agent="a\\u001b[31m\\nb"';
    assert.match(line, /^\d{4}-\S+Z warn {2}session\.closed /);
    assert.ok(line.endsWith(`link=tcp ${said} count=2 user=alice\n`), line);
  });
});

describe("observeSessions", () => {
  const link: Link = { kind: "tcp", peer: "127.0.0.1:9", write: () => true, close: () => {} };
  const device = { user: userRefOf("", "alice"), deviceId: "phone" };

  test("an attachment and its end are logged and counted", () => {
    const { log, line } = capture();
    const metrics = new Metrics();
    const observer = observeSessions(log, metrics);
    observer.attached({
      device,
      generation: 3,
      sessionId: Buffer.from("ab", "hex"),
      link,
      agent: "x",
    });
    const attached = line();
    assert.equal(attached.at, "session.attached");
    assert.equal(attached.session, "ab");
    assert.equal(attached.generation, 3);
    assert.equal(attached.deviceId, "phone");
    assert.match(metrics.render(), /posthorn_sessions\{link="tcp"\} 1\n/);

    const because = violation(ErrorCode.ACK_BEYOND_SENT, "SEQ-9", "ack 5 of 4");
    observer.closed({ device, isAttached: true, link, because });
    const closed = line();
    assert.equal(closed.at, "session.closed");
    assert.equal(closed.code, "ACK_BEYOND_SENT");
    assert.equal(closed.requirement, "SEQ-9");
    assert.match(metrics.render(), /posthorn_sessions\{link="tcp"\} 0\n/);
    assert.match(metrics.render(), /posthorn_attaches_total\{link="tcp"\} 1\n/);
    assert.match(metrics.render(), /posthorn_closes_total\{code="ACK_BEYOND_SENT"\} 1\n/);
    assert.match(metrics.render(), /posthorn_violations_total\{requirement="SEQ-9"\} 1\n/);
  });

  test("a link that never attached ends as a link, and a good-bye breaks no requirement", () => {
    const { log, line } = capture();
    const metrics = new Metrics();
    const because = violation(ErrorCode.GOODBYE, "", "");
    observeSessions(log, metrics).closed({ device, isAttached: false, link, because });
    const { at, deviceId } = line();
    assert.deepEqual([at, deviceId], ["link.closed", "phone"]);
    assert.doesNotMatch(metrics.render(), /posthorn_(sessions|violations)/);
  });

  test("codes that nobody knows are one cause, however many a peer makes up", () => {
    const { log, line } = capture();
    const metrics = new Metrics();
    const observer = observeSessions(log, metrics);
    for (const code of [1001, 1002]) {
      const because = violation(code as ErrorCode, "", "");
      observer.closed({ device: undefined, isAttached: false, link, because });
      assert.equal(line().code, `UNKNOWN_${code}`);
    }
    assert.match(metrics.render(), /posthorn_closes_total\{code="UNKNOWN"\} 2\n/);
    assert.doesNotMatch(metrics.render(), /UNKNOWN_/);
  });

  test("submits, deliveries and failures are counted; a failure is logged with its cause", () => {
    const { log, line } = capture();
    const metrics = new Metrics();
    const observer = observeSessions(log, metrics);
    observer.committed(3);
    observer.committed(4);
    observer.delivered(5);
    observer.passed({ signalsHeard: 3, signalsDropped: 1, hintsWritten: 4, hintsDropped: 0 });
    observer.failed("commit", new Error("disk full"));
    const failed = line();
    assert.equal(failed.level, "error");
    assert.equal(failed.where, "commit");
    assert.equal(failed.err.message, "disk full");
    assert.match(metrics.render(), /posthorn_submits_total 7\n/);
    assert.match(metrics.render(), /posthorn_deliveries_total 5\n/);
    assert.match(metrics.render(), /posthorn_signals_total\{fate="dropped"\} 1\n/);
    assert.match(metrics.render(), /posthorn_signals_total\{fate="heard"\} 3\n/);
    assert.match(metrics.render(), /posthorn_hints_total\{fate="written"\} 4\n/);
    assert.match(metrics.render(), /posthorn_failures_total\{where="commit"\} 1\n/);
  });
});
