import type { IncomingMessage, ServerResponse } from "node:http";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  fromJsonString,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { callStatus } from "../../protocol/session/call-status.ts";
import type { RefusalHints } from "../services/service.ts";

/** One of the protocols that a unary call may come in, and how its messages are written. */
export interface WireForm {
  readonly kind: "connect" | "grpc" | "grpc-web";
  readonly isJson: boolean;
  readonly contentType: string;
}

const FORMS: ReadonlyMap<string, WireForm> = new Map(
  [
    form("connect", "application/proto"),
    form("connect", "application/json"),
    ...["", "+proto", "+json"].map((suffix) => form("grpc", `application/grpc${suffix}`)),
    ...["", "+proto", "+json"].map((suffix) => form("grpc-web", `application/grpc-web${suffix}`)),
  ].map((known) => [known.contentType, known] as const),
);

function form(kind: WireForm["kind"], contentType: string): WireForm {
  return { kind, isJson: contentType.endsWith("json"), contentType };
}

/** The form that a request says it has; undefined for one that is not served. [SVC-6] */
export function wireFormOf({ headers, httpVersionMajor }: IncomingMessage): WireForm | undefined {
  const [contentType = ""] = (headers["content-type"] ?? "").toLowerCase().split(";");
  const known = FORMS.get(contentType.trim());
  // gRPC ends with trailers, which HTTP/1.1 has for few.
  if (known?.kind === "grpc" && httpVersionMajor < 2) return undefined;
  return known;
}

const ENVELOPE_BYTES = 5;
const TRAILER_FLAG = 0x80;

/** The request of a body; undefined when the body is none. Never throws. */
export function requestIn<I extends DescMessage>(
  schema: I,
  form: WireForm,
  body: Uint8Array,
): MessageShape<I> | undefined {
  const bytes = form.kind === "connect" ? body : messageIn(body);
  if (bytes === undefined) return undefined;
  try {
    if (!form.isJson) return fromBinary(schema, bytes, { readUnknownFields: false });
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return fromJsonString(schema, text, { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}

/** gRPC's only message: a byte of flags, of which none is taken, and four of its length. */
function messageIn(body: Uint8Array): Uint8Array | undefined {
  if (body.length < ENVELOPE_BYTES || body[0] !== 0) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const isWhole = view.getUint32(1) === body.length - ENVELOPE_BYTES;
  return isWhole ? body.subarray(ENVELOPE_BYTES) : undefined;
}

/** The time that a call is given by its caller, milliseconds; NaN when it says it illegally. */
export function timeoutMsOf({ headers }: IncomingMessage, form: WireForm): number | undefined {
  if (form.kind === "connect") {
    const asked = headers["connect-timeout-ms"];
    if (asked === undefined) return undefined;
    return /^\d{1,10}$/.test(String(asked)) ? Number(asked) : Number.NaN;
  }
  const asked = headers["grpc-timeout"];
  if (asked === undefined) return undefined;
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(asked)) ?? [];
  return Number(count) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Whether a body is as it was meant: none is taken compressed. [SVC-6] */
export function isPlain({ headers }: IncomingMessage, form: WireForm): boolean {
  const name = form.kind === "connect" ? "content-encoding" : "grpc-encoding";
  return (headers[name] ?? "identity") === "identity";
}

/**
 * The bytes of a response; undefined when it is too large, which it is in any form when it is in
 * one: by its binary form, as over a session. [RPC-6] [SVC-5]
 */
export function encodeResponse(
  { output }: DescMethodUnary,
  { isJson }: WireForm,
  message: MessageShape<DescMessage>,
  bytesMax: number,
): Uint8Array | undefined {
  const bytes = toBinary(output, message);
  if (bytes.length > bytesMax) return undefined;
  return isJson ? Buffer.from(toJsonString(output, message)) : bytes;
}

/** Ends a call with its response. */
export function respond(response: ServerResponse, form: WireForm, message: Uint8Array): void {
  if (form.kind === "connect") return end(response, { status: 200, body: message, form });
  const enveloped = encodeEnvelope(0, message);
  if (form.kind === "grpc-web") {
    const trailer = encodeEnvelope(TRAILER_FLAG, Buffer.from("grpc-status: 0\r\n"));
    return end(response, { status: 200, body: Buffer.concat([enveloped, trailer]), form });
  }
  response.writeHead(200, { "Content-Type": form.contentType });
  response.addTrailers({ "grpc-status": "0" });
  response.end(enveloped);
}

/**
 * Ends a call with a refusal, in its own form where it has one; gRPC then has its status in the
 * head of the response. [ERR-1] [SVC-9] [LIM-9]
 *
 * @param httpStatus where HTTP has a better one than the code
 */
export function refuse(
  response: ServerResponse,
  refused: {
    readonly form: WireForm | undefined;
    readonly code: ErrorCode;
    readonly retryAfterMs?: number;
    readonly nextSeq?: number;
  },
  httpStatus?: number,
): void {
  const { form = JSON_FORM, code, retryAfterMs = 0, nextSeq = 0 } = refused;
  const error = connectErrorOf(code, { retryAfterMs, nextSeq });
  // Whole seconds (RFC 9110 section 10.2.3): who waits as long is not too early.
  if (retryAfterMs > 0) response.setHeader("Retry-After", String(Math.ceil(retryAfterMs / 1_000)));
  if (form.kind === "connect") {
    const status = httpStatus ?? codeToHttpStatus(error.code);
    if (status === 401) response.setHeader("WWW-Authenticate", "Bearer");
    return end(response, { status, body: errorToJsonBytes(error, {}), form: JSON_FORM });
  }
  const headers = Object.fromEntries(setTrailerStatus(new Headers(), error));
  response.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader("Content-Type", form.contentType);
  response.end();
}

const JSON_FORM: WireForm = form("connect", "application/json");

function end(
  response: ServerResponse,
  given: { readonly status: number; readonly body: Uint8Array; readonly form: WireForm },
): void {
  const { status, body, form } = given;
  const headers = { "Content-Type": form.contentType, "Content-Length": body.length };
  response.writeHead(status, headers);
  response.end(body);
}

function connectErrorOf(code: ErrorCode, { retryAfterMs, nextSeq }: RefusalHints): ConnectError {
  const value = create(ErrorDetailSchema, { code, retryAfterMs, nextSeq: BigInt(nextSeq) });
  const details = [{ desc: ErrorDetailSchema, value }];
  return new ConnectError(errorRule(code).meaning, callStatus(code) as Code, undefined, details);
}
