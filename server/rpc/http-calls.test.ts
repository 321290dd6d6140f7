import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  KeyDirectoryService,
  ListDevicesRequestSchema,
  ListDevicesResponseSchema,
} from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { ERROR_RULES } from "../../gen/posthorn/v1/error_rules.ts";
import { callStatus } from "../../protocol/session/call-status.ts";
import { AddressBudget } from "../links/address-budget.ts";
import { Http2Entrance } from "../links/http2.ts";
import { anyOrigin } from "../links/origin.ts";
import { Services } from "../services/service.ts";
import {
  HTTP_CALLS_MAX,
  HTTP_REQUEST_BYTES_MAX,
  type HttpCallOptions,
  httpCalls,
} from "./http-calls.ts";

const PATH = "/posthorn.v1.KeyDirectoryService/ListDevices";
const JSON_TYPE = { "Content-Type": "application/json" };
const NO_LIMIT = { atOnce: 1, perSecond: 0 };
const NO_RATES = { addressLinks: NO_LIMIT, addressCalls: NO_LIMIT, addressFailures: NO_LIMIT };
const TIMES = { bodyMs: 300, callMs: 700 };

type ListDevices = (userId: string) => Promise<object>;
let listDevices: ListDevices = async () => ({});
let failures: unknown[] = [];
let answers: ErrorCode[] = [];
let endedId = "";
let server: Server;
let port = 0;

const options: HttpCallOptions = {
  services: new Services({ roleIn: async () => undefined }).add(KeyDirectoryService, {
    listDevices: async ({ userId }) => await listDevices(userId),
  }),
  authenticator: {
    authenticate: async ({ token, userId, deviceId }) =>
      token === "good" && userId === ""
        ? { kind: "authenticated", principal: { tenant: "", userId: deviceId || "ann" } }
        : { kind: "refused", code: ErrorCode.TOKEN_MALFORMED, requirement: "", detail: "" },
  },
  isOpen: false,
  isEnded: async ({ deviceId }) => deviceId === endedId,
  addresses: new AddressBudget(NO_RATES, () => 0),
  isTaken: () => true,
  originRule: anyOrigin,
  corsOrigin: "*",
  ...TIMES,
  responseBytesMax: 1_000_000,
  backendBytesMax: 1_000_000,
  failed: (...failure) => void failures.push(failure),
  answered: (code) => void answers.push(code),
};
const answer = httpCalls(options, (_request, response) => response.writeHead(404).end("other"));
const entrance = new Http2Entrance(answer, { quietMs: 10_000 });

before(async () => {
  server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.close();
  server.closeAllConnections();
  entrance.close();
});
beforeEach(() => {
  listDevices = async () => ({});
  failures = [];
  answers = [];
  endedId = "";
});

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

