import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeOf, type OperationKind, Peer, READY, rest } from "../../fuzz/store/session-peer.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Frame, FrameContents } from "../../protocol/frames.ts";
import { OperationBudget } from "../operations/operation-budget.ts";
import { MemoryStore } from "../store/memory.ts";
import { Alarms } from "./alarms.ts";

const MARK: OperationKind = { case: "mark", value: { conversationId: "d:alice:bob" } };
const NO_LIMIT = { messagesPerDay: 0, conversationsPerDay: 0 };

type Result = FrameContents["submitAck"]["results"][number];

/** A node whose users have two operations at once and one more a second, and its clock. */
function scarceNode() {
  const clock = { ms: 1 };
  const store = new MemoryStore({
    nowMs: () => clock.ms,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
  });
  const budget = new OperationBudget({ operations: { atOnce: 2, perSecond: 1 }, ...NO_LIMIT });
  const alarms = new Alarms({ nowMs: () => clock.ms, timer: () => () => {} });
  return { node: { ...nodeOf(store), alarms, budget }, clock };
}

const resultsIn = (frames: readonly Frame[]): readonly Result[] =>
  frames.flatMap(({ kind, value }) => (kind === "submitAck" ? value.results : []));

test("[LIM-3] [SEQ-4] [SEQ-6] a refusal is the result of its number for ever, whatever there is left later", async () => {
  const { node, clock } = scarceNode();
  const phone = new Peer(node);
  await phone.attach(0);
  for (let seq = 1; seq <= 4; seq += 1) phone.submit(seq, MARK);
  await rest();
  const results = resultsIn(phone.heard);
  const said = results.map(({ code, retryAfterMs }) => [code, retryAfterMs]);
  const { USER_UNKNOWN, TOO_OFTEN } = ErrorCode;
  assert.deepEqual(said, [
    [USER_UNKNOWN, 0],
    [USER_UNKNOWN, 0],
    [TOO_OFTEN, 1_000],
    [TOO_OFTEN, 1_000],
  ]);
  // There is enough by now, and the same number is asked for again: on this link, and on others.
  clock.ms += 60_000;
  phone.submit(3, MARK);
  await rest();
  assert.deepEqual(resultsIn(phone.heard).slice(4), results.slice(2), "the same, with its time");
  for (let life = 1; life <= 3; life += 1) {
    clock.ms += 60_000;
    phone.cut();
    const again = new Peer(node);
    await again.hello(1);
    const [welcome] = again.heard;
    assert.ok(welcome?.kind === "welcome");
    assert.deepEqual(welcome.value.outbox?.results, results);
    await again.say(READY);
    again.submit(4, MARK);
    await rest();
    assert.deepEqual(resultsIn(again.heard), results.slice(3));
    again.cut();
  }
});

test("[LIM-3] what is refused is in nobody's way, and a new number is granted in time", async () => {
  const { node, clock } = scarceNode();
  const phone = new Peer(node);
  await phone.attach(0);
  for (let seq = 1; seq <= 3; seq += 1) phone.submit(seq, MARK);
  await rest();
  clock.ms += 999;
  phone.submit(4, MARK);
  await rest();
  clock.ms += 1;
  phone.submit(5, MARK);
  await rest();
  const codes = resultsIn(phone.heard).map(({ code, retryAfterMs }) => [code, retryAfterMs]);
  assert.deepEqual(codes.slice(2), [
    [ErrorCode.TOO_OFTEN, 1_000],
    [ErrorCode.TOO_OFTEN, 1],
    [ErrorCode.USER_UNKNOWN, 0],
  ]);
});

test("[LIM-6] a user whose device floods can end it from another one", async () => {
  const { node } = scarceNode();
  const [thief, tablet] = [new Peer(node), new Peer(node)];
  await thief.attach(0, "phone");
  await tablet.attach(0, "tablet");
  for (let seq = 1; seq <= 8; seq += 1) thief.submit(seq, MARK);
  await rest();
  tablet.submit(1, MARK);
  tablet.submit(2, { case: "endDevice", value: { deviceId: "phone" } });
  await rest();
  const codes = resultsIn(tablet.heard).map(({ code }) => code);
  assert.deepEqual(codes, [ErrorCode.TOO_OFTEN, ErrorCode.UNSPECIFIED]);
  assert.equal(thief.closedWith, ErrorCode.DEVICE_ENDED);
});

test("[LIM-10] an address whose attempts fail is refused before what it shows is looked at", async () => {
  const { node } = scarceNode();
  let failed = 0;
  let asked = 0;
  const attempts = {
    attemptWaitMs: () => (failed >= 2 ? 500 : 0),
    attemptFailed: () => {
      failed += 1;
    },
  };
  const authenticate = async () => {
    asked += 1;
    const refused = { code: ErrorCode.TOKEN_FOREIGN, requirement: "AUT-2", detail: "" };
    return { kind: "refused", ...refused } as const;
  };
  const strict = { ...node, attempts, authenticator: { authenticate } };
  const closes: unknown[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const peer = new Peer(strict);
    await peer.hello(0);
    closes.push(peer.closedWith);
  }
  const { TOKEN_FOREIGN, TOO_MANY_ATTEMPTS } = ErrorCode;
  assert.deepEqual(closes, [TOKEN_FOREIGN, TOKEN_FOREIGN, TOO_MANY_ATTEMPTS, TOO_MANY_ATTEMPTS]);
  assert.equal(asked, 2);
});
