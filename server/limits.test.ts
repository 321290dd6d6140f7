import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, describe, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connect } from "../client/client.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { endDevice } from "../client/operations.ts";
import { RefusedError } from "../client/results.ts";
import { whenGranted } from "../client/when-granted.ts";
import { HTTP_WAYS, ServiceScene, WAYS } from "../fuzz/services/scene.ts";
import { DevicesService } from "../gen/posthorn/v1/devices_pb.ts";
import { ErrorCode, ErrorDetailSchema } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import { NAMED_KEYS } from "./config.ts";
import { valueText } from "./config-values.ts";

let scene: ServiceScene | undefined;
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

const openWith = async (limits: object): Promise<ServiceScene> => {
  scene = await ServiceScene.open({ limits });
  return scene;
};

async function refusalOf(work: Promise<unknown>): Promise<RefusedError> {
  const error = await work.then(
    () => assert.fail("was granted"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RefusedError, String(error));
  return error;
}

const metricsOf = async ({ port }: ServiceScene) =>
  await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

test("[LIM-3] [LIM-6] [LIM-7] who submits too often is told when to come again, and is served then", async () => {
  const open = await openWith({ operations: { atOnce: 2, perSecond: 1 } });
  const client = await open.clientOf("ann");
  const sent = await Promise.allSettled(Array.from({ length: 30 }, () => client.send("ann", "x")));
  const refused = sent.filter(({ status }) => status === "rejected");
  assert.ok(refused.length >= 10, `${refused.length}`);
  for (const outcome of refused) {
    assert.ok(outcome.status === "rejected" && outcome.reason instanceof RefusedError);
    assert.equal(outcome.reason.code, ErrorCode.TOO_OFTEN);
    assert.ok(outcome.reason.retryAfterMs > 0 && outcome.reason.retryAfterMs <= 1_000);
  }
  const unknown = await refusalOf(client.submit(endDevice("nobody")));
  assert.equal(unknown.code, ErrorCode.DEVICE_UNKNOWN, "a device can be ended all the same");
  await whenGranted(() => client.send("ann", "again"), { triesMax: 100 });
  assert.equal(client.status.state, "open");
  const page = await metricsOf(open);
  const counted = /^posthorn_refusals_total\{kind="operations"\} (\d+)$/m.exec(page)?.[1];
  assert.ok(Number(counted) >= refused.length, page);
  assert.doesNotMatch(page, /ann/);
});

describe("[LIM-8] [LIM-9] calls", () => {
  for (const way of WAYS) {
    test(`that are too many are refused with a time, over ${way.name}`, async () => {
      const open = await openWith({ calls: { atOnce: 3, perSecond: 1 } });
      const ann = createClient(DevicesService, await way.transportOf(open, "ann"));
      for (let call = 0; call < 3; call += 1) await ann.list({});
      const error = ConnectError.from(await ann.list({}).catch((reason: unknown) => reason));
      assert.equal(error.code, Code.ResourceExhausted);
      const [detail] = error.findDetails(ErrorDetailSchema);
      assert.equal(detail?.code, ErrorCode.TOO_OFTEN);
      const { retryAfterMs } = detail;
      assert.ok(retryAfterMs > 0 && retryAfterMs <= 1_000, String(retryAfterMs));
      if (HTTP_WAYS.some(({ name }) => name === way.name)) {
        assert.equal(error.metadata.get("retry-after"), "1");
      }
      const bob = createClient(DevicesService, await way.transportOf(open, "bob"));
      await bob.list({});
      assert.match(await metricsOf(open), /^posthorn_refusals_total\{kind="calls"\} 1$/m);
    });
  }

  test("through sessions and over HTTP take of the same", async () => {
    const open = await openWith({ calls: { atOnce: 2, perSecond: 1 } });
    for (const way of [WAYS.at(0), WAYS.at(-1)]) {
      assert.ok(way !== undefined);
      await createClient(DevicesService, await way.transportOf(open, "ann")).list({});
    }
    const client = await open.clientOf("ann");
    const refused = await refusalOf(client.call(DevicesService.method.list, {}));
    assert.equal(refused.code, ErrorCode.TOO_OFTEN);
  });
});

const LIST = "/posthorn.v1.DevicesService/List";

async function listWith(open: ServiceScene, token: string) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: "{}" };
  const { status, headers: told } = await fetch(`http://127.0.0.1:${open.port}${LIST}`, init);
  return [status, told.get("retry-after")];
}

