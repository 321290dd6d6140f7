import type { JsonValue } from "@bufbuild/protobuf";
import { base64, bytesField, field, frame, named, type VectorFrame } from "./builder.ts";
import {
  ATTACHED,
  acked,
  close,
  delivered,
  KNOWN,
  type ServiceVector,
  service,
  submit,
  when,
} from "./service.ts";

const LIST = "posthorn.v1.KeyDirectoryService/ListDevices";
const bytesOf = (text: string): number[] => [...Buffer.from(text)];
const requestFor = (userId: string) => Uint8Array.from(bytesField(1, bytesOf(userId)));
const call = (id: number, method: string, request: Uint8Array): VectorFrame =>
  frame("call", { id: String(id), method, request: base64(request) });
const reply = (id: number, code?: string): JsonValue => ({
  reply: { id: String(id), ...(code === undefined ? {} : { code: `ERROR_CODE_${code}` }) },
});

/** Calls that are answered in any case, each on a link of its own. */
const answered = (name: string, about: string, asked: VectorFrame, answer: JsonValue) =>
  service(
    named("RPC-4 RPC-5", `call-${name}`, about),
    KNOWN,
    ...ATTACHED,
    when(asked, answer),
    when(submit(3), acked(3), ...delivered(4)),
  );

const CALLS: readonly ServiceVector[] = [
  answered("answered", "A user without devices.", call(1, LIST, requestFor("nobody")), reply(1)),
  answered(
    "refused",
    "A user id that is none; the link goes on.",
    call(1, LIST, requestFor("no user")),
    reply(1, "USER_ID_INVALID"),
  ),
  answered(
    "unknown-service",
    "A service that is not served.",
    call(1, "posthorn.v1.Nothing/ListDevices", new Uint8Array(0)),
    reply(1, "METHOD_UNKNOWN"),
  ),
  answered(
    "unknown-method",
    "A method that the service does not have.",
    call(1, "posthorn.v1.KeyDirectoryService/Nothing", new Uint8Array(0)),
    reply(1, "METHOD_UNKNOWN"),
  ),
  answered(
    "long-method",
    "A name of 129 bytes.",
    call(1, "x".repeat(129), new Uint8Array(0)),
    reply(1, "METHOD_UNKNOWN"),
  ),
  answered(
    "malformed",
    "A request that is cut.",
    call(1, LIST, Uint8Array.of(0x0a, 0x05)),
    reply(1, "CALL_MALFORMED"),
  ),
  service(
    named("RPC-1", "call-again", "Ids go on on a link."),
    KNOWN,
    ...ATTACHED,
    when(call(1, LIST, requestFor("nobody")), reply(1)),
    when(call(2, LIST, requestFor("nobody")), reply(2)),
    when(call(2, LIST, requestFor("nobody")), close("SEQUENCE_GAP")),
  ),
  ...[0, 2].map((id) =>
    service(
      named("RPC-1", `call-${id}-first`, "The first call of a link is 1."),
      KNOWN,
      ...ATTACHED,
      when(call(id, LIST, requestFor("nobody")), close("SEQUENCE_GAP")),
    ),
  ),
];

const sendPacket = (...fields: readonly number[][]) =>
  Uint8Array.from(bytesField(2, fields.flat()));
const TO_ALICE = [bytesField(1, bytesOf("alice")), bytesField(2, bytesOf("tablet"))];
const MESSAGE = bytesField(3, bytesField(4, [1]));
const TTL = field(4, 60);

const refused = (requirement: string, name: string, operation: Uint8Array, code: string) =>
  service(
    named(requirement, `packet-${name}`, "Its number is consumed."),
    KNOWN,
    ...ATTACHED,
    when(submit(3, operation), {
      submitAck: { through: "3", results: [{ code: `ERROR_CODE_${code}` }] },
    }),
  );

const PACKETS: readonly ServiceVector[] = [
  refused("SEC-87", "device-unknown", sendPacket(...TO_ALICE, MESSAGE, TTL), "DEVICE_UNKNOWN"),
  refused(
    "SEC-87",
    "user-unknown",
    sendPacket(bytesField(1, bytesOf("nobody")), MESSAGE, TTL),
    "USER_UNKNOWN",
  ),
  refused("SEC-88", "without-kind", sendPacket(...TO_ALICE, TTL), "PACKET_INVALID"),
  refused("SEC-88", "without-ttl", sendPacket(...TO_ALICE, MESSAGE), "PACKET_INVALID"),
  refused(
    "SEC-88",
    "long-ttl",
    sendPacket(...TO_ALICE, MESSAGE, field(4, 604_801)),
    "PACKET_INVALID",
  ),
  refused(
    "SEC-82",
    "certificate-missing",
    Uint8Array.from(bytesField(3, [])),
    "CERTIFICATE_INVALID",
  ),
  refused(
    "SEC-85",
    "revoke-unknown",
    Uint8Array.from(bytesField(4, bytesField(2, bytesOf("tablet")))),
    "DEVICE_UNKNOWN",
  ),
  refused(
    "SEC-83",
    "revoke-other-revision",
    Uint8Array.from(bytesField(4, [...field(1, 1), ...bytesField(2, bytesOf("tablet"))])),
    "DIRECTORY_CHANGED",
  ),
];

export const SERVICE_CALLS: readonly ServiceVector[] = [...CALLS, ...PACKETS];
