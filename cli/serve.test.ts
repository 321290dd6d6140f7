import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { CursorStart } from "../gen/posthorn/v1/session_pb.ts";
import { Delimiter } from "../protocol/delimit.ts";
import { decodeFrame, encodeFrame, type Frame, isViolation } from "../protocol/frames.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import { PREFACE } from "../protocol/sniff.ts";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

const TESTDATA = new URL("../server/testdata/", import.meta.url);

interface Served {
  readonly program: Program;
  /** What `--json` says. */
  readonly place: Readonly<{
    host: string;
    port: number;
    urls: Record<string, string>;
    status: string;
    data: string;
    authentication: string;
    network: string;
    sealed: string;
  }>;
}

async function served(
  t: TestContext,
  args: readonly string[] = [],
  cwd = emptyFolder(t),
): Promise<Served> {
  const program = new Program(t, ["serve", "--port", "0", "--json", ...args], { cwd });
  const place = JSON.parse(await program.prints(/^\{.*\}$/m));
  return { program, place };
}

/** Says Hello over raw TCP and gives the first frame of the answer. The link stays open. */
async function greet(
  t: TestContext,
  port: number,
  who: { readonly token?: string; readonly userId?: string },
  socket: Socket = connect({ host: "127.0.0.1", port }),
): Promise<{ readonly first: Frame; readonly socket: Socket }> {
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  const hello = {
    versionMin: 1,
    versionMax: 1,
    token: who.token ?? "",
    userId: who.userId ?? "",
    deviceId: "phone",
    outbox: { epoch: 0, resultsThrough: 0, next: 1 },
    cursor: { epoch: 0, seq: 0, start: CursorStart.EARLIEST },
    deliveryWindow: { count: 16, bytes: 65_536 },
    agent: "test",
  };
  socket.write(Buffer.concat([PREFACE, encodeFrame({ kind: "hello", value: hello })]));
  const delimiter = new Delimiter(FRAME_BYTES_MAX);
  let first: Frame | undefined;
  while (first === undefined) {
    const [bytes] = await once(socket, "data");
    delimiter.push(bytes, (from, at, end) => {
      const frame = decodeFrame(from, { at, end }, { sender: "server", phase: "opening" });
      assert.ok(!isViolation(frame));
      first ??= frame;
      return true;
    });
  }
  return { first, socket };
}

function pem(name: string): string {
  return fileURLToPath(new URL(name, TESTDATA));
}

/** The names of what was logged; every line is a JSON object. */
function logged(stderr: string): readonly string[] {
  const lines = stderr.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line).at);
}

