import type { IncomingMessage, ServerResponse } from "node:http";
import { type ConnectRouter, type ContextValues, createConnectRouter } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { violation } from "../../protocol/violation.ts";
import { LongPollRefusal } from "./longpoll.ts";

/** A request whose body has been read. */
export interface ReadRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Uint8Array;
  readonly contextValues: ContextValues;
}

/**
 * The Connect library as a way to answer requests: what it finds wrong by itself is refused with a
 * code as everything else. [ERR-1]
 *
 * @param bodyBytesMax of a body that was sent compressed, when it is not any more
 * @returns answers a request; rejects with a {@link LongPollRefusal} for one that is none
 */
export function longPollLibrary(
  routes: (router: ConnectRouter) => void,
  bodyBytesMax: number,
): (asked: ReadRequest) => Promise<void> {
  const acceptCompression = [compressionGzip, compressionBrotli];
  const router = createConnectRouter({
    grpc: false,
    readMaxBytes: bodyBytesMax,
    acceptCompression,
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return async (asked) => {
    const [path = ""] = (asked.request.url ?? "").split("?");
    const handler = handlers.get(path);
    if (handler === undefined) throw invalid("no such method");
    const answer = await typedAnswer(await handler(universal(asked)));
    await universalResponseToNodeResponse(answer, asked.response);
  };
}

function universal({
  request,
  response,
  body,
  contextValues,
}: ReadRequest): UniversalServerRequest {
  try {
    // The body is given below; an empty one keeps the library from reading it.
    const universal = universalRequestFromNodeRequest(request, response, "", contextValues);
    return { ...universal, body: once(body) };
  } catch {
    // It makes a URL of the Host header, which may hold anything or be missing.
    throw invalid("the request has no legal Host");
  }
}

/** A body that cannot be decoded is no failure of the service, as the library has it. */
async function typedAnswer(answer: UniversalServerResponse): Promise<UniversalServerResponse> {
  const { status, header, body } = answer;
  if (status !== 200 && body === undefined) throw invalid(`refused with status ${status}`);
  const isError = status !== 200 && header?.get("Content-Type") === "application/json";
  if (!isError || body === undefined || header.has("Content-Encoding")) return answer;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const { code, message, details } = JSON.parse(bytes.toString()) as {
    readonly code: string;
    readonly message?: string;
    readonly details?: readonly unknown[];
  };
  // The device's own time-out ran out, or it went away: nobody did anything wrong.
  const isItsOwn = code === "deadline_exceeded" || code === "canceled";
  if (details === undefined && !isItsOwn) throw invalid(message ?? code);
  return { ...answer, body: once(bytes) };
}

function invalid(detail: string): LongPollRefusal {
  return new LongPollRefusal(violation(ErrorCode.REQUEST_INVALID, "LNK-11", detail));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
