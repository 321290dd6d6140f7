import { type Code, ConnectError } from "@connectrpc/connect";
import { type ErrorCode, ErrorDetailSchema } from "../../gen/posthorn/v1/error_pb.ts";

export interface Refusal {
  /** Undefined: whoever refused said nothing of ours. */
  readonly code: ErrorCode | undefined;
  readonly status: Code;
}

/** How a call was refused. @throws when it was answered */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (reason) {
    const error = ConnectError.from(reason);
    const [detail] = error.findDetails(ErrorDetailSchema);
    return { code: detail?.code, status: error.code };
  }
  throw new Error("was answered");
}