async function ask({ path = PATH, method = "POST", headers = {}, body = "{}" }: Asked = {}) {
  const given = { ...JSON_TYPE, Authorization: "Bearer good", ...headers };
  const init = method === "POST" ? { method, headers: given, body } : { method, headers: given };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Our code in Connect's JSON, by its name in the details that clients show to people. */
function codeIn(text: string): ErrorCode {
  const { details } = JSON.parse(text) as { details: { type: string; value: string }[] };
  assert.equal(details[0]?.type, "posthorn.v1.ErrorDetail");
  const bytes = Buffer.from(details[0]?.value as string, "base64");
  assert.equal(bytes[0], 0x08);
  return (((bytes[1] as number) & 0x7f) | ((bytes[2] ?? 0) << 7)) as ErrorCode;
}

test("[SVC-6] what is no call of a method is refused with a code", async () => {
  const { CALL_MALFORMED, METHOD_UNKNOWN } = ErrorCode;
  const gzip = { "Content-Encoding": "gzip" };
  const cases: readonly (readonly [Asked, number, ErrorCode])[] = [
    [{ method: "GET" }, 405, CALL_MALFORMED],
    [{ method: "DELETE" }, 405, CALL_MALFORMED],
    [{ headers: { "Content-Type": "text/plain" } }, 415, CALL_MALFORMED],
    [{ headers: { "Content-Type": "application/connect+json" } }, 415, CALL_MALFORMED],
    [{ headers: { "Content-Type": "application/grpc" } }, 415, CALL_MALFORMED],
    [{ body: "" }, 400, CALL_MALFORMED],
    [{ body: "{" }, 400, CALL_MALFORMED],
    [{ body: "[]" }, 400, CALL_MALFORMED],
    [{ body: '{"userId":7}' }, 400, CALL_MALFORMED],
    [{ body: Uint8Array.of(0x22, 0xff, 0x22) }, 400, CALL_MALFORMED],
    [{ headers: gzip }, 400, CALL_MALFORMED],
    [{ headers: { "Connect-Timeout-Ms": "soon" } }, 400, CALL_MALFORMED],
    [{ headers: { "Content-Type": "application/proto" }, body: "\x0a\x05" }, 400, CALL_MALFORMED],
    [{ path: "/posthorn.v1.KeyDirectoryService/ListOthers" }, 501, METHOD_UNKNOWN],
  ];
  for (const [asked, status, code] of cases) {
    const refused = await ask(asked);
    const what = JSON.stringify(asked);
    assert.deepEqual([refused.status, codeIn(refused.text)], [status, code], what);
  }
  assert.equal((await ask({ path: "/posthorn.v1.OtherService/List" })).text, "other");
  assert.equal((await ask({ path: `${PATH}/more` })).text, "other");
  const typed = { "Content-Type": "application/json; charset=utf-8" };
  const unknownField = await ask({ body: '{"colour":"red"}', headers: typed });
  assert.deepEqual([unknownField.status, unknownField.text], [200, "{}"]);
});

test("[SVC-6] gRPC-Web's message is whole, alone and not compressed", async () => {
  const headers = { "Content-Type": "application/grpc-web+proto" };
  const bodies = [
    "",
    "\0\0\0\0",
    "\0\0\0\0\x01",
    "\0\0\0\0\0\0",
    "\x01\0\0\0\0",
    "\0\xff\xff\xff\xff",
  ];
  for (const body of bodies) {
    const refused = await ask({ headers, body: Buffer.from(body, "latin1") });
    assert.equal(refused.status, 200);
    assert.equal(refused.headers.get("grpc-status"), String(Code.InvalidArgument));
    assert.ok(refused.headers.get("grpc-status-details-bin"));
  }
  const whole = await ask({ headers, body: Buffer.from("\0\0\0\0\0", "latin1") });
  assert.match(whole.text, /grpc-status: 0\r\n$/);
  for (const timeout of ["1", "S", "123456789S", "1.5S"]) {
    const asked = { headers: { ...headers, "grpc-timeout": timeout }, body: "\0\0\0\0\0" };
    assert.equal((await ask(asked)).headers.get("grpc-status"), String(Code.InvalidArgument));
  }
});

test("[SVC-9] statuses are those of the specification's table", () => {
  const page = readFileSync(join(import.meta.dirname, "../../spec/17-services.md"), "utf8");
  const rows = page.matchAll(/^\| (.+) \| (?:[a-z]+_)*[a-z]+, (\d+) \|$/gm);
  const stated = new Map<string, number>();
  for (const [, names = "", status] of rows) {
    for (const name of names.split(", ")) stated.set(name, Number(status));
  }
  const other = stated.get("every other one");
  assert.equal(other, Code.InvalidArgument);
  for (const { code, name } of ERROR_RULES.values()) {
    assert.equal(callStatus(code as ErrorCode), stated.get(name) ?? other, name);
    stated.delete(name);
  }
  assert.deepEqual([...stated.keys()], ["every other one"]);
});

test("[SVC-7] [SVC-10] who is nobody is told so before anything of the body has come", async () => {
  const socket = connect(port, "127.0.0.1");
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: 1000000000\r\n\r\n`);
  const [first] = await once(socket, "data");
  assert.match(String(first), /^HTTP\/1.1 401 /);
  assert.match(String(first), /WWW-Authenticate: Bearer/);
  socket.destroy();
});

test("[SVC-7] [RPC-8] a token says who asks, and a device may say which it is", async () => {
  let callers: string[] = [];
  listDevices = async (userId) => {
    callers = [...callers, userId];
    return {};
  };
  const { CREDENTIALS_REQUIRED, TOKEN_MALFORMED } = ErrorCode;
  const cases: readonly (readonly [Readonly<Record<string, string>>, ErrorCode])[] = [
    [{ Authorization: "" }, CREDENTIALS_REQUIRED],
    [{ Authorization: "good" }, CREDENTIALS_REQUIRED],
    [{ Authorization: "Bearer" }, CREDENTIALS_REQUIRED],
    [{ Authorization: "Basic Z29vZA==" }, CREDENTIALS_REQUIRED],
    [{ Authorization: "Bearer good good" }, CREDENTIALS_REQUIRED],
    [{ Authorization: "Bearer bad" }, TOKEN_MALFORMED],
    [{ "Posthorn-Device": "no device" }, CREDENTIALS_REQUIRED],
    [{ "Posthorn-Device": "x".repeat(65) }, CREDENTIALS_REQUIRED],
  ];
  for (const [headers, code] of cases) {
    const refused = await ask({ headers });
    assert.deepEqual([refused.status, codeIn(refused.text)], [401, code], JSON.stringify(headers));
  }
  assert.deepEqual(callers, []);
  const given = { Authorization: "bearer good", "Posthorn-Device": "phone" };
  assert.equal((await ask({ headers: given, body: '{"userId":"bob"}' })).status, 200);
  assert.deepEqual(callers, ["bob"]);
});

test("[SVC-10] a body has a size and a time", async () => {
  const asked = { body: JSON.stringify({ userId: "x".repeat(HTTP_REQUEST_BYTES_MAX) }) };
  const large = await ask(asked);
  assert.deepEqual([large.status, codeIn(large.text)], [400, ErrorCode.MESSAGE_TOO_LARGE]);
  const socket = connect(port, "127.0.0.1");
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n`;
  socket.write(`${head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{`);
  const [first] = await once(socket, "data");
  assert.match(String(first), /^HTTP\/1.1 504 /);
  const body = String(first).split("\r\n\r\n")[1] as string;
  assert.equal(codeIn(body), ErrorCode.TOO_SLOW);
  socket.destroy();
});

test("[SVC-10] a call that takes longer than its caller waits is given up", async () => {
  listDevices = () => new Promise(() => {});
  const late = await ask({ headers: { "Connect-Timeout-Ms": "20" } });
  assert.deepEqual([late.status, codeIn(late.text)], [504, ErrorCode.TOO_SLOW]);
  const headers = { "Content-Type": "application/grpc-web", "grpc-timeout": "20m" };
  const web = await ask({ headers, body: Buffer.alloc(5) });
  assert.equal(web.headers.get("grpc-status"), String(Code.DeadlineExceeded));
});

test("[SVC-10] a connection has so many calls at a time, however they are sent", async () => {
  const waiting: (() => void)[] = [];
  listDevices = () => new Promise((resolve) => waiting.push(() => resolve({})));
  const socket = connect(port, "127.0.0.1");
  const request =
    `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n` +
    "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  socket.write(request.repeat(HTTP_CALLS_MAX + 5));
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  };
  await until(() => waiting.length === HTTP_CALLS_MAX);
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk;
  });
  for (const release of waiting) release();
  const count = (pattern: RegExp) => said.match(pattern)?.length ?? 0;
  await until(() => count(/HTTP\/1.1 /g) === HTTP_CALLS_MAX + 5);
  assert.equal(count(/HTTP\/1.1 200 /g), HTTP_CALLS_MAX);
  assert.equal(count(/HTTP\/1.1 429 /g), 5);
  socket.write(request);
  await until(() => waiting.length > HTTP_CALLS_MAX);
  waiting.at(-1)?.();
  await until(() => count(/HTTP\/1.1 200 /g) === HTTP_CALLS_MAX + 1);
  socket.destroy();
});

