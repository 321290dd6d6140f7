import { create, toBinary } from "@bufbuild/protobuf";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
import type { PresenceAudience } from "../gen/posthorn/v1/signal_pb.ts";

/** An encoded operation that sends a message to a user. */
export function sendDirect(toUserId: string, content: string | Uint8Array): Uint8Array {
  const kind =
    typeof content === "string"
      ? { case: "text" as const, value: content }
      : { case: "custom" as const, value: content };
  const sending = { case: "sendDirect" as const, value: { toUserId, content: { kind } } };
  return toBinary(OperationSchema, create(OperationSchema, { kind: sending }));
}

/** An encoded operation that sets to whom the user's presence is shown. [SIG-13] */
export function setPresencePolicy(policy: {
  readonly stateTo: PresenceAudience;
  /** When it was last there: of those to whom its state is shown. */
  readonly lastSeenTo: PresenceAudience;
}): Uint8Array {
  const kind = { case: "setPresencePolicy" as const, value: { policy } };
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}
