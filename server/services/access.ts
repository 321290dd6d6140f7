import type { AccessRule } from "../../gen/posthorn/v1/access_rules.ts";
import { MemberRole } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { unreachable } from "../../protocol/violation.ts";
import type { Memberships } from "./memberships.ts";

/** Who asks: authenticated, never taken from what the request says (P26). */
export interface Caller {
  readonly tenant: string;
  /** Empty: a backend asks. */
  readonly userId: string;
  /** Empty: of no device that is known. */
  readonly deviceId: string;
  /** Which program of the operator; undefined: it is a user who asks. [BCK-1] */
  readonly backendId?: string;
}

/** What is asked of whom by whom. */
export interface AskedAccess {
  readonly rule: AccessRule;
  readonly request: object;
  readonly caller: Caller;
  readonly memberships: Memberships;
}

/**
 * Why a caller may not ask; undefined when it may. The only place where access rules are enforced:
 * before a method is asked, whatever its request came by. [SVC-2]
 */
export async function accessRefusal(asked: AskedAccess): Promise<ErrorCode | undefined> {
  const { rule, request, caller } = asked;
  const isBackend = caller.backendId !== undefined;
  if (rule.who === "backend") return isBackend ? undefined : ErrorCode.NOT_PERMITTED;
  if (isBackend) return ErrorCode.NOT_PERMITTED;
  switch (rule.who) {
    case "link":
      return ErrorCode.METHOD_UNKNOWN;
    case "user":
      return undefined;
    case "self": {
      const userId = textIn(request, rule.userField);
      return userId === "" || userId === caller.userId ? undefined : ErrorCode.NOT_PERMITTED;
    }
    case "member":
    case "admin": {
      const conversationId = textIn(request, rule.conversationField);
      const least = rule.who === "member" ? MemberRole.READER : MemberRole.ADMIN;
      return await memberRefusal(asked, conversationId, least);
    }
    default:
      return unreachable(rule);
  }
}

/** Not there and not in it are one answer: nobody finds out by asking what there is. [SVC-4] */
async function memberRefusal(
  { caller, memberships }: AskedAccess,
  conversationId: string,
  least: MemberRole,
): Promise<ErrorCode | undefined> {
  const role = await memberships.roleIn(caller.tenant, conversationId, caller.userId);
  if (role === undefined) return ErrorCode.CONVERSATION_UNKNOWN;
  return role >= least ? undefined : ErrorCode.NOT_PERMITTED;
}

/** The code generator has made sure that it is a text. */
function textIn(request: object, field: string): string {
  return (request as Readonly<Record<string, unknown>>)[field] as string;
}