const LARGE = { accountKey: { ed25519: new Uint8Array(900_000) } };

test("[SVC-10] whoever does not read is cut", async () => {
  listDevices = async () => LARGE;
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const request =
    `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n` +
    "Content-Type: application/proto\r\nContent-Length: 0\r\n\r\n";
  socket.write(request.repeat(50));
  const [connection] = await once(server, "connection");
  await once(connection, "close");
  socket.destroy();
});

test("[SVC-10] over HTTP/2 the stream is cut, and the connection goes on", async () => {
  listDevices = async (userId) => (userId === "" ? LARGE : {});
  const front = (await import("node:net")).createServer((socket) => entrance.accept(socket));
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  const session = connectHttp2(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  const headers = {
    ":method": "POST",
    ":path": PATH,
    authorization: "Bearer good",
    "content-type": "application/grpc",
  };
  const unread = session.request(headers);
  unread.on("error", () => {});
  unread.end(Buffer.alloc(5));
  await once(unread, "response");
  unread.pause();
  // Flow control holds the rest back: the service's time ends it.
  await once(unread, "close").catch(() => {});
  const read = session.request(headers);
  let trailers: { readonly "grpc-status"?: unknown } = {};
  read.on("trailers", (given) => {
    trailers = given;
  });
  const message = toBinary(
    ListDevicesRequestSchema,
    create(ListDevicesRequestSchema, { userId: "a" }),
  );
  read.end(Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]));
  read.resume();
  await once(read, "close");
  assert.equal(trailers["grpc-status"], "0");
  session.destroy();
  front.close();
});

