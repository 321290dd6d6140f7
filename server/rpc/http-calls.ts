import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { AddressBudget } from "../links/address-budget.ts";
import type { OriginRule } from "../links/origin.ts";
import { readBody } from "../links/request-body.ts";
import type { Caller } from "../services/access.ts";
import { CallRefused, type ServedMethod, type Services } from "../services/service.ts";
import { type CallerRules, callerOf, refuseEnded } from "./caller.ts";
import {
  encodeResponse,
  isPlain,
  refuse,
  requestIn,
  respond,
  timeoutMsOf,
  type WireForm,
  wireFormOf,
} from "./wire.ts";

/** The largest request of a user over HTTP: they are questions. [SVC-10] */
export const HTTP_REQUEST_BYTES_MAX = 64 * 1024;
/** Calls of one connection at a time. [SVC-10] */
export const HTTP_CALLS_MAX = 100;

export interface HttpCallOptions extends CallerRules {
  readonly services: Services;
  /** Whether the caller's device was ended: a token may well outlive it. [DEV-5] */
  readonly isEnded: (caller: Caller) => Promise<boolean>;
  /** Whether a connection may carry calls, by where it is from. [SVC-8] */
  readonly isTaken: (from: { readonly peer: string; readonly isTls: boolean }) => boolean;
  readonly addresses: Pick<AddressBudget, "takeCall" | "attemptWaitMs" | "attemptFailed">;
  readonly originRule: OriginRule;
  readonly corsOrigin: string;
  /** For a request's body. [LNK-6] */
  readonly bodyMs: number;
  /** For a whole call, after which its connection is cut. */
  readonly callMs: number;
  readonly responseBytesMax: number;
  /** The largest request of a backend: it holds what a submit may, longer in JSON. [SVC-10] */
  readonly backendBytesMax: number;
  /** Our bug, or trouble outside. */
  readonly failed: (where: string, error: unknown) => void;
  /** What a call was answered with; UNSPECIFIED: what it asked for. */
  readonly answered: (code: ErrorCode) => void;
}

/**
 * Services over HTTP, as Connect, gRPC and gRPC-Web: unary calls only, so that each is one request,
 * read whole, and one answer. [SVC-6]
 *
 * @returns a listener that answers the paths of services and leaves the others to `otherwise`
 */
export function httpCalls(options: HttpCallOptions, otherwise: RequestListener): RequestListener {
  const counts = new WeakMap<object, number>();
  return (request, response) => {
    const [, service = "", name = ""] = PATH.exec(request.url ?? "") ?? [];
    if (!options.services.serves(service)) return otherwise(request, response);
    response.setHeader("Access-Control-Allow-Origin", options.corsOrigin);
    response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
    if (request.method === "OPTIONS" && options.originRule(request.headers.origin)) {
      return preflight(response);
    }
    const connection = connectionOf(request);
    const count = (counts.get(connection) ?? 0) + 1;
    counts.set(connection, count);
    const cut = setTimeout(() => end(request, response), options.callMs);
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort();
      clearTimeout(cut);
      counts.set(connection, (counts.get(connection) ?? 1) - 1);
    });
    const served = options.services.find(`${service}/${name}`);
    const call = { request, response, form: wireFormOf(request), served, count, gone: gone.signal };
    void answer(call, options);
  };
}

const PATH = /^\/([\w.]+)\/(\w+)$/;
const EXPOSED_HEADERS = "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Retry-After";
const ALLOWED_HEADERS = [
  "Authorization",
  "Posthorn-Device",
  "Posthorn-User",
  "Content-Type",
  "Connect-Protocol-Version",
  "Connect-Timeout-Ms",
  "Grpc-Timeout",
  "X-Grpc-Web",
  "X-User-Agent",
].join(", ");

interface HttpCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly form: WireForm | undefined;
  readonly served: ServedMethod | undefined;
  /** Calls of its connection, with this one. */
  readonly count: number;
  /** Nobody waits for an answer any more. */
  readonly gone: AbortSignal;
}

async function answer(call: HttpCall, options: HttpCallOptions): Promise<void> {
  const { request, response, form, gone } = call;
  const refuseAs = (code: ErrorCode, { retryAfterMs = 0, nextSeq = 0, httpStatus = 0 } = {}) => {
    refuse(response, { form, code, retryAfterMs, nextSeq }, httpStatus || undefined);
    options.answered(code);
  };
  try {
    if (request.method !== "POST") {
      response.setHeader("Allow", "POST, OPTIONS");
      refuse(response, { form: undefined, code: ErrorCode.CALL_MALFORMED }, 405);
      return options.answered(ErrorCode.CALL_MALFORMED);
    }
    if (form === undefined) return refuseAs(ErrorCode.CALL_MALFORMED, { httpStatus: 415 });
    const message = await responseTo(call, form, options);
    if (gone.aborted) return;
    respond(response, form, message);
    options.answered(ErrorCode.UNSPECIFIED);
  } catch (error) {
    if (gone.aborted) return;
    if (error instanceof CallRefused) return refuseAs(error.code, error);
    options.failed("call", error);
    refuseAs(ErrorCode.CALL_FAILED);
  } finally {
    // What is left of a request that was not read. Its time is bounded as the call's.
    request.resume();
  }
}