/** How a device with a token fares: "open", or the code that it ends with. */
async function attachedWith(open: ServiceScene, token: string): Promise<string> {
  const client = await connect({
    dialers: dialersOf(`tcp://127.0.0.1:${open.port}`),
    deviceId: "one",
    token,
    journal: memoryJournal(),
    upgradeMs: 0,
  });
  const state = await new Promise<string>((resolve) => {
    client.onStatus(({ state: now, error }) => {
      if (now === "open") resolve(now);
      if (error !== undefined) resolve(errorRule(error).name);
    });
  });
  await client.close().catch(() => {});
  return state;
}

test("[LIM-10] an address that shows wrong tokens is not looked at for a while, at Hello and over HTTP", async () => {
  const open = await openWith({ addressFailures: { atOnce: 4, perSecond: 1 } });
  const good = await open.tokenOf("ann");
  for (let attempt = 0; attempt < 10; attempt += 1) {
    assert.deepEqual(await listWith(open, good), [200, null], "what succeeds is not counted");
  }
  assert.equal(await attachedWith(open, good), "open");
  assert.deepEqual(await listWith(open, "bad"), [401, null]);
  assert.equal(await attachedWith(open, "bad"), "TOKEN_MALFORMED");
  for (let attempt = 0; attempt < 3; attempt += 1) await listWith(open, `worse${attempt}`);
  assert.equal(await attachedWith(open, good), "TOO_MANY_ATTEMPTS");
  assert.deepEqual(await listWith(open, good), [429, "1"]);
  assert.match(await metricsOf(open), /^posthorn_refusals_total\{kind="address-failures"\} /m);
  const served = await whenServed(() => listWith(open, good));
  assert.deepEqual(served, [200, null]);
});

async function whenServed<Answer extends readonly unknown[]>(ask: () => Promise<Answer>) {
  for (;;) {
    const answer = await ask();
    if (answer[0] !== 429) return answer;
  }
}

test("[LIM-11] links and calls of an address are bounded, whoever asks", async () => {
  const few = { atOnce: 3, perSecond: 1 };
  const open = await openWith({ addressLinks: few, addressCalls: few });
  const good = await open.tokenOf("ann");
  for (let link = 0; link < 3; link += 1) assert.equal(await attachedWith(open, good), "open");
  assert.equal(await attachedWith(open, good), "TOO_MANY_ATTEMPTS");
  for (const token of ["bad", good, "bad"]) await listWith(open, token);
  assert.deepEqual(await listWith(open, good), [429, "1"]);
  assert.deepEqual(await listWith(open, "bad"), [429, "1"], "before it is looked at who asks");
  const page = await metricsOf(open);
  assert.match(page, /^posthorn_refusals_total\{kind="address-links"\} [1-9]/m);
  assert.match(page, /^posthorn_refusals_total\{kind="address-calls"\} 2$/m);
  assert.match(page, /^posthorn_http_calls_total\{code="TOO_OFTEN"\} 2$/m);
  assert.match(page, /^posthorn_http_calls_total\{code="OK"\} 1$/m);
});

test("[LIM-5] the day's measures are of the whole node", async () => {
  const open = await openWith({ messagesPerDay: 2, conversationsPerDay: 1 });
  const client = await open.clientOf("ann");
  await client.send("ann", "one");
  await (await open.clientOf("ann", "ws")).send("ann", "two");
  const refused = await refusalOf(client.send("ann", "three"));
  assert.equal(refused.code, ErrorCode.TOO_OFTEN);
  assert.ok(refused.retryAfterMs > 43_000_000 && refused.retryAfterMs <= 43_200_000);
});

test("[LIM-7] the chapter's table names the keys that there are, with their defaults", () => {
  const page = readFileSync(new URL("../spec/22-limits.md", import.meta.url), "utf8");
  const rows = page
    .split("\n")
    .filter((line) => /^\| .* \| `/.test(line) || /`limits\./.test(line));
  const named = new Set<string>();
  for (const row of rows) {
    for (const [, path = ""] of row.matchAll(/`((?:limits|conversations)\.[\w.]+)`/g)) {
      const known = NAMED_KEYS.find((one) => one.path === path);
      assert.ok(known !== undefined, path);
      named.add(path);
      const { type, value } = known.key;
      const said = type.kind === "bytes" ? valueText(type, value) : value.toLocaleString("en");
      assert.ok(row.replace(" KiB", "KiB").includes(said), `${path}: ${said} in ${row}`);
    }
  }
  const rates = NAMED_KEYS.filter(({ path }) => /^limits\..*(atOnce|perSecond|PerDay)$/.test(path));
  assert.ok(rates.length >= 12);
  for (const { path } of rates) assert.ok(named.has(path), path);
});
