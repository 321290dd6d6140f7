import assert from "node:assert/strict";
import { create, type DescMethodUnary, type MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { ACCESS_RULES, type AccessRule } from "../../gen/posthorn/v1/access_rules.ts";
import { BackendService } from "../../gen/posthorn/v1/backend_pb.ts";
import { ConversationsService } from "../../gen/posthorn/v1/conversations_pb.ts";
import { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { type ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../../gen/posthorn/v1/history_pb.ts";
import { ContactsService, UsersService } from "../../gen/posthorn/v1/users_pb.ts";
import { openDataFolder } from "../../platform/lmdb-folder.ts";
import { FORMAT_KEY } from "../../server/store/keys.ts";
import { FORMAT_VERSION } from "../../server/store/records.ts";

// Asking every method of every service, by the descriptors, for those who are refused.

const SERVICES = [
  KeyDirectoryService,
  DevicesService,
  UsersService,
  ContactsService,
  HistoryService,
  ConversationsService,
  BackendService,
];
export const METHODS = SERVICES.flatMap(({ methods }) => methods as readonly DescMethodUnary[]);
export const nameOf = (method: DescMethodUnary) => `${method.parent.typeName}/${method.name}`;
export const ruleOf = (method: DescMethodUnary) => ACCESS_RULES.get(nameOf(method)) as AccessRule;

/** No conversation has this id. */
export const NOWHERE = `g:${"a".repeat(26)}`;
/** What only members, and the user itself, may ever read. */
const SECRETS = [
  ...["no. ", "edited", "hello", "news", "here and now", "another tenant", "fay", "cyd"],
  "owes me",
];

/** Asks what names a conversation, and ann where a user is named, and is legal otherwise. */
export function ask(transport: Transport, method: DescMethodUnary, conversationId: string) {
  const request = requestTo(method, conversationId);
  return transport.unary(method, undefined, undefined, undefined, request);
}

function requestTo(
  method: DescMethodUnary,
  conversationId: string,
): MessageInitShape<DescMethodUnary["input"]> {
  const rule = ruleOf(method);
  const request = create(method.input) as unknown as Record<string, unknown> & {
    conversationSeq?: bigint;
    userId?: string;
  };
  if ("conversationField" in rule) request[rule.conversationField] = conversationId;
  if ("userField" in rule) request[rule.userField] = "ann";
  if ("conversationSeq" in request) request.conversationSeq = 1n;
  if (method.name === "ListDevices") request.userId = "ann";
  return request as unknown as MessageInitShape<DescMethodUnary["input"]>;
}

/** What a call is refused with. */
export async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return await call.then(
    () => assert.fail("was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** Everything that a refusal says, which is no secret. */
export function saidBy(error: ConnectError): string {
  const { code, rawMessage } = error;
  const details = error.details.map((detail) => ("desc" in detail ? detail.value : detail));
  const metadata = [...error.metadata].filter(([name]) => name !== "date");
  const asText = (_: string, value: unknown) =>
    typeof value === "bigint" ? `${value}` : (value as object);
  const said = JSON.stringify([code, rawMessage, details, metadata], asText);
  for (const secret of SECRETS) assert.ok(!said.includes(secret), said);
  return said;
}

export function codeOf(error: ConnectError): ErrorCode | undefined {
  return error.findDetails(ErrorDetailSchema)[0]?.code;
}

/** Documents, logs, timelines and users: all but what a device's attaching changes. */
export async function contentOf(data: string): Promise<ReadonlyMap<string, string>> {
  const format = { version: FORMAT_VERSION, key: FORMAT_KEY, mapBytes: 2 ** 30 };
  const folder = await openDataFolder(data, format);
  const content = new Map<string, string>();
  for (const { key, value } of folder.env.getRange({})) {
    const isKept = "FLTU".includes(String.fromCharCode(key[0] as number));
    if (isKept) content.set(key.toString("latin1"), Buffer.from(value).toString("hex"));
  }
  await folder.close();
  assert.ok([...content.keys()].some((key) => key.includes("conversation:")));
  assert.ok([...content.keys()].some((key) => key.startsWith(`L`)));
  return content;
}

/** Nothing of a node's content is another one than before. */
export async function assertUnchanged(
  before: ReadonlyMap<string, string>,
  data: string,
): Promise<void> {
  const now = await contentOf(data);
  assert.deepEqual([...now.keys()], [...before.keys()]);
  for (const [key, value] of before) assert.equal(now.get(key), value, key);
}
