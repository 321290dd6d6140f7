import type { IncomingHttpHeaders } from "node:http";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { DEVICE_ID_PATTERN } from "../../protocol/limits.ts";
import type { Authenticator } from "../auth/authenticate.ts";
import type { Caller } from "../services/access.ts";
import { CallRefused } from "../services/service.ts";

export interface CallerRules {
  readonly authenticator: Authenticator;
  /** Everybody is who they say: no key is configured. [AUT-4] */
  readonly isOpen: boolean;
  /** Whether the device that a caller says it is was ended. */
  readonly isEnded: (caller: Caller) => Promise<boolean>;
}

const BEARER = /^Bearer +([\x21-\x7e]+)$/i;

/**
 * Who makes a request over HTTP, by its token; where the service runs without keys, by what it
 * says. [SVC-7]
 *
 * @throws CallRefused
 */
export async function callerOf(
  headers: IncomingHttpHeaders,
  { authenticator, isOpen }: CallerRules,
): Promise<Caller> {
  const token = BEARER.exec(headers.authorization ?? "")?.[1] ?? "";
  const userId = headers["posthorn-user"] ?? "";
  const deviceId = headers["posthorn-device"] ?? "";
  const backendId = headers["posthorn-backend"];
  const isNobody = isOpen ? userId === "" && backendId === undefined : token === "";
  const isLegal =
    typeof userId === "string" && typeof deviceId === "string" && !Array.isArray(backendId);
  if (isNobody || !isLegal || (deviceId !== "" && !DEVICE_ID_PATTERN.test(deviceId))) {
    throw new CallRefused(ErrorCode.CREDENTIALS_REQUIRED);
  }
  // Nobody is both, and a backend has no devices. [BCK-3]
  if (backendId !== undefined && (userId !== "" || deviceId !== "")) {
    throw new CallRefused(ErrorCode.CREDENTIALS_REQUIRED);
  }
  const identity = await authenticator.authenticate({ token, userId, deviceId, backendId });
  if (identity.kind === "authenticated") return { ...identity.principal, deviceId };
  if (identity.kind === "backend") return { ...identity.backend, userId: "", deviceId: "" };
  const isOfHello = identity.code === ErrorCode.HELLO_INVALID;
  throw new CallRefused(isOfHello ? ErrorCode.CREDENTIALS_REQUIRED : identity.code);
}

/** @throws CallRefused where the caller is a device that its user has ended [DEV-12] */
export async function refuseEnded(
  caller: Caller,
  { isEnded }: Pick<CallerRules, "isEnded">,
): Promise<void> {
  if (caller.deviceId !== "" && (await isEnded(caller))) {
    throw new CallRefused(ErrorCode.DEVICE_ENDED);
  }
}
