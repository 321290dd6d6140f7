import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";

/** An encoded operation that sends a message to a user. */
export function sendDirect(toUserId: string, content: string | Uint8Array): Uint8Array {
  const kind =
    typeof content === "string"
      ? { case: "text" as const, value: content }
      : { case: "custom" as const, value: content };
  return encoded({ case: "sendDirect", value: { toUserId, content: { kind } } });
}

/**
 * An encoded operation that ends one of the user's devices for ever: `client.submit(…)`. A client
 * that ends its own device is told that it is done, and closes with DEVICE_ENDED. [DEV-2]
 */
export function endDevice(deviceId: string): Uint8Array {
  return encoded({ case: "endDevice", value: { deviceId } });
}

/** An encoded operation that names one of the user's devices, in 128 bytes at most. [DEV-9] */
export function nameDevice(deviceId: string, name: string): Uint8Array {
  return encoded({ case: "nameDevice", value: { deviceId, name } });
}

type Kind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

function encoded(kind: Kind): Uint8Array {
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}
