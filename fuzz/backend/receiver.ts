import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** What a receiver does with a request. */
export type Manner =
  | "takes"
  | "takes and says much"
  | "takes and is cut"
  | "refuses"
  | "asks for time"
  | "redirects"
  | "hangs"
  | "hangs in its answer"
  | "resets"
  | "says too much"
  | "lies in its head"
  | "is gone";

/** A request as it came, whole. */
export interface Received {
  readonly id: string;
  readonly seconds: number;
  readonly signatures: readonly string[];
  readonly body: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly manner: Manner;
}

interface Told {
  readonly type: string;
  readonly webhook: string;
  readonly userId: string;
  readonly timelineEpoch: string;
  readonly events: readonly {
    readonly seq: string;
    readonly event: { readonly message?: { readonly content?: { readonly text?: string } } };
  }[];
}

/** A receiver of webhooks on this machine, with manners that a test sets. */
export class Receiver {
  readonly requests: Received[] = [];
  /** Decides what comes of the next request. */
  manner: () => Manner = () => "takes";
  /** Called when a request came whole, before anything is answered. */
  onRequest: (request: Received) => void = () => {};
  port = 0;
  readonly #server: Server;

  private constructor(tls?: { readonly cert: string; readonly key: string }) {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      void this.#take(request, response);
    };
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server.keepAliveTimeout = 60_000;
  }

  /** @param port 0: a free one */
  static async open(
    tls?: { readonly cert: string; readonly key: string },
    port = 0,
  ): Promise<Receiver> {
    const receiver = new Receiver(tls);
    receiver.#server.listen(port, "127.0.0.1");
    await once(receiver.#server, "listening");
    receiver.port = (receiver.#server.address() as AddressInfo).port;
    return receiver;
  }

  /** A visit of somebody else: what was sent before mostly has come when it is over. */
  async visit(): Promise<void> {
    await (await fetch(`http://127.0.0.1:${this.port}/`)).text();
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    if (request.method === "GET") return void response.writeHead(204).end();
    const manner = this.manner();
    const { headers } = request;
    const received = {
      id: String(headers["webhook-id"]),
      seconds: Number(headers["webhook-timestamp"]),
      signatures: String(headers["webhook-signature"]).split(" "),
      body: Buffer.concat(chunks).toString("utf8"),
      path: request.url ?? "",
      headers,
      manner,
    };
    this.requests.push(received);
    this.onRequest(received);
    response.on("error", () => {});
    answer(manner, request, response);
  }
}

/** Whether a manner is an answer that the request was taken. */
export function isTaken(manner: Manner): boolean {
  return manner.startsWith("takes") || manner === "hangs in its answer";
}

function answer(manner: Manner, request: IncomingMessage, response: ServerResponse): void {
  switch (manner) {
    case "takes":
      return void response.writeHead(204).end();
    case "takes and says much":
      return endless(response.writeHead(200));
    case "takes and is cut":
      response.writeHead(200, { "content-length": "100" });
      return void response.write("a", () => request.socket.destroy());
    case "refuses":
      return void response.writeHead(500).end("no");
    case "asks for time":
      return void response.writeHead(503, { "retry-after": "100" }).end();
    case "redirects":
      return void response.writeHead(307, { location: "/elsewhere" }).end();
    case "hangs":
      return;
    case "hangs in its answer":
      return void response.writeHead(200, { "content-length": "100" }).write("a");
    case "resets":
      return void request.socket.resetAndDestroy();
    case "says too much":
      return endless(response.writeHead(500));
    case "lies in its head":
      return void request.socket.end(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}\r\n\r\n`);
    case "is gone":
      return void response.writeHead(410).end();
  }
}

/** Until nobody reads any more. */
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, "x");
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

/** What a request's body says. */
export function toldBy({ body }: Received): Told {
  return JSON.parse(body) as Told;
}

export function seqsOf(received: Received): number[] {
  return toldBy(received).events.map(({ seq }) => Number(seq));
}

/** Checks a signature as Standard Webhooks 1.0.0 says, by nothing of ours. */
export function isSignedWith(secret: string, { id, seconds, body, signatures }: Received): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  return signatures.includes(`v1,${expected}`);
}
