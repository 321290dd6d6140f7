import { type Agent, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

/** Bytes of an answer's body that are read: enough for the connection to be used again. [BCK-21] */
const ANSWER_BYTES_MAX = 4096;
/** Of an answer's head. */
const HEAD_BYTES_MAX = 16 * 1024;

/** One request to a receiver. */
export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Keeps the connection, and knows by what certificates are checked. */
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

export type PostOutcome =
  | { readonly kind: "answered"; readonly status: number; readonly retryAfter: string | undefined }
  /** The system's name of what happened; never its text, which may hold the address. [BCK-25] */
  | { readonly kind: "unanswered"; readonly reason: string };

/**
 * Sends a request and hears its status. Goes nowhere else, whatever the answer says: Node follows
 * no redirect. Never rejects. [BCK-21]
 */
export async function post(given: Post): Promise<PostOutcome> {
  const first = await attempt(given);
  // A receiver closes kept connections when it likes: as a rule it has read nothing then.
  const isStale = first.kind === "unanswered" && first.wasKept && CLOSED.includes(first.reason);
  const { wasKept: _, ...outcome } = isStale ? await attempt(given) : first;
  return outcome;
}

const CLOSED = ["ECONNRESET", "EPIPE"];

type Attempt = PostOutcome & { readonly wasKept: boolean };

function attempt({ url, headers, body, agent, signal }: Post): Promise<Attempt> {
  return new Promise((resolve) => {
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const request = send(url, {
      method: "POST",
      headers: { ...headers, "content-length": body.length },
      agent,
      signal,
      maxHeaderSize: HEAD_BYTES_MAX,
    });
    request.once("response", (response) => {
      const { statusCode: status = 0 } = response;
      const retryAfter = response.headers["retry-after"];
      const wasKept = request.reusedSocket;
      const answered = { kind: "answered", status, retryAfter, wasKept } as const;
      leave(response, () => resolve(answered));
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? "UNKNOWN";
      resolve({ kind: "unanswered", reason, wasKept: request.reusedSocket });
    });
    request.end(body);
  });
}

/** Reads as much of an answer's body as is worth it. Its status stands, whatever comes of it. */
function leave(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  response.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) response.destroy();
  });
  response.on("error", () => {});
  response.once("close", done);
}