test("[RPC-6] [SVC-10] what is too large for a frame is no answer in any form", async () => {
  const length = options.responseBytesMax;
  listDevices = async () => ({ accountKey: { ed25519: new Uint8Array(length) } });
  for (const contentType of ["application/json", "application/proto"]) {
    const body = contentType.endsWith("json") ? "{}" : "";
    const refused = await ask({ headers: { "Content-Type": contentType }, body });
    assert.deepEqual([refused.status, codeIn(refused.text)], [503, ErrorCode.CALL_FAILED]);
  }
  const most = toBinary(ListDevicesResponseSchema, create(ListDevicesResponseSchema, LARGE));
  assert.ok(most.length < length);
});

test("[RPC-5] trouble of the service is CALL_FAILED, and told to the operator only", async () => {
  listDevices = async () => {
    throw new Error("a secret of the house");
  };
  const refused = await ask();
  assert.deepEqual([refused.status, codeIn(refused.text)], [503, ErrorCode.CALL_FAILED]);
  assert.ok(!refused.text.includes("secret"));
  assert.equal(failures.length, 1);
});

test("[SVC-6] pages may ask what they may", async () => {
  const preflight = await ask({ method: "OPTIONS", headers: { Origin: "https://chat.example" } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /Authorization/);
  const answered = await ask({ headers: { Origin: "https://chat.example" } });
  assert.match(answered.headers.get("access-control-expose-headers") ?? "", /Grpc-Status/);
});

test("[DEV-12] a device that was ended is not answered, nor one that is ended while it asks", async () => {
  let asked = 0;
  listDevices = async () => {
    asked += 1;
    endedId = "tablet";
    return {};
  };
  endedId = "phone";
  const by = (deviceId: string) => ask({ headers: { "Posthorn-Device": deviceId } });
  const phone = await by("phone");
  assert.deepEqual([phone.status, codeIn(phone.text)], [403, ErrorCode.DEVICE_ENDED]);
  assert.equal(asked, 0);
  const tablet = await by("tablet");
  assert.deepEqual([tablet.status, codeIn(tablet.text)], [403, ErrorCode.DEVICE_ENDED]);
  assert.equal(asked, 1);
  assert.equal((await by("laptop")).status, 200);
  assert.equal((await ask()).status, 200, "who says no device is asked for none");
});

test("[LIM-7] what calls are answered with is counted", async () => {
  await ask();
  await ask({ body: "[]" });
  await ask({ method: "GET" });
  await ask({ headers: { Authorization: "" } });
  listDevices = () => Promise.reject(new Error("trouble"));
  await ask();
  const { UNSPECIFIED, CALL_MALFORMED, CREDENTIALS_REQUIRED, CALL_FAILED } = ErrorCode;
  const expected = [UNSPECIFIED, CALL_MALFORMED, CALL_MALFORMED, CREDENTIALS_REQUIRED, CALL_FAILED];
  assert.deepEqual(answers, expected);
});
