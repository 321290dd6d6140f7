import type { Mutant } from "./mutant.ts";

const ACCESS = "server/services/access.ts";
const DENIAL = "fuzz/services/denial.test.ts";
const ENDED = "fuzz/services/ended-device.test.ts";

/** Bugs in who may ask what. */
export const ACCESS_MUTANTS: readonly Mutant[] = [
  {
    name: "services-rule-unheeded",
    title: "[SVC-2] asks the method whatever its rule says",
    file: "server/services/service.ts",
    find: "if (refused !== undefined) throw new CallRefused(refused);",
    replace: "",
    killedBy: DENIAL,
  },
  {
    name: "services-self-is-anybody",
    title: "[SVC-3] lets everybody name another user",
    file: ACCESS,
    find: 'return userId === "" || userId === caller.userId ? undefined : ErrorCode.NOT_PERMITTED;',
    replace: "return userId === null ? ErrorCode.NOT_PERMITTED : undefined;",
    killedBy: DENIAL,
  },
  {
    name: "services-stranger-is-member",
    title: "[SVC-4] lets those ask who are in no conversation",
    file: ACCESS,
    find: "if (role === undefined) return ErrorCode.CONVERSATION_UNKNOWN;",
    replace: "if (role === undefined) return undefined;",
    killedBy: "server/services/access.test.ts",
  },
  {
    name: "services-tells-what-there-is",
    title: "[SVC-4] tells strangers that there is such a conversation, by saying that they may not",
    file: ACCESS,
    find: "if (role === undefined) return ErrorCode.CONVERSATION_UNKNOWN;",
    replace: "if (role === undefined) return ErrorCode.NOT_PERMITTED;",
    killedBy: DENIAL,
  },
  {
    name: "services-every-role",
    title: "[SVC-4] lets every member ask what is for admins",
    file: ACCESS,
    find: "return role >= least ? undefined : ErrorCode.NOT_PERMITTED;",
    replace: "return role < 0 ? ErrorCode.NOT_PERMITTED : undefined;",
    killedBy: "server/services/access.test.ts",
  },
  {
    name: "services-tenant-forgotten",
    title: "[SVC-4] looks for the caller among the members of the tenant without a name",
    file: ACCESS,
    find: "memberships.roleIn(caller.tenant, conversationId, caller.userId)",
    replace: 'memberships.roleIn("", conversationId, caller.userId)',
    killedBy: "fuzz/services/services.test.ts",
  },
  {
    name: "services-backend-is-user",
    title: "[SVC-2] lets programs ask as if they were users",
    file: ACCESS,
    find: "if (isBackend) return ErrorCode.NOT_PERMITTED;",
    replace: "",
    killedBy: "server/services/access.test.ts",
  },
  {
    name: "services-nobody-is-somebody",
    title: "[SVC-7] takes a name for a credential where there are keys",
    file: "server/rpc/caller.ts",
    find: 'const isNobody = isOpen ? userId === "" && backendId === undefined : token === "";',
    replace: 'const isNobody = userId === "" && token === "";',
    killedBy: DENIAL,
  },
  {
    name: "services-ended-device-asks",
    title: "[DEV-12] answers devices over HTTP that were ended",
    file: "server/rpc/caller.ts",
    find: 'if (caller.deviceId !== "" && (await isEnded(caller))) {',
    replace: 'if (caller.deviceId === "" && (await isEnded(caller))) {',
    killedBy: ENDED,
  },
  {
    name: "services-ended-while-asking",
    title: "[DEV-12] answers a device that was ended while it asked",
    file: "server/rpc/http-calls.ts",
    find: "  // It may have been ended since it asked.\n  await refuseEnded(caller, options);\n",
    replace: "",
    killedBy: "server/rpc/http-calls.test.ts",
  },
  {
    name: "services-token-of-any-device",
    title: "[AUT-3] takes a token that is another device's",
    file: "server/auth/jwt.ts",
    find: "if (device !== undefined && device !== claim.deviceId) {",
    replace: 'if (device !== undefined && claim.deviceId === "") {',
    killedBy: ENDED,
  },
];
