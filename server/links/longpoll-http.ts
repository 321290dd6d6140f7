import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import {
  LongPollService,
  PollRequestSchema,
  PollResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { violation } from "../../protocol/violation.ts";
import { type LongPollLinks, LongPollRefusal } from "./longpoll.ts";
import type { OriginRule } from "./origin.ts";

/** Room for a request's fields besides its data. */
const REQUEST_OVERHEAD_BYTES = 1024;
const PREFIX = `/${LongPollService.typeName}/`;

export interface LongPollHttpOptions {
  /** From a request's first byte to its last. [LNK-6] */
  readonly bodyMs: number;
  /**
   * Access-Control-Allow-Origin; the link id in the body is the only credential, never a cookie.
   */
  readonly corsOrigin: string;
  /** Which web pages may call at all. */
  readonly originRule: OriginRule;
}

/**
 * LongPollService over HTTP. Its two hot methods answer `application/proto` by a thin handler that
 * speaks the same wire as the library, at a twelfth of its cost; everything else (JSON, gRPC-Web,
 * Open, Close) is the library's.
 *
 * @returns a listener that answers its own paths and leaves the others to `otherwise`
 */
export function longPollHttp(
  links: LongPollLinks,
  options: LongPollHttpOptions,
  otherwise: RequestListener,
): RequestListener {
  const library = connectNodeAdapter({
    routes: (router) => routes(router, links),
    contextValues: (request) => {
      return createContextValues().set(peerKey, request.socket.remoteAddress ?? "");
    },
    readMaxBytes: links.limits.sendBytesMax + REQUEST_OVERHEAD_BYTES,
    grpc: false,
  });
  return (request, response) => {
    const path = request.url ?? "";
    if (!path.startsWith(PREFIX)) return otherwise(request, response);
    if (!options.originRule(request.headers.origin)) return forbidden(response);
    response.setHeader("Access-Control-Allow-Origin", options.corsOrigin);
    if (request.method === "OPTIONS") return preflight(response);
    const method = isPlainProto(request) ? thinMethods[path.slice(PREFIX.length)] : undefined;
    if (method === undefined) return library(request, response);
    void thin(method, links, { request, response, bodyMs: options.bodyMs });
  };
}

function routes(router: ConnectRouter, links: LongPollLinks): void {
  router.service(LongPollService, {
    open: (request, context) => {
      return typed(() => links.open(request, context.values.get(peerKey)));
    },
    send: (request) => typed(() => links.send(request)),
    poll: (request, context) => typed(() => links.poll(request, context.signal)),
    close: (request) => links.close(request.linkId),
  });
}

/** Turns refusals into Connect errors with our code as a detail. [ERR-1] */
function typed<Result>(call: () => Result | Promise<Result>): Result | Promise<Result> {
  try {
    const result = call();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw connectErrorOf(error);
    });
  } catch (error) {
    throw connectErrorOf(error);
  }
}

function connectErrorOf(error: unknown): unknown {
  if (!(error instanceof LongPollRefusal)) return error;
  const { code, detail } = error.violation;
  const value = create(ErrorDetailSchema, { code });
  const details = [{ desc: ErrorDetailSchema, value }];
  return new ConnectError(detail, connectCodeOf(code), undefined, details);
}

function connectCodeOf(code: ErrorCode): Code {
  switch (code) {
    case ErrorCode.LINK_UNKNOWN:
      return Code.NotFound;
    case ErrorCode.POLL_SUPERSEDED:
      return Code.Aborted;
    case ErrorCode.TOO_MANY_LINKS:
      return Code.ResourceExhausted;
    case ErrorCode.TOO_SLOW:
      return Code.DeadlineExceeded;
    default:
      return Code.InvalidArgument;
  }
}

function isPlainProto({ method, headers }: IncomingMessage): boolean {
  const encoding = headers["content-encoding"] ?? "identity";
  const timeout = headers["connect-timeout-ms"];
  const plain = encoding === "identity" && timeout === undefined;
  return method === "POST" && headers["content-type"] === "application/proto" && plain;
}

/** The socket's address: a header could say anything. [LNK-11] */
const peerKey = createContextKey("");

function forbidden(response: ServerResponse): void {
  const message = "pages of other sites may not connect here";
  const body = `${JSON.stringify({ code: "permission_denied", message })}\n`;
  response.writeHead(403, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function preflight(response: ServerResponse): void {
  response.writeHead(204, {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms",
    "Access-Control-Max-Age": "7200",
  });
  response.end();
}

type ThinMethod = (
  links: LongPollLinks,
  body: Uint8Array,
  aborted: AbortSignal,
) => Uint8Array | Promise<Uint8Array>;

const thinMethods: Readonly<Record<string, ThinMethod>> = {
  Send: (links, body) => {
    return toBinary(SendResponseSchema, links.send(fromBinary(SendRequestSchema, body)));
  },
  Poll: async (links, body, aborted) => {
    const request = fromBinary(PollRequestSchema, body);
    return toBinary(PollResponseSchema, await links.poll(request, aborted));
  },
};

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly bodyMs: number;
}

async function thin(method: ThinMethod, links: LongPollLinks, exchange: Exchange): Promise<void> {
  const { response } = exchange;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    const body = await readBody(exchange, links.limits.sendBytesMax + REQUEST_OVERHEAD_BYTES);
    const answer = await method(links, body, gone.signal);
    response.writeHead(200, {
      "Content-Type": "application/proto",
      "Content-Length": answer.length,
    });
    response.end(answer);
  } catch (error) {
    const known = error instanceof LongPollRefusal ? connectErrorOf(error) : malformed(error);
    const connectError = known as ConnectError;
    const answer = errorToJsonBytes(connectError, {});
    if (response.headersSent || response.destroyed) return;
    response.writeHead(codeToHttpStatus(connectError.code), {
      "Content-Type": "application/json",
      "Content-Length": answer.length,
    });
    response.end(answer);
  }
}

function malformed(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const value = create(ErrorDetailSchema, { code: ErrorCode.REQUEST_INVALID });
  const details = [{ desc: ErrorDetailSchema, value }];
  return new ConnectError("not a valid request", Code.InvalidArgument, undefined, details);
}

/** Reads a request's body within a time and a size; what is beyond is not kept. */
function readBody({ request, bodyMs }: Exchange, bytesMax: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const late = setTimeout(() => {
      fail(ErrorCode.TOO_SLOW, "LNK-6", "the body was not finished in time");
    }, bodyMs);
    const fail = (code: ErrorCode, requirement: string, detail: string) => {
      clearTimeout(late);
      request.off("data", gather);
      request.resume();
      reject(new LongPollRefusal(violation(code, requirement, detail)));
    };
    const gather = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) {
        return fail(ErrorCode.REQUEST_INVALID, "LNK-11", `a body above ${bytesMax} bytes`);
      }
      chunks.push(chunk);
    };
    request.on("data", gather);
    request.once("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
    request.once("end", () => {
      clearTimeout(late);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
  });
}