/** The encoded response. @throws CallRefused */
async function responseTo(
  { request, served, count }: HttpCall,
  form: WireForm,
  options: HttpCallOptions,
): Promise<Uint8Array> {
  refuseFrom(request, options);
  if (served === undefined) throw new CallRefused(ErrorCode.METHOD_UNKNOWN);
  if (count > HTTP_CALLS_MAX) throw new CallRefused(ErrorCode.TOO_OFTEN);
  const caller = await callerFrom(request, options);
  const timeoutMs = timeoutMsOf(request, form) ?? options.callMs;
  if (Number.isNaN(timeoutMs) || !isPlain(request, form)) {
    throw new CallRefused(ErrorCode.CALL_MALFORMED);
  }
  const isBackend = caller.backendId !== undefined;
  const bodyBytesMax = isBackend ? options.backendBytesMax : HTTP_REQUEST_BYTES_MAX;
  const bounds = { bodyMs: options.bodyMs, bodyBytesMax };
  const body = await readBody(request, bounds);
  if (body === "late") throw new CallRefused(ErrorCode.TOO_SLOW);
  if (body === "large") throw new CallRefused(ErrorCode.MESSAGE_TOO_LARGE);
  const { method } = served;
  const message = requestIn(method.input, form, body);
  if (message === undefined) throw new CallRefused(ErrorCode.CALL_MALFORMED);
  const answered = await within(Math.min(timeoutMs, options.callMs), served.ask(message, caller));
  // It may have been ended since it asked.
  await refuseEnded(caller, options);
  const bytes = encodeResponse(method, form, answered, options.responseBytesMax);
  if (bytes === undefined) throw new CallRefused(ErrorCode.CALL_FAILED);
  return bytes;
}

/** @throws CallRefused where calls from there are not taken [SVC-8] [AUT-6] */
function refuseFrom(request: IncomingMessage, { isTaken, originRule }: HttpCallOptions): void {
  if (!originRule(request.headers.origin)) throw new CallRefused(ErrorCode.TRANSPORT_NOT_SERVED);
  const peer = request.socket.remoteAddress ?? "";
  const isTls = request.socket instanceof TLSSocket;
  if (!isTaken({ peer, isTls })) throw new CallRefused(ErrorCode.ENVELOPE_REQUIRED);
}

/** @throws CallRefused for nobody, and for who asks too often [SVC-7] [LIM-10] [LIM-11] */
async function callerFrom(request: IncomingMessage, options: HttpCallOptions): Promise<Caller> {
  const { addresses } = options;
  const peer = request.socket.remoteAddress ?? "";
  const waitMs = addresses.takeCall(peer) || addresses.attemptWaitMs(peer);
  if (waitMs > 0) throw new CallRefused(ErrorCode.TOO_OFTEN, { retryAfterMs: waitMs });
  const caller = await callerOf(request.headers, options).catch((error: unknown) => {
    if (error instanceof CallRefused) addresses.attemptFailed(peer);
    throw error;
  });
  await refuseEnded(caller, options);
  return caller;
}

/** @throws CallRefused TOO_SLOW when the time that its caller gave is over first */
async function within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CallRefused(ErrorCode.TOO_SLOW)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** All requests of one connection have this in common: in HTTP/2 their session. */
function connectionOf(request: IncomingMessage): object {
  return streamOf(request)?.session ?? request.socket;
}

/** Undefined in HTTP/1.1. */
function streamOf(request: IncomingMessage): Partial<ServerHttp2Stream> | undefined {
  return (request as { readonly stream?: ServerHttp2Stream }).stream;
}

/** Ends a call that nobody reads: its stream, or in HTTP/1.1 its connection. */
function end(request: IncomingMessage, response: ServerResponse): void {
  const stream = streamOf(request);
  if (stream?.close === undefined) response.destroy();
  else stream.close(constants.NGHTTP2_CANCEL);
}

function preflight(response: ServerResponse): void {
  response.writeHead(204, {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": ALLOWED_HEADERS,
    "Access-Control-Max-Age": "7200",
  });
  response.end();
}
