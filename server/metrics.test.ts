import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";

function sample(metrics: Metrics, name: string): string | undefined {
  const line = metrics
    .render()
    .split("\n")
    .find((candidate) => candidate.startsWith(`${name} `));
  return line?.slice(name.length + 1);
}

test("counters add up by label, gauges go up and down", () => {
  const metrics = new Metrics();
  assert.equal(metrics.render(), "");
  metrics.add("posthorn_closes_total", 1, "IDLE");
  metrics.add("posthorn_closes_total", 2, "IDLE");
  metrics.add("posthorn_closes_total", 1, "AGED");
  metrics.add("posthorn_submits_total", 5);
  metrics.gauge("posthorn_links", 7);
  metrics.gauge("posthorn_links", 3);
  metrics.add("posthorn_sessions", 2, "tcp");
  metrics.add("posthorn_sessions", -1, "tcp");
  assert.equal(
    metrics.render(),
    `# HELP posthorn_links Links open.
# TYPE posthorn_links gauge
posthorn_links 3
# HELP posthorn_sessions Sessions attached, by kind of link.
# TYPE posthorn_sessions gauge
posthorn_sessions{link="tcp"} 1
# HELP posthorn_closes_total Links ended, by cause.
# TYPE posthorn_closes_total counter
posthorn_closes_total{code="AGED"} 1
posthorn_closes_total{code="IDLE"} 3
# HELP posthorn_submits_total Submits that became durable.
# TYPE posthorn_submits_total counter
posthorn_submits_total 5
`,
  );
});

test("a histogram's buckets are cumulative, with inclusive bounds", () => {
  const metrics = new Metrics();
  for (const ms of [0.5, 1, 1.5, 10_000]) metrics.groupWritten({ requests: 3, puts: 9, ms });
  const bucket = (le: string) => sample(metrics, `posthorn_store_group_seconds_bucket{le="${le}"}`);
  assert.equal(bucket("0.0005"), "1");
  assert.equal(bucket("0.001"), "2");
  assert.equal(bucket("0.002"), "3");
  assert.equal(bucket("5"), "3");
  assert.equal(bucket("+Inf"), "4");
  assert.equal(sample(metrics, "posthorn_store_group_seconds_count"), "4");
  assert.equal(Number(sample(metrics, "posthorn_store_group_seconds_sum")).toFixed(4), "10.0030");
  assert.equal(sample(metrics, "posthorn_store_puts_total"), "36");
  assert.equal(sample(metrics, 'posthorn_store_group_requests_bucket{le="2"}'), "0");
  assert.equal(sample(metrics, 'posthorn_store_group_requests_bucket{le="4"}'), "4");
});

test("every line is one that the text format allows", () => {
  const metrics = new Metrics();
  metrics.add("posthorn_violations_total", 1, "SEQ-9");
  metrics.gauge("posthorn_links", 1);
  metrics.groupWritten({ requests: 1, puts: 1, ms: 1 });
  const text = metrics.render();
  assert.ok(text.endsWith("\n"));
  const comment = /^# (HELP|TYPE) [a-z_]+ .+$/;
  const value = /^[a-z_]+(\{[a-z]+="[^"\\\n]*"\})? [0-9.e+-]+$/;
  for (const line of text.trimEnd().split("\n"))
    assert.ok(comment.test(line) || value.test(line), line);
});
