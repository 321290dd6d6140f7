import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
import type { PresenceAudience } from "../gen/posthorn/v1/signal_pb.ts";
import { contentFrom, type MessageContent } from "./conversations/content.ts";

type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

/** An operation's bytes, as they are submitted. */
export function encodedOperation(kind: OperationKind): Uint8Array {
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}

/** An encoded operation that sends a message to a user. */
export function sendDirect(toUserId: string, content: MessageContent): Uint8Array {
  return encodedOperation({
    case: "sendDirect",
    value: { toUserId, content: contentFrom(content) },
  });
}

/** An encoded operation that sets to whom the user's presence is shown. [SIG-13] */
export function setPresencePolicy(policy: {
  readonly stateTo: PresenceAudience;
  /** When it was last there: of those to whom its state is shown. */
  readonly lastSeenTo: PresenceAudience;
}): Uint8Array {
  return encodedOperation({ case: "setPresencePolicy", value: { policy } });
}

/**
 * An encoded operation that ends one of the user's devices for ever: `client.submit(…)`. A client
 * that ends its own device is told that it is done, and closes with DEVICE_ENDED. [DEV-2]
 */
export function endDevice(deviceId: string): Uint8Array {
  return encodedOperation({ case: "endDevice", value: { deviceId } });
}

/** An encoded operation that names one of the user's devices, in 128 bytes at most. [DEV-9] */
export function nameDevice(deviceId: string, name: string): Uint8Array {
  return encodedOperation({ case: "nameDevice", value: { deviceId, name } });
}
