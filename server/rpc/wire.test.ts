import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import fc from "fast-check";
import { ListMessagesRequestSchema } from "../../gen/posthorn/v1/history_pb.ts";
import { requestIn, timeoutMsOf, type WireForm, wireFormOf } from "./wire.ts";

const asked = (headers: Readonly<Record<string, string>>, httpVersionMajor = 2) =>
  ({ headers, httpVersionMajor }) as unknown as IncomingMessage;
const CONTENT_TYPES = [
  "proto",
  "json",
  "grpc",
  "grpc+proto",
  "grpc+json",
  "grpc-web",
  "grpc-web+json",
];
const formOf = (name: string) =>
  wireFormOf(asked({ "content-type": `application/${name}` })) as WireForm;

test("[SVC-6] whatever a body is, reading it does not fail", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.json().map((text) => new Uint8Array(Buffer.from(text))),
    fc.uint8Array({ maxLength: 64 }).map((rest) => Uint8Array.of(0, 0, 0, 0, rest.length, ...rest)),
  );
  const form = fc.constantFrom(...CONTENT_TYPES).map(formOf);
  const property = fc.property(form, bytes, (given, body) => {
    const request = requestIn(ListMessagesRequestSchema, given, body);
    assert.ok(request === undefined || typeof request.conversationId === "string");
  });
  fc.assert(property, { numRuns: 2_000 });
});

test("[SVC-6] forms are told apart by their content type alone", () => {
  assert.equal(formOf("JSON; charset=utf-8").isJson, true);
  assert.equal(formOf("grpc").kind, "grpc");
  assert.equal(wireFormOf(asked({ "content-type": "application/grpc" }, 1)), undefined);
  for (const type of [
    "",
    "application/",
    "text/json",
    "application/grpc-web-text",
    "constructor",
  ]) {
    assert.equal(wireFormOf(asked({ "content-type": type })), undefined, type);
  }
});

test("[SVC-10] a caller's time is read as each protocol writes it", () => {
  const of = (name: string, header: string, value: string) =>
    timeoutMsOf(asked({ [header]: value }), formOf(name));
  assert.equal(of("json", "connect-timeout-ms", "1500"), 1500);
  assert.equal(of("grpc", "grpc-timeout", "2S"), 2000);
  assert.equal(of("grpc", "grpc-timeout", "1H"), 3_600_000);
  assert.equal(of("grpc-web", "grpc-timeout", "500u"), 0.5);
  assert.equal(of("grpc", "connect-timeout-ms", "1"), undefined);
  for (const value of ["", "-1", "1.5", "12345678901", "x"]) {
    assert.ok(Number.isNaN(of("json", "connect-timeout-ms", value)), value);
  }
  for (const value of ["", "1", "S", "1s", "123456789S"]) {
    assert.ok(Number.isNaN(of("grpc", "grpc-timeout", value)), value);
  }
});
