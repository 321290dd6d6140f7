import { create, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import {
  CloseRequestSchema,
  OpenRequestSchema,
  type OpenResponse,
  OpenResponseSchema,
  PollRequestSchema,
  type PollResponse,
  PollResponseSchema,
  SendRequestSchema,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { assert } from "../../protocol/violation.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";

/** How a request is written. "library": a time-out, which only the service's library speaks. */
export const FORMS = ["proto", "library", "json"] as const;
export type Form = (typeof FORMS)[number];

const HEADERS: Readonly<Record<Form, Readonly<Record<string, string>>>> = {
  proto: { "Content-Type": "application/proto" },
  library: { "Content-Type": "application/proto", "Connect-Timeout-Ms": "20000" },
  json: { "Content-Type": "application/json" },
};

const METHODS = {
  Open: { request: OpenRequestSchema, response: OpenResponseSchema },
  Send: { request: SendRequestSchema, response: SendResponseSchema },
  Poll: { request: PollRequestSchema, response: PollResponseSchema },
} as const;
export type Method = keyof typeof METHODS | "Close";

/** A request with whatever body. */
export function requestOf(method: Method, form: Form, body: Uint8Array): HttpRequest {
  return { path: `/posthorn.v1.LongPollService/${method}`, headers: HEADERS[form], body };
}

export function openRequest(
  form: Form,
  wanted: { readonly pollBytesMax?: number; readonly holdMs?: number },
): HttpRequest {
  const message = create(OpenRequestSchema, wanted);
  const json = () => toJson(OpenRequestSchema, message);
  return requestOf(
    "Open",
    form,
    bodyOf(form, json, () => toBinary(OpenRequestSchema, message)),
  );
}

export interface Sent {
  readonly linkId: Uint8Array;
  readonly offset: bigint;
  readonly data: Uint8Array;
}

export function sendRequest(form: Form, sent: Sent): HttpRequest {
  const message = create(SendRequestSchema, sent);
  const json = () => toJson(SendRequestSchema, message);
  return requestOf(
    "Send",
    form,
    bodyOf(form, json, () => toBinary(SendRequestSchema, message)),
  );
}

export interface Polled {
  readonly linkId: Uint8Array;
  readonly receivedOffset: bigint;
}

export function pollRequest(form: Form, polled: Polled): HttpRequest {
  const message = create(PollRequestSchema, polled);
  const json = () => toJson(PollRequestSchema, message);
  return requestOf(
    "Poll",
    form,
    bodyOf(form, json, () => toBinary(PollRequestSchema, message)),
  );
}

export function closeRequest(linkId: Uint8Array): HttpRequest {
  const message = create(CloseRequestSchema, { linkId });
  return requestOf("Close", "proto", toBinary(CloseRequestSchema, message));
}

function bodyOf(form: Form, json: () => unknown, proto: () => Uint8Array): Uint8Array {
  return form === "json" ? Buffer.from(JSON.stringify(json())) : proto();
}

export function openedIn(form: Form, { status, body }: HttpAnswer): OpenResponse {
  assert(status === 200, `Open is granted, not ${status} ${body}`);
  if (form !== "json") return fromBinary(OpenResponseSchema, body);
  return fromJson(OpenResponseSchema, JSON.parse(body.toString()));
}

/** How far the service has everything, or why it refuses. */
export function receivedIn(form: Form, answer: HttpAnswer): bigint | ErrorCode {
  const { status, body } = answer;
  if (status !== 200) return codeIn(answer);
  if (form !== "json") return fromBinary(SendResponseSchema, body).receivedOffset;
  return fromJson(SendResponseSchema, JSON.parse(body.toString())).receivedOffset;
}

export function polledIn(form: Form, answer: HttpAnswer): PollResponse | ErrorCode {
  const { status, body } = answer;
  if (status !== 200) return codeIn(answer);
  if (form !== "json") return fromBinary(PollResponseSchema, body);
  return fromJson(PollResponseSchema, JSON.parse(body.toString()));
}

/** The code in a Connect error's ErrorDetail. [ERR-1] */
export function codeIn({ status, headers, body }: HttpAnswer): ErrorCode {
  const text = body.toString();
  const type = headers.get("content-type");
  assert(type === "application/json", `an error is JSON, not ${type}: ${status} ${text}`);
  const { details = [] } = JSON.parse(text) as {
    readonly details?: readonly { readonly type: string; readonly value: string }[];
  };
  const detail = details.find(({ type }) => type === ErrorDetailSchema.typeName);
  assert(detail !== undefined, `an error has a detail with its code [ERR-1]: ${status} ${text}`);
  const { code } = fromBinary(ErrorDetailSchema, Buffer.from(detail.value, "base64"));
  assert(code !== ErrorCode.UNSPECIFIED, `the code says why: ${text}`);
  return code;
}
