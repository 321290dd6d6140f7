import { assert } from "../../protocol/violation.ts";
import type { Changes } from "./changes.ts";
import { type Leaving, Wire } from "./wire.ts";

/** One answer, whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A request's bytes, as they stand on the wire. */
export function requestBytes({ path, headers = {}, body }: HttpRequest): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head =
    `POST ${path} HTTP/1.1\r\nHost: x\r\n${lines.join("")}` +
    `Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** One HTTP/1.1 connection, over which requests may follow each other unanswered. */
export class HttpWire {
  readonly answers: HttpAnswer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #taken = 0;
  readonly #wire: Wire;

  static async open(port: number, changes?: Changes): Promise<HttpWire> {
    const taker: { take: (bytes: Buffer) => void } = { take: () => {} };
    const wire = await Wire.open(port, (bytes) => taker.take(bytes), changes);
    const http = new HttpWire(wire);
    taker.take = (bytes) => http.#take(bytes);
    return http;
  }

  private constructor(wire: Wire) {
    this.#wire = wire;
  }

  get wire(): Wire {
    return this.#wire;
  }

  /** The next answer that nobody took. @throws Error when the service ends without one */
  async answer(what: string): Promise<HttpAnswer> {
    const index = this.#taken;
    this.#taken += 1;
    const has = () => this.answers.length > index;
    await this.#wire.changes.until(() => has() || this.#wire.ended, `an answer to ${what}`);
    assert(has(), `${what} is answered before the connection ends`);
    return this.answers[index] as HttpAnswer;
  }

  async call(request: HttpRequest): Promise<HttpAnswer> {
    this.#wire.write(requestBytes(request));
    return await this.answer(request.path);
  }

  leave(leaving: Leaving): void {
    this.#wire.leave(leaving);
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const read = readAnswer(this.#rest);
      if (read === undefined) return;
      this.#rest = this.#rest.subarray(read.length);
      if (read.answer.status >= 200) this.answers.push(read.answer);
    }
  }
}

/** The answer that these bytes begin with, and how long it is; undefined while it is not whole. */
export function readAnswer(
  bytes: Buffer,
): { readonly answer: HttpAnswer; readonly length: number } | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const match = /^HTTP\/1\.1 (\d{3}) /.exec(`${first} `);
  assert(match !== null, `a status line, not ${JSON.stringify(first)}`);
  const status = Number(match[1]);
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const start = headEnd + 4;
  const body = readBody(bytes, start, { status, headers });
  return body && { answer: { status, headers, body: body.bytes }, length: body.end };
}

/** By its length or in chunks (RFC 9112 sections 6 and 7.1). */
function readBody(
  bytes: Buffer,
  start: number,
  head: { readonly status: number; readonly headers: ReadonlyMap<string, string> },
): { readonly bytes: Buffer; readonly end: number } | undefined {
  const { status, headers } = head;
  if (status < 200 || status === 204) return { bytes: Buffer.alloc(0), end: start };
  if (headers.get("transfer-encoding") !== "chunked") {
    const end = start + Number(headers.get("content-length") ?? 0);
    return end > bytes.length ? undefined : { bytes: bytes.subarray(start, end), end };
  }
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const length = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const end = lineEnd + 2 + length + 2;
    if (end > bytes.length) return undefined;
    if (length === 0) return { bytes: Buffer.concat(chunks), end };
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = end;
  }
}
