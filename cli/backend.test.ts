import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  isSignedWith,
  isTaken,
  type Manner,
  Receiver,
  seqsOf,
  toldBy,
} from "../fuzz/backend/receiver.ts";
import { BackendService } from "../gen/posthorn/v1/backend_pb.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../gen/posthorn/v1/history_pb.ts";
import { newWebhookSecretText } from "../server/backend/webhook-signature.ts";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

type Headers = Readonly<Record<string, string>>;
const DESK = { "posthorn-backend": "desk" };

class Node {
  readonly program: Program;
  readonly port: number;

  private constructor(program: Program, port: number) {
    this.program = program;
    this.port = port;
  }

  static async start(t: TestContext, cwd: string, args: readonly string[] = []): Promise<Node> {
    const program = new Program(t, ["serve", "--port", "0", "--json", ...args], { cwd });
    const { port } = JSON.parse(await program.prints(/^\{.*\}$/m)) as { port: number };
    return new Node(program, port);
  }

  async kill(): Promise<void> {
    this.program.kill();
    await this.program.ended;
  }

  #transport(headers: Headers) {
    return createConnectTransport({
      baseUrl: `http://127.0.0.1:${this.port}`,
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
          return next(request);
        },
      ],
    });
  }

  desk(headers: Headers = DESK): Client<typeof BackendService> {
    return createClient(BackendService, this.#transport(headers));
  }

  /** What ann has sent bob. */
  async said(): Promise<unknown[]> {
    const history = createClient(HistoryService, this.#transport({ "posthorn-user": "bob" }));
    const { entries } = await history.listMessages({ conversationId: "d:ann:bob", countMax: 200 });
    return entries.map(({ message }) => message?.content?.kind.value);
  }
}

async function sends(desk: Client<typeof BackendService>, seq: number) {
  const content = { kind: { case: "text" as const, value: `no. ${seq}` } };
  const operation = { kind: { case: "sendDirect" as const, value: { toUserId: "bob", content } } };
  return await desk.submitAs({ stream: "s", seq: BigInt(seq), asUserId: "ann", operation });
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `no. ${index + 1}`);

test("[BCK-5] [BCK-6] [BCK-8] what a killed node did not answer is done once", async (t) => {
  const cwd = emptyFolder(t);
  let node = await Node.start(t, cwd);
  for (const userId of ["ann", "bob"]) await node.desk().ensureUser({ userId });
  let next = 1;
  for (let round = 0; round < 3; round += 1) {
    for (const last = next + 3 + round; next <= last; next += 1) {
      const { code, conversationSeq } = await sends(node.desk(), next);
      assert.deepEqual([code, Number(conversationSeq)], [ErrorCode.UNSPECIFIED, next]);
    }
    // Under way: killed before it is read, before its commit, or before its answer.
    const inDoubt = sends(node.desk(), next).catch(() => undefined);
    for (let turn = 0; turn < round; turn += 1) await node.desk().getStream({ stream: "s" });
    await node.kill();
    const answered = await inDoubt;
    node = await Node.start(t, cwd);
    const { nextSeq } = await node.desk().getStream({ stream: "s" });
    assert.ok(nextSeq === BigInt(next) || nextSeq === BigInt(next + 1));
    const again = await sends(node.desk(), next);
    assert.equal(Number(again.conversationSeq), next);
    if (answered !== undefined) assert.deepEqual(again, answered);
    next += 1;
  }
  assert.deepEqual(await node.said(), numbered(next - 1));
});

/** What a node is told to tell a receiver of bob's events, with short waits. */
function hooked(cwd: string, receiver: Receiver) {
  for (const file of ["now.whsec", "old.whsec"]) {
    writeFileSync(join(cwd, file), newWebhookSecretText());
  }
  const url = `http://127.0.0.1:${receiver.port}/hook?key=0a1b`;
  const webhook = { name: "hook", user: "bob", url, secretFiles: ["now.whsec", "old.whsec"] };
  writeFileSync(join(cwd, "hooks.json"), JSON.stringify({ webhooks: [webhook] }));
  const args = [
    ...["--backend-webhooks-file", "hooks.json"],
    ...["--backend-webhook-timeout-ms", "200ms"],
    ...["--backend-webhook-retry-min-ms", "10ms", "--backend-webhook-retry-max-ms", "40ms"],
  ];
  const secrets = ["now.whsec", "old.whsec"].map((file) =>
    readFileSync(join(cwd, file), "utf8").trim(),
  );
  return { args, secrets };
}

async function until(receiver: Receiver, isThere: () => boolean): Promise<void> {
  while (!isThere()) {
    await new Promise<void>((resolve) => {
      receiver.onRequest = () => resolve();
    });
  }
}

test("[BCK-14] [BCK-15] [BCK-17] [BCK-25] events come once by their ids, through kill -9 and whatever the receiver does", async (t) => {
  const cwd = emptyFolder(t);
  const receiver = await Receiver.open();
  t.after(() => receiver.close());
  const { args, secrets } = hooked(cwd, receiver);
  const manners: readonly Manner[] = [
    "hangs",
    "takes",
    "refuses",
    "resets",
    "takes and is cut",
    "says too much",
    "redirects",
    "takes and says much",
    "lies in its head",
    "asks for time",
  ];
  receiver.manner = () => manners[receiver.requests.length % manners.length] as Manner;
  let node = await Node.start(t, cwd, args);
  await node.desk().ensureUser({ userId: "ann" });
  let logs = "";
  let seq = 0;
  for (let round = 0; round < 3; round += 1) {
    const before = receiver.requests.length;
    for (let one = 0; one < 4; one += 1) {
      seq += 1;
      assert.equal((await sends(node.desk(), seq)).code, ErrorCode.UNSPECIFIED);
    }
    await until(receiver, () => receiver.requests.length > before);
    await node.kill();
    logs += (await node.program.ended).stderr;
    node = await Node.start(t, cwd, args);
  }
  const isWhole = () =>
    new Set(receiver.requests.filter(({ manner }) => isTaken(manner)).flatMap(seqsOf)).size === seq;
  await until(receiver, isWhole);
  node.program.signal("SIGTERM");
  const { status, stderr } = await node.program.ended;
  assert.equal(status, 0);
  logs += stderr;
  const byId = new Map<string, readonly number[]>();
  const texts = new Map<number, unknown>();
  for (const request of receiver.requests) {
    for (const secret of secrets) assert.ok(isSignedWith(secret, request));
    assert.equal(request.path, "/hook?key=0a1b", "no redirect was followed");
    const seqs = seqsOf(request);
    assert.deepEqual(byId.get(request.id) ?? seqs, seqs, "an id is of the same events");
    byId.set(request.id, seqs);
    for (const { seq: number, event } of toldBy(request).events) {
      texts.set(Number(number), event.message?.content?.text);
    }
  }
  assert.deepEqual(
    [...byId.values()].flat(),
    numbered(seq).map((_, index) => index + 1),
  );
  assert.deepEqual([...texts.values()], numbered(seq));
  assert.match(logs, /webhook\.failed/);
  for (const secret of ["0a1b", ...secrets])
    assert.ok(!logs.includes(secret), "a secret is logged");
});

const PYTHON = spawnSync("python3", ["--version"]).status === 0;
const VERIFY = `
import base64, hashlib, hmac, json, sys
for line in sys.stdin:
    told = json.loads(line)
    key = base64.b64decode(told["secret"].removeprefix("whsec_"))
    signed = f'{told["id"]}.{told["seconds"]}.{told["body"]}'.encode()
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{mac}" in told["signatures"], told["id"]
    events = json.loads(told["body"])["events"]
    print(*[event["event"]["message"]["content"]["text"] for event in events], sep="\\n")
`;

test("[BCK-16] [BCK-24] another language checks and reads what is sent", {
  skip: !PYTHON && "python3 is not installed",
}, async (t) => {
  const cwd = emptyFolder(t);
  const receiver = await Receiver.open();
  t.after(() => receiver.close());
  const { args, secrets } = hooked(cwd, receiver);
  const node = await Node.start(t, cwd, args);
  await node.desk().ensureUser({ userId: "ann" });
  const words = "no. 1";
  await sends(node.desk(), 1);
  await until(receiver, () => receiver.requests.length === 1);
  const [request] = receiver.requests;
  const { type, webhook, userId } = toldBy(request ?? assert.fail("nothing came"));
  assert.deepEqual([type, webhook, userId], ["posthorn.events", "hook", "bob"]);
  const lines = secrets.map((secret) => JSON.stringify({ ...request, secret })).join("\n");
  const said = execFileSync("python3", ["-c", VERIFY], { input: lines, encoding: "utf8" });
  assert.equal(said, `${words}\n${words}\n`);
});

test("[BCK-1] posthorn token --backend makes what a service with keys takes", async (t) => {
  const cwd = emptyFolder(t);
  await posthorn(t, ["token", "--new-secret", "secret"], { cwd });
  const node = await Node.start(t, cwd, ["--auth-hmac-secret-file", "secret"]);
  const args = ["token", "desk", "--backend", "--secret-file", "secret", "--json"];
  const { stdout } = await posthorn(t, args, { cwd });
  const { token, backend, userId } = JSON.parse(stdout) as Record<string, string>;
  assert.deepEqual([backend, userId], ["desk", undefined]);
  const desk = node.desk({ authorization: `Bearer ${token}` });
  assert.equal((await desk.ensureUser({ userId: "ann" })).created, true);
  await assert.rejects(node.desk().ensureUser({ userId: "ann" }), /unauthenticated/);
});
