import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { fuzzParameters } from "../../fuzz/parameters.ts";
import {
  OpenRequestSchema,
  OpenResponseSchema,
  PollRequestSchema,
  SendRequestSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import { Alarms } from "../sessions/alarms.ts";
import { LongPollLinks } from "./longpoll.ts";
import { longPollHttp } from "./longpoll-http.ts";
import { anyOrigin } from "./origin.ts";

const LIMITS = {
  holdMs: 20,
  coalesceMs: 0,
  idleMs: 60_000,
  sendBytesMax: 256,
  pollBytesMax: 256,
  bufferBytesMax: 65_536,
  linksMax: 10_000,
};

/** A request of either hot method: to a link that is there or not, well formed or not. */
const request = fc.record({
  method: fc.constantFrom("Send", "Poll"),
  known: fc.boolean(),
  offset: fc.oneof(fc.bigInt(0n, 8n), fc.constantFrom(2n ** 31n, 2n ** 53n - 1n, 2n ** 64n - 1n)),
  data: fc.uint8Array({ maxLength: 300 }),
  raw: fc.option(fc.uint8Array({ maxLength: 40 }), { freq: 4 }),
});

function decodable(method: string, body: Uint8Array): boolean {
  try {
    fromBinary(method === "Send" ? SendRequestSchema : PollRequestSchema, body);
    return true;
  } catch {
    return false;
  }
}

type Asked = typeof request extends fc.Arbitrary<infer Value> ? Value : never;

function bodyOf({ method, known, offset, data, raw }: Asked, link: Uint8Array): Uint8Array {
  if (raw !== null) return raw;
  const linkId = known ? link : new Uint8Array(16);
  if (method === "Send") {
    return toBinary(SendRequestSchema, create(SendRequestSchema, { linkId, offset, data }));
  }
  return toBinary(PollRequestSchema, create(PollRequestSchema, { linkId, receivedOffset: offset }));
}

test("[LNK-7] [LNK-9] the thin handler and the library answer alike, whatever is asked", async () => {
  const alarms = new Alarms({ nowMs: () => Date.now() });
  const links = new LongPollLinks(LIMITS, alarms, (link) => {
    link.write(Uint8Array.of(3, 1, 2, 3));
    return { received: () => {}, drained: () => {}, closed: () => {} };
  });
  const options = { bodyMs: 5_000, corsOrigin: "*", originRule: anyOrigin };
  const server = createServer(longPollHttp(links, options, (_request, response) => response.end()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const call = async (method: string, body: Uint8Array, headers: Record<string, string>) => {
    const url = `http://127.0.0.1:${port}/posthorn.v1.LongPollService/${method}`;
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/proto", ...headers },
      body: body as Uint8Array<ArrayBuffer>,
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const type = response.headers.get("content-type");
    // Texts are for people and may differ; everything else is the wire. [ERR-2]
    if (type !== "application/json") return { status: response.status, type, answer: bytes };
    const { code } = JSON.parse(bytes.toString()) as { code: string };
    return { status: response.status, type, answer: code };
  };
  const openLink = async () => {
    const body = toBinary(OpenRequestSchema, create(OpenRequestSchema));
    const { answer } = await call("Open", body, {});
    return fromBinary(OpenResponseSchema, answer as Buffer).linkId;
  };
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), async (requests) => {
        const [thinLink, libraryLink] = [await openLink(), await openLink()];
        for (const one of requests) {
          const body = bodyOf(one, thinLink);
          const thin = await call(one.method, body, {});
          if (!decodable(one.method, body)) {
            // The library calls this its own failure (500, no code); here it is the caller's.
            assert.deepEqual([thin.status, thin.answer], [400, "invalid_argument"]);
            continue;
          }
          // A time-out is a feature that only the library speaks: it takes the request.
          const headers = { "Connect-Timeout-Ms": "10000" };
          const library = await call(one.method, bodyOf(one, libraryLink), headers);
          assert.deepEqual(thin, library);
        }
      }),
      fuzzParameters(60),
    );
  } finally {
    links.closeAll();
    alarms.close();
    server.close();
    server.closeAllConnections();
  }
});
