import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { OpenResponseSchema } from "../../gen/posthorn/v1/longpoll_pb.ts";
import type { DialledLink } from "../../protocol/link.ts";
import { longPoll } from "./longpoll.ts";

async function served(t: TestContext, listener: RequestListener): Promise<string> {
  const http = createServer(listener).listen(0, "127.0.0.1");
  t.after(() => http.close());
  await once(http, "listening");
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function dialled(origin: string): Promise<DialledLink> {
  return longPoll(origin).dial(new AbortController().signal);
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`[ENV-75] nothing goes where a redirect with status ${status} leads`, async (t) => {
    let elsewhereCount = 0;
    const elsewhere = await served(t, (_, response) => {
      elsewhereCount += 1;
      response.end();
    });
    const origin = await served(t, (request, response) => {
      response.writeHead(status, { Location: `${elsewhere}${request.url}` }).end();
    });
    const refused = { code: ErrorCode.LINK_LOST, cause: /Open was answered with a redirect/ };
    await assert.rejects(dialled(origin), (error: { code: unknown; cause: unknown }) => {
      assert.equal(error.code, refused.code);
      assert.match(String(error.cause), refused.cause);
      return true;
    });
    assert.equal(elsewhereCount, 0);
  });
}

test("[ENV-75] a link ends that is led elsewhere later, and is not tried again", async (t) => {
  const asked: string[] = [];
  const elsewhere = await served(t, (_, response) => response.end(assert.fail("it was followed")));
  const origin = await served(t, (request, response) => {
    const method = request.url?.split("/").at(-1) as string;
    asked.push(method);
    if (method !== "Open") {
      response.writeHead(307, { Location: `${elsewhere}${request.url}` }).end();
      return;
    }
    const limits = { holdMs: 1_000, sendBytesMax: 1_000, pollBytesMax: 1_000 };
    const opened = create(OpenResponseSchema, { linkId: new Uint8Array(16), ...limits });
    response.end(toBinary(OpenResponseSchema, opened));
  });
  const link = await dialled(origin);
  const [code, detail] = await new Promise<readonly [ErrorCode, string]>((resolve) => {
    const closed = (...end: readonly [ErrorCode, string]) => resolve(end);
    link.start({ received: () => {}, drained: () => {}, closed });
  });
  assert.equal(code, ErrorCode.LINK_LOST);
  assert.match(detail, /Poll was answered with a redirect/);
  assert.equal(asked.filter((method) => method === "Poll").length, 1);
});
