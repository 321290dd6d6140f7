import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
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
