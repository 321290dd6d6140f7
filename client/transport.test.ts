import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  KeyDirectoryService,
  type ListDevicesRequest,
  ListDevicesResponseSchema,
} from "../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode, ErrorDetailSchema } from "../gen/posthorn/v1/error_pb.ts";
import type { Client } from "./client.ts";
import { RefusedError, SessionError } from "./results.ts";
import { sessionTransport } from "./transport.ts";

type Call = (request: ListDevicesRequest, signal: AbortSignal) => Promise<unknown>;

/** A generated client over a session whose calls come to what is said here. */
function directoryOver(call: Call) {
  const session = {
    call: (_method: unknown, request: unknown, options: { readonly signal?: AbortSignal }) =>
      call(request as ListDevicesRequest, options.signal as AbortSignal),
  } as unknown as Pick<Client, "call">;
  return createClient(KeyDirectoryService, sessionTransport(session));
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return await call.then(
    () => assert.fail("was answered"),
    (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      return error;
    },
  );
}

const never: Call = (_request, signal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

test("[SVC-5] a generated client asks over a session", async () => {
  const client = directoryOver(async ({ userId }) =>
    create(ListDevicesResponseSchema, { revision: BigInt(userId.length) }),
  );
  const { revision } = await client.listDevices({ userId: "alice" });
  assert.equal(revision, 5n);
});

test("[SVC-9] refusals have the status that they have over HTTP, and our code", async () => {
  const cases = [
    [new RefusedError(ErrorCode.CONVERSATION_UNKNOWN), Code.NotFound],
    [new RefusedError(ErrorCode.METHOD_UNKNOWN), Code.Unimplemented],
    [new RefusedError(ErrorCode.CALL_FAILED), Code.Unavailable],
    [new SessionError(ErrorCode.SUPERSEDED), Code.Unavailable],
  ] as const;
  for (const [thrown, status] of cases) {
    const client = directoryOver(() => Promise.reject(thrown));
    const error = await errorOf(client.listDevices({}));
    assert.equal(error.code, status);
    assert.equal(error.findDetails(ErrorDetailSchema)[0]?.code, thrown.code);
  }
});

test("[SVC-5] a call is given up when its caller says so, or its time is over", async () => {
  const client = directoryOver(never);
  const late = await errorOf(client.listDevices({}, { timeoutMs: 10 }));
  assert.equal(late.code, Code.DeadlineExceeded);
  const controller = new AbortController();
  const aborted = errorOf(client.listDevices({}, { signal: controller.signal }));
  controller.abort();
  assert.equal((await aborted).code, Code.Canceled);
});

test("[SVC-5] what is no unary call is not carried", async () => {
  const transport = sessionTransport({ call: never as never });
  const method = { ...KeyDirectoryService.method.listDevices, methodKind: "server_streaming" };
  const stream = transport.stream(method as never, undefined, undefined, undefined, noMessages());
  assert.equal((await errorOf(stream)).code, Code.Unimplemented);
});

async function* noMessages(): AsyncGenerator<never> {}