describe("posthorn serve", { concurrency: 2 }, () => {
  test("[OPS-3] [AUT-4] serves, says how to connect, and ends cleanly on SIGTERM", async (t) => {
    const cwd = emptyFolder(t);
    const program = new Program(t, ["serve", "--port", "0"], { cwd });
    const tcp = await program.prints(/TCP +(tcp:\/\/127\.0\.0\.1:\d+)\n/);
    const origin = await program.prints(/long poll +(http:\/\/127\.0\.0\.1:\d+)\n/);
    await program.prints(/WebSocket +ws:\/\/127\.0\.0\.1:\d+\n/);
    await program.prints(/NO AUTHENTICATION/);
    await program.prints(new RegExp(`posthorn chat bob --user alice --url ${tcp}\n`));
    assert.equal(await (await fetch(`${origin}/healthz`)).text(), "ok\n");
    assert.equal(statSync(join(cwd, "posthorn-data")).mode & 0o777, 0o700);
    program.signal("SIGTERM");
    const { status, stdout, stderr } = await program.ended;
    assert.equal(status, 0);
    assert.match(stdout, /Stopping: .*\nStopped\.\n$/);
    assert.ok(!stdout.includes("\u001b"), "colours where nobody looks");
    const names = ["server.listening", "authentication.skipped", "server.stopped"];
    assert.deepEqual(logged(stderr), names);
  });

  test("[OPS-3] SIGINT ends it as well; --json says the same in one line", async (t) => {
    const cwd = emptyFolder(t);
    const { program, place } = await served(t, ["--transports-tcp", "false"], cwd);
    const at = `://127.0.0.1:${place.port}`;
    assert.match(place.sealed, /^posthorn:.*\/#pin=[a-z2-7]{52}$/);
    assert.deepEqual(place, {
      host: "127.0.0.1",
      port: place.port,
      urls: { websocket: `ws${at}`, longPoll: `http${at}` },
      status: `http${at}`,
      data: join(cwd, "posthorn-data"),
      authentication: "none",
      network: "local",
      sealed: place.sealed,
    });
    program.signal("SIGINT");
    const { status, stdout } = await program.ended;
    assert.equal(status, 0);
    assert.equal(stdout, `${JSON.stringify(place)}\n`);
  });

  test("with a certificate, TLS is served and said", async (t) => {
    const files = ["--tls-cert-file", pem("localhost-cert.pem")];
    const { place } = await served(t, [...files, "--tls-key-file", pem("localhost-key.pem")]);
    const schemes = Object.values(place.urls).map((url) => url.split(":")[0]);
    assert.deepEqual(schemes, ["tls", "wss", "https"]);
    const ca = readFileSync(pem("localhost-cert.pem"));
    const socket = connectTls({ host: "127.0.0.1", port: place.port, ca });
    await once(socket, "secureConnect");
    assert.equal(socket.authorized, true);
    socket.destroy();
  });

  test("[LNK-4] TLS offers posthorn/1 and http/1.1, and sniffs what says neither", async (t) => {
    const files = ["--tls-cert-file", pem("localhost-cert.pem")];
    const { place } = await served(t, [...files, "--tls-key-file", pem("localhost-key.pem")]);
    const { port } = place;
    const ca = readFileSync(pem("localhost-cert.pem"));
    const dial = async (ALPNProtocols?: string[]) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port,
        ca,
        ...(ALPNProtocols && { ALPNProtocols }),
      });
      await once(socket, "secureConnect");
      return socket;
    };
    const named = await dial(["posthorn/1"]);
    assert.equal(named.alpnProtocol, "posthorn/1");
    assert.equal((await greet(t, port, { userId: "alice" }, named)).first.kind, "welcome");
    const unnamed = await dial();
    assert.equal(unnamed.alpnProtocol, false);
    assert.equal((await greet(t, port, { userId: "bob" }, unnamed)).first.kind, "welcome");
    const web = await dial(["http/1.1"]);
    assert.equal(web.alpnProtocol, "http/1.1");
    web.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    const [answer] = await once(web, "data");
    assert.match(String(answer), /^HTTP\/1\.1 200 /);
    web.destroy();
  });

  test("[OPS-3] the first signal waits for sessions, the second does not", async (t) => {
    const cwd = emptyFolder(t);
    const args = ["serve", "--port", "0", "--drain-grace-ms", "10m"];
    const program = new Program(t, args, { cwd });
    const port = Number(await program.prints(/tcp:\/\/127\.0\.0\.1:(\d+)\n/));
    const { first, socket } = await greet(t, port, { userId: "alice" });
    assert.equal(first.kind, "welcome");
    socket.write(encodeFrame({ kind: "ready", value: {} }));
    socket.write(encodeFrame({ kind: "ping", value: { id: 1, sentThrough: 0 } }));
    await once(socket, "data");
    // Pings are answered before the attachment is durable, and only then there is one to wait for.
    await program.logs(/session\.attached/);
    program.signal("SIGTERM");
    await program.prints(/Stopping/);
    program.signal("SIGTERM");
    const { status, stdout } = await program.ended;
    assert.equal(status, 1);
    assert.doesNotMatch(stdout, /Stopped/);
  });

  test("[AUT-1] [AUT-2] [AUT-5] with a secret, tokens decide, and no log holds them", async (t) => {
    const cwd = emptyFolder(t);
    await posthorn(t, ["token", "--new-secret", "secret"], { cwd });
    const sign = ["--secret-file", "secret", "--issuer", "id"];
    const token = await posthorn(t, ["token", "alice", ...sign], { cwd });
    const foreign = await posthorn(t, ["token", "alice", "--secret-file", "secret"], { cwd });
    const keys = ["--auth-hmac-secret-file", "secret", "--auth-issuer", "id"];
    const { program, place } = await served(t, [...keys, "--log-level", "debug"], cwd);
    assert.equal(place.authentication, "tokens");
    const refusal = async (text: string, userId = "") => {
      const { first } = await greet(t, place.port, { token: text, userId });
      return first.kind === "close" ? first.value.code : first.kind;
    };
    const good = token.stdout.trim();
    assert.equal(await refusal(good), "welcome");
    assert.equal(await refusal(foreign.stdout.trim()), ErrorCode.TOKEN_FOREIGN);
    assert.equal(await refusal("a-token-of-my-own"), ErrorCode.TOKEN_MALFORMED);
    assert.equal(await refusal("", "alice"), ErrorCode.TOKEN_MALFORMED);
    assert.equal(await refusal(good, "bob"), ErrorCode.HELLO_INVALID);
    program.signal("SIGTERM");
    const { stderr } = await program.ended;
    assert.ok(logged(stderr).includes("link.closed"));
    assert.match(stderr, /"requirement":"AUT-2"/);
    const [header = "", payload = "", signature = ""] = good.split(".");
    for (const piece of [header, payload, signature, "a-token-of-my-own"]) {
      assert.ok(!stderr.includes(piece), "a token is in the log");
    }
  });

  test("serves on when nobody reads what it prints, and still stops cleanly", async (t) => {
    const program = new Program(t, ["serve", "--port", "0"], { cwd: emptyFolder(t) });
    const port = Number(await program.prints(/tcp:\/\/127\.0\.0\.1:(\d+)\n/));
    program.closeStdout();
    const { first } = await greet(t, port, { userId: "alice" });
    assert.equal(first.kind, "welcome");
    program.signal("SIGTERM");
    const { status, stderr } = await program.ended;
    assert.equal(status, 0);
    assert.equal(logged(stderr).at(-1), "server.stopped");
  });

  test("logs text for people when asked to", async (t) => {
    const { program } = await served(t, ["--log-format", "text"]);
    program.signal("SIGTERM");
    const { stderr } = await program.ended;
    assert.match(stderr, /^\S+ info {2}server\.listening host=127\.0\.0\.1 port=\d+$/m);
  });

  test("a port in use is PORT_IN_USE", async (t) => {
    const cwd = emptyFolder(t);
    const other = createServer().listen(0, "127.0.0.1");
    t.after(() => other.close());
    await once(other, "listening");
    const port = String((other.address() as AddressInfo).port);
    const { status, stdout, stderr } = await posthorn(t, ["serve", "--port", port], { cwd });
    assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
    assert.match(stderr, new RegExp(`^posthorn: PORT_IN_USE: [^\n]*${port}[^\n]*\n$`));
  });

  test("[OPS-2] a data folder that another server holds is DATA_LOCKED", async (t) => {
    const cwd = emptyFolder(t);
    await served(t, [], cwd);
    const { status, stdout, stderr } = await posthorn(t, ["serve", "--port", "0"], { cwd });
    assert.deepEqual({ status, stdout }, { status: 1, stdout: "" });
    assert.match(stderr, /^posthorn: DATA_LOCKED: [^\n]*posthorn-data[^\n]*\n$/);
  });

  test("[OPS-2] a data folder that is a file is DATA_UNWRITABLE", async (t) => {
    const cwd = emptyFolder(t);
    writeFileSync(join(cwd, "posthorn-data"), "precious");
    const { status, stderr } = await posthorn(t, ["serve", "--port", "0"], { cwd });
    assert.equal(status, 1);
    assert.match(stderr, /^posthorn: DATA_UNWRITABLE: /);
    assert.equal(readFileSync(join(cwd, "posthorn-data"), "utf8"), "precious");
  });
});

