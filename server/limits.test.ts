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

/**
 * Asks again and again until the answer is the one that is meant: however slow a machine is, in one
 * of so many rounds no second passes in which something comes back.
 */
async function within<Answer>(
  rounds: number,
  ask: () => Promise<Answer>,
  isMeant: (answer: Answer) => boolean,
): Promise<Answer> {
  for (let round = 1; round <= rounds; round += 1) {
    const answer = await ask();
    if (isMeant(answer)) return answer;
  }
  return assert.fail(`not in ${rounds} rounds`);
}

const ROUNDS_MAX = 50;
const FEW = { atOnce: 3, perSecond: 1 };

describe("[LIM-8] [LIM-9] calls", () => {
  for (const way of WAYS) {
    test(`that are too many are refused with a time, over ${way.name}`, async () => {
      const open = await openWith({ calls: FEW });
      const ann = createClient(DevicesService, await way.transportOf(open, "ann"));
      for (let call = 0; call < FEW.atOnce; call += 1) await ann.list({});
      const asked = () => ann.list({}).then(() => undefined, ConnectError.from);
      const error = await within(ROUNDS_MAX, asked, (answer) => answer !== undefined);
      assert.equal(error?.code, Code.ResourceExhausted);
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
    const atOnce = 2 * ROUNDS_MAX;
    const open = await openWith({ calls: { atOnce, perSecond: 1 } });
    const token = await open.tokenOf("ann");
    const client = await open.clientOf("ann");
    const calls = Array.from({ length: atOnce }, () => listWith(open, token));
    assert.ok((await Promise.all(calls)).every(([status]) => status === 200));
    // Of its own bucket a session would have enough for all rounds.
    const asked = async () => {
      await within(
        atOnce,
        () => listWith(open, token),
        ([status]) => status === 429,
      );
      const call = client.call(DevicesService.method.list, {});
      return await call.then(
        () => undefined,
        (reason: unknown) => reason,
      );
    };
    const error = await within(ROUNDS_MAX, asked, (answer) => answer !== undefined);
    assert.ok(error instanceof RefusedError);
    assert.equal(error.code, ErrorCode.TOO_OFTEN);
  });
});

const LIST = "/posthorn.v1.DevicesService/List";

async function listWith(open: ServiceScene, token: string) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: "{}" };
  const response = await fetch(`http://127.0.0.1:${open.port}${LIST}`, init);
  await response.arrayBuffer();
  return [response.status, response.headers.get("retry-after")] as const;
}

/** How a device with a token fares: "open", or the code that it ends with. */
async function attachedWith(
  open: ServiceScene,
  token: string,
  { deviceId = "one", scheme = "tcp" } = {},
): Promise<string> {
  const client = await connect({
    dialers: dialersOf(`${scheme}://127.0.0.1:${open.port}`),
    deviceId,
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
  const open = await openWith({ addressFailures: FEW });
  const good = await open.tokenOf("ann");
  for (let attempt = 0; attempt < 10; attempt += 1) {
    assert.deepEqual(await listWith(open, good), [200, null], "what succeeds is not counted");
  }
  assert.equal(await attachedWith(open, good), "open");
  assert.deepEqual(await listWith(open, "bad"), [401, null]);
  assert.equal(await attachedWith(open, "bad"), "TOKEN_MALFORMED");
  const shown = async (show: () => Promise<unknown>) => {
    await within(
      ROUNDS_MAX,
      () => listWith(open, "worse"),
      ([status]) => status === 429,
    );
    return await show();
  };
  const attach = () => shown(() => attachedWith(open, good));
  await within(ROUNDS_MAX, attach, (state) => state === "TOO_MANY_ATTEMPTS");
  const refused = await within(
    ROUNDS_MAX,
    () => shown(async () => (await listWith(open, good)).join()),
    (answer) => answer !== "200,",
  );
  assert.equal(refused, "429,1");
  assert.match(await metricsOf(open), /^posthorn_refusals_total\{kind="address-failures"\} /m);
  await within(
    100_000,
    () => listWith(open, good),
    ([status]) => status === 200,
  );
});

test("[LIM-11] calls of an address are bounded, before it is looked at who asks", async () => {
  const open = await openWith({ addressCalls: FEW });
  const good = await open.tokenOf("ann");
  assert.deepEqual(await listWith(open, "bad"), [401, null]);
  for (const token of [good, "bad"]) {
    const answer = await within(
      ROUNDS_MAX,
      () => listWith(open, token),
      ([status]) => {
        return status === 429;
      },
    );
    assert.deepEqual(answer, [429, "1"]);
  }
  const page = await metricsOf(open);
  assert.match(page, /^posthorn_refusals_total\{kind="address-calls"\} 2$/m);
  assert.match(page, /^posthorn_http_calls_total\{code="TOO_OFTEN"\} 2$/m);
  assert.match(page, /^posthorn_http_calls_total\{code="OK"\} [1-9]/m);
});

for (const scheme of ["tcp", "ws", "http"]) {
  test(`[LIM-11] an address that opens too many links is told so over ${scheme}`, async () => {
    const open = await openWith({ addressLinks: { atOnce: 1, perSecond: 1 } });
    const good = await open.tokenOf("ann");
    assert.equal(await attachedWith(open, good, { scheme }), "open");
    const states = await Promise.all(
      Array.from({ length: ROUNDS_MAX }, (_, at) => {
        return attachedWith(open, good, { scheme, deviceId: `d${at}` });
      }),
    );
    assert.ok(states.includes("TOO_MANY_ATTEMPTS"), states.join());
    assert.match(await metricsOf(open), /^posthorn_refusals_total\{kind="address-links"\} [1-9]/m);
  });
}

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
