import { create, toBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";

/** An encoded operation that sends a message to a user. */
export function sendDirect(toUserId: string, content: string | Uint8Array): Uint8Array {
  const kind =
    typeof content === "string"
      ? { case: "text" as const, value: content }
      : { case: "custom" as const, value: content };
  const sending = { case: "sendDirect" as const, value: { toUserId, content: { kind } } };
  return toBinary(OperationSchema, create(OperationSchema, { kind: sending }));
}