describe("the configuration of posthorn serve", { concurrency: 2 }, () => {
  interface Wrong {
    readonly what: string;
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly says: RegExp;
  }
  const wrong: readonly Wrong[] = [
    {
      what: "[OPS-1] an unknown key in the file",
      args: ["--config", "unknown.json"],
      says: /limits\.linkMax: unknown; did you mean limits\.linksMax\?/,
    },
    {
      what: "[OPS-1] an unknown variable",
      env: { POSTHORN_PROT: "1" },
      says: /POSTHORN_PROT: unknown; did you mean POSTHORN_PORT\?/,
    },
    {
      what: "[OPS-1] an unknown flag",
      args: ["--prot", "1"],
      says: /--prot: unknown; did you mean --port\?\nposthorn serve --help/,
    },
    { what: "[OPS-1] an illegal value", args: ["--port", "high"], says: /--port: "high" is not/ },
    { what: "an argument that is no flag", args: ["4370"], says: /"4370" is one argument/ },
    {
      what: "[AUT-4] a host that others reach, without authentication (P27)",
      args: ["--host", "0.0.0.0"],
      says: /host: without authentication/,
    },
    {
      what: "[SES-11] timers that cannot work (P28)",
      args: ["--timers-idle-default-ms", "50s"],
      says: /timers\.keepalive\.defaultMs/,
    },
    {
      what: "a secret that is not there",
      args: ["--auth-hmac-secret-file", "missing"],
      says: /auth\.hmacSecretFile: cannot read missing \(ENOENT\)/,
    },
    {
      what: "[AUT-1] a secret that is too short",
      args: ["--auth-hmac-secret-file", "short"],
      says: /auth\.hmacSecretFile: a secret needs 32 bytes/,
    },
    {
      what: "[AUT-1] a public key that is none",
      args: ["--auth-public-key-files", "short"],
      says: /auth\.publicKeyFiles: is no public key/,
    },
    {
      what: "an address that is not this machine's",
      args: ["--host", "192.0.2.1", "--auth-hmac-secret-file", "secret"],
      says: /192\.0\.2\.1/,
    },
  ];
  for (const { what, args = [], env = {}, says } of wrong) {
    test(`${what} is CONFIG_INVALID, and nothing is started`, async (t) => {
      const cwd = emptyFolder(t);
      writeFileSync(join(cwd, "unknown.json"), '{"limits": {"linkMax": 1}}');
      writeFileSync(join(cwd, "short"), "hush");
      writeFileSync(join(cwd, "secret"), "s".repeat(32));
      const all = ["serve", ...(args.includes("--port") ? [] : ["--port", "0"]), ...args];
      const { status, stdout, stderr } = await posthorn(t, all, { cwd, env });
      assert.deepEqual({ status, stdout }, { status: 2, stdout: "" }, stderr);
      assert.match(stderr, /^posthorn: CONFIG_INVALID: /);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /hush/);
    });
  }

  test("--print-config shows what flags, environment and file come to", async (t) => {
    const cwd = emptyFolder(t);
    const file = { port: 1, host: "127.0.0.2", limits: { linksMax: 1, frameMs: "2s" } };
    writeFileSync(join(cwd, "posthorn.json"), JSON.stringify(file));
    const env = { POSTHORN_CONFIG: "posthorn.json", POSTHORN_LIMITS_LINKS_MAX: "2" };
    const args = ["serve", "--print-config", "--port", "3"];
    const { status, stdout, stderr } = await posthorn(t, args, { cwd, env });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    const config = JSON.parse(stdout);
    assert.equal(config.port, 3);
    assert.equal(config.host, "127.0.0.2");
    assert.equal(config.limits.linksMax, 2);
    assert.equal(config.limits.frameMs, 2000);
    assert.equal(config.log.level, "info");
    // What it prints is a configuration file itself.
    writeFileSync(join(cwd, "printed.json"), stdout);
    const again = ["serve", "--print-config", "--config", "printed.json"];
    assert.equal((await posthorn(t, again, { cwd })).stdout, stdout);
  });
});
