import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { type Authenticator, BACKEND_ID_PATTERN } from "./authenticate.ts";

/**
 * Everybody is who they say. Only for loopback: the configuration refuses any other host. [AUT-4]
 */
export function openAuthenticator(): Authenticator {
  return {
    authenticate: async ({ userId, backendId }) => {
      if (backendId !== undefined && userId === "" && BACKEND_ID_PATTERN.test(backendId)) {
        return { kind: "backend", backend: { tenant: "", backendId } };
      }
      if (USER_ID_PATTERN.test(userId)) {
        return { kind: "authenticated", principal: { tenant: "", userId } };
      }
      const detail = "Hello.user_id is no user id";
      return { kind: "refused", code: ErrorCode.HELLO_INVALID, requirement: "SES-5", detail };
    },
  };
}
