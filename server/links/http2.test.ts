import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { type AddressInfo, createServer, type Server, connect as tcpConnect } from "node:net";
import { after, before, test } from "node:test";
import { sniffHttp } from "../../protocol/sniff.ts";
import { Http2Entrance, STREAMS_MAX } from "./http2.ts";

const IDLE_MS = 150;
const QUIET_MS = 1_000;
const entrance = new Http2Entrance(
  (request, response) => {
    if (request.url === "/never") return;
    response.writeHead(200, { "Content-Type": "text/plain" });
    response.end(`${request.method} ${request.url}`);
  },
  { idleMs: IDLE_MS, quietMs: QUIET_MS },
);
let server: Server;
let port = 0;
before(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once("data", (first) => {
      socket.pause();
      socket.unshift(first);
      entrance.accept(socket);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.close();
  entrance.close();
});

const session = () => connect(`http://127.0.0.1:${port}`);
const closed = (one: ClientHttp2Session) => once(one, "close");

async function textOf(one: ClientHttp2Session, path: string): Promise<string> {
  const stream = one.request({ ":path": path });
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

test("[LNK-3] what begins with the preface of HTTP/2 is told apart from HTTP/1.1", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (let length = 0; length < preface.length; length += 1) {
    assert.equal(sniffHttp(bytes(preface.slice(0, length))), "more");
    const other = `${preface.slice(0, length)}\0`;
    assert.equal(sniffHttp(bytes(other)), "http1");
  }
  assert.equal(sniffHttp(bytes(preface)), "http2");
  assert.equal(sniffHttp(bytes(`${preface}\0\0\0`)), "http2");
  assert.equal(sniffHttp(bytes("GET / HTTP/1.1\r\n")), "http1");
  assert.equal(sniffHttp(bytes("PRI * HTTP/2.1\r\n")), "http1");
});

test("[SVC-10] a connection without a request is closed, and one with a request is not", async () => {
  const silent = session();
  await closed(silent);
  const busy = session();
  const never = busy.request({ ":path": "/never" });
  never.on("error", () => {});
  const startedMs = performance.now();
  while (performance.now() - startedMs < 3 * IDLE_MS) {
    assert.equal(await textOf(busy, "/again"), "GET /again");
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(busy.closed, false);
  never.close();
  await closed(busy);
});

test("[SVC-10] a request on which nothing moves is cut", async () => {
  const one = session();
  const never = one.request({ ":path": "/never" });
  await once(never, "close").catch(() => {});
  assert.equal(never.rstCode, constants.NGHTTP2_CANCEL);
  assert.equal(await textOf(one, "/again"), "GET /again");
  one.destroy();
});

test("[SVC-10] no more streams and no larger heads than are granted", async () => {
  const one = session();
  await once(one, "remoteSettings");
  assert.equal(one.remoteSettings.maxConcurrentStreams, STREAMS_MAX);
  assert.equal(one.remoteSettings.maxHeaderListSize, 16 * 1024);
  const large = one.request({ ":path": "/large", "x-large": "x".repeat(20_000) });
  const outcome = await new Promise((resolve) => {
    large.on("error", () => resolve("refused"));
    large.on("response", ({ ":status": status }) => resolve(status));
    large.on("close", () => resolve("closed"));
  });
  assert.notEqual(outcome, 200);
  one.destroy();
});

test("[LNK-6] a connection that its peer has ended, or broken, is gone", async () => {
  for (const bytes of ["", "\0\0\0\0\0\0\0\0\0", "\xff".repeat(100)]) {
    const socket = tcpConnect(port, "127.0.0.1");
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.end(Buffer.from(bytes, "latin1"));
    socket.resume();
    socket.on("error", () => {});
    await once(socket, "close");
  }
});
