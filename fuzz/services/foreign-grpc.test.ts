import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import {
  create,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { said } from "../../scripts/other-languages.ts";
import { ServiceScene } from "./scene.ts";
import { settle, type Town } from "./town.ts";

// The client that most other languages' gRPC is made of, the C core by its Python package, against
// the real node: our own clients and our own server might share one mistake.

/** Debian's, beside which another one may come first. */
const PYTHONS = ["python3", "/usr/bin/python3"];
const PROGRAM = join("verify", "python", "grpc_calls.py");

let scene: ServiceScene;
let town: Town;
let python: string | undefined;
before(async () => {
  for (const each of PYTHONS) {
    const { status } = await said(each, ["-c", "import grpc"]);
    if (status === 0) python = each;
  }
  if (python === undefined) return;
  scene = await ServiceScene.open();
  town = await settle(scene);
  writeFileSync(join(scene.folder, "ca.pem"), scene.ca);
});
after(() => scene?.close());

interface Told {
  readonly status: string;
  readonly details_hex: string;
  readonly response_hex?: string;
}

interface Asked<Method extends DescMethodUnary> {
  readonly method: Method;
  readonly request: MessageInitShape<Method["input"]>;
  /** Empty: nobody. */
  readonly user: string;
  readonly isSealed?: boolean;
  readonly times?: number;
}

async function ask<Method extends DescMethodUnary>(asked: Asked<Method>): Promise<Told[]> {
  const { method, request, user, isSealed = false, times = 1 } = asked;
  const bytes = toBinary(method.input, create(method.input, request));
  const { status, lines } = await said(python as string, [
    PROGRAM,
    `${isSealed ? "localhost" : "127.0.0.1"}:${scene.port}`,
    user === "" ? "" : await scene.tokenOf(user),
    `${method.parent.typeName}/${method.name}`,
    Buffer.from(bytes).toString("hex"),
    ...(isSealed ? ["--ca", join(scene.folder, "ca.pem")] : []),
    ...["--times", String(times)],
  ]);
  assert.equal(status, 0, lines.join("\n"));
  return lines.map((line) => JSON.parse(line) as Told);
}

function codeOf({ details_hex }: Told): ErrorCode | undefined {
  const details = Buffer.from(details_hex, "hex").toString("base64");
  const trailer = new Headers({ "Grpc-Status": "13", "Grpc-Status-Details-Bin": details });
  return findTrailerError(trailer)?.findDetails(ErrorDetailSchema)[0]?.code;
}

function lacking(t: TestContext): boolean {
  if (python === undefined) t.skip("python3 with the package grpcio is not installed");
  return python === undefined;
}

const { listMessages } = HistoryService.method;

for (const isSealed of [false, true]) {
  const way = isSealed ? "over TLS" : "in the clear";
  test(`[SVC-5] [SVC-6] gRPC's own library asks ${way}, many at once`, async (t) => {
    if (lacking(t)) return;
    const request = { conversationId: town.group };
    const told = await ask({ method: listMessages, request, user: "bob", isSealed, times: 90 });
    assert.equal(told.length, 90);
    for (const { status, response_hex = "" } of told) {
      assert.equal(status, "OK");
      const { entries } = fromBinary(listMessages.output, Buffer.from(response_hex, "hex"));
      assert.equal(entries.length, 10);
    }
  });
}

test("[SVC-9] it is refused with a status, and its code as a detail", async (t) => {
  if (lacking(t)) return;
  const refusals = [
    ["", town.group, "UNAUTHENTICATED", ErrorCode.CREDENTIALS_REQUIRED],
    ["eve", town.group, "NOT_FOUND", ErrorCode.CONVERSATION_UNKNOWN],
    ["bob", `g:${"a".repeat(26)}`, "NOT_FOUND", ErrorCode.CONVERSATION_UNKNOWN],
  ] as const;
  for (const [user, conversationId, status, code] of refusals) {
    const [told] = await ask({ method: listMessages, request: { conversationId }, user });
    assert.equal(told?.status, status, user);
    assert.equal(codeOf(told as Told), code, user);
  }
});
