import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { runUnaryCall } from "@connectrpc/connect/protocol";
import { ErrorDetailSchema } from "../gen/posthorn/v1/error_pb.ts";
import { callStatus } from "../protocol/session/call-status.ts";
import type { Client } from "./client.ts";
import { RefusedError, SessionError } from "./results.ts";

/**
 * A session as a transport of Connect's clients: what is generated for services over HTTP asks over
 * the session, authenticated and sealed as it is, and again on the next link. Headers are not sent,
 * and none come. [SVC-5]
 */
export function sessionTransport(client: Pick<Client, "call">): Transport {
  return {
    unary: async (...[method, signal, timeoutMs, header, input, contextValues]) => {
      const { parent: service } = method;
      const shared = { stream: false as const, service, method };
      return await runUnaryCall<typeof method.input, typeof method.output>({
        req: {
          ...shared,
          requestMethod: "POST",
          url: `/${service.typeName}/${method.name}`,
          header: new Headers(header),
          contextValues: contextValues as NonNullable<typeof contextValues>,
          message: input,
        },
        ...(signal && { signal }),
        ...(timeoutMs !== undefined && { timeoutMs }),
        next: async ({ message: request, signal: ended }) => {
          const message = await client
            .call(method, request as typeof input, { signal: ended })
            .catch((error: unknown) => {
              throw connectErrorOf(error);
            });
          return { ...shared, message, header: new Headers(), trailer: new Headers() };
        },
      });
    },
    stream: async () => {
      throw new ConnectError("sessions carry unary calls only", Code.Unimplemented);
    },
  };
}

/** As the same refusal comes over HTTP. [SVC-9] */
function connectErrorOf(error: unknown): unknown {
  const isRefused = error instanceof RefusedError;
  if (!isRefused && !(error instanceof SessionError)) return error;
  const { code } = error;
  const retryAfterMs = isRefused ? error.retryAfterMs : 0;
  const value = create(ErrorDetailSchema, { code, retryAfterMs });
  const details = [{ desc: ErrorDetailSchema, value }];
  // Who was kept out hears the same over HTTP; that a session is over otherwise, nobody else does.
  const known = callStatus(code) as Code;
  const status = isRefused || known !== Code.InvalidArgument ? known : Code.Unavailable;
  return new ConnectError(error.message, status, undefined, details);
}
