import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import {
  LongPollService,
  PollRequestSchema,
  PollResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { type Violation, violation } from "../../protocol/violation.ts";
import { type LongPollLinks, LongPollRefusal } from "./longpoll.ts";
import { longPollLibrary } from "./longpoll-library.ts";
import type { OriginRule } from "./origin.ts";
import { type BodyBounds, type BodyFailure, readBody } from "./request-body.ts";

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
  const { sendBytesMax } = links.limits;
  const protoBytesMax = sendBytesMax + REQUEST_OVERHEAD_BYTES;
  // In JSON bytes are base64: four letters for three of them.
  const jsonBytesMax = Math.ceil(sendBytesMax / 3) * 4 + REQUEST_OVERHEAD_BYTES;
  const library = longPollLibrary((router) => routes(router, links), jsonBytesMax);
  return (request, response) => {
    const path = request.url ?? "";
    if (!path.startsWith(PREFIX)) return otherwise(request, response);
    if (!options.originRule(request.headers.origin)) return forbidden(response);
    response.setHeader("Access-Control-Allow-Origin", options.corsOrigin);
    if (request.method === "OPTIONS") return preflight(response);
    const method = isPlainProto(request) ? thinMethods[path.slice(PREFIX.length)] : undefined;
    const bodyBytesMax = method === undefined ? jsonBytesMax : protoBytesMax;
    void typedAnswer({ request, response, bodyMs: options.bodyMs, bodyBytesMax }, async (body) => {
      if (method !== undefined) return await thin(method, { links, response, body });
      const contextValues = createContextValues();
      const peer = request.socket.remoteAddress ?? "";
      contextValues.set(originKey, { peer, isTls: request.socket instanceof TLSSocket });
      return await library({ request, response, body, contextValues });
    });
  };
}

function routes(router: ConnectRouter, links: LongPollLinks): void {
  router.service(LongPollService, {
    open: (request, context) => {
      return typed(() => links.open(request, context.values.get(originKey)));
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

/** Whatever is no refusal and not the library's own error is a defect of ours. */
function connectErrorOf(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const isRefusal = error instanceof LongPollRefusal;
  const code = isRefusal ? error.violation.code : ErrorCode.INTERNAL;
  const value = create(ErrorDetailSchema, { code });
  const details = [{ desc: ErrorDetailSchema, value }];
  const message = isRefusal ? error.message : "a defect";
  return new ConnectError(message, connectCodeOf(code), undefined, details);
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
    case ErrorCode.TRANSPORT_NOT_SERVED:
      return Code.PermissionDenied;
    case ErrorCode.INTERNAL:
      return Code.Internal;
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

/** The socket's own: a header could say anything. [LNK-11] */
const originKey = createContextKey({ peer: "", isTls: false });

function forbidden(response: ServerResponse): void {
  const detail = "pages of other sites may not connect here";
  const because = violation(ErrorCode.TRANSPORT_NOT_SERVED, "AUT-6", detail);
  answerError(response, new LongPollRefusal(because));
}

function answerError(response: ServerResponse, error: unknown): void {
  const connectError = connectErrorOf(error);
  const bytes = errorToJsonBytes(connectError, {});
  response.writeHead(codeToHttpStatus(connectError.code), {
    "Content-Type": "application/json",
    "Content-Length": bytes.length,
  });
  response.end(bytes);
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
    return toBinary(SendResponseSchema, links.send(decoded(SendRequestSchema, body)));
  },
  Poll: async (links, body, aborted) => {
    const request = decoded(PollRequestSchema, body);
    return toBinary(PollResponseSchema, await links.poll(request, aborted));
  },
};

function decoded<Desc extends DescMessage>(desc: Desc, body: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(desc, body);
  } catch {
    throw new LongPollRefusal(violation(ErrorCode.REQUEST_INVALID, "LNK-11", "not a request"));
  }
}

interface Exchange extends BodyBounds {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Reads a request and has it answered, with an error where there is nothing else to say. */
async function typedAnswer(
  exchange: Exchange,
  answer: (body: Uint8Array) => Promise<void>,
): Promise<void> {
  const { response } = exchange;
  try {
    const body = await readBody(exchange.request, exchange);
    if (typeof body === "string") throw new LongPollRefusal(bodyViolation(body, exchange));
    await answer(body);
  } catch (error) {
    if (!response.headersSent && !response.destroyed) answerError(response, error);
  }
}

function bodyViolation(failure: BodyFailure, { bodyBytesMax }: BodyBounds): Violation {
  return failure === "late"
    ? violation(ErrorCode.TOO_SLOW, "LNK-6", "the body was not finished in time")
    : violation(ErrorCode.REQUEST_INVALID, "LNK-11", `a body above ${bodyBytesMax} bytes`);
}

async function thin(
  method: ThinMethod,
  given: {
    readonly links: LongPollLinks;
    readonly response: ServerResponse;
    readonly body: Uint8Array;
  },
): Promise<void> {
  const { links, response, body } = given;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const answer = await method(links, body, gone.signal);
  response.writeHead(200, {
    "Content-Type": "application/proto",
    "Content-Length": answer.length,
  });
  response.end(answer);
}
