import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import type { AppendPlan } from "../store/plans.ts";
import { userRefOf } from "../store/store.ts";
import { ownLog } from "./directory.ts";
import type { Sender } from "./plan.ts";

// What users keep for themselves: profiles, contacts, and whom they block. [USR]

/** What an operator may change of that. */
export interface UserRules {
  /** Users on a list of contacts. [USR-10] */
  readonly contactsMax: number;
  /** Users whom one user blocks. [USR-20] */
  readonly blocksMax: number;
  /** Users who are told of a profile, without its own. [USR-4] */
  readonly profileToldMax: number;
}

export const USER_RULES: UserRules = {
  contactsMax: 1_000,
  blocksMax: 1_000,
  profileToldMax: 500,
};

/** Users whom one change of a list names. */
export const NAMED_USERS_MAX = 100;

/** Why the users whom a change of a list names are no such users. [USR-11] */
export function namedRefusal(userIds: readonly string[]): ErrorCode | undefined {
  const areFew = userIds.length >= 1 && userIds.length <= NAMED_USERS_MAX;
  if (!areFew || new Set(userIds).size < userIds.length) return ErrorCode.CONTENT_INVALID;
  const areIds = userIds.every((userId) => USER_ID_PATTERN.test(userId));
  return areIds ? undefined : ErrorCode.USER_ID_INVALID;
}

type Kind = NonNullable<MessageInitShape<typeof EventSchema>["kind"]>;

/** Tells the sender's own devices, and some others. */
export function tellPlan(
  { tenant, userId }: Sender,
  kind: Kind,
  others: readonly string[] = [],
): AppendPlan {
  return {
    kind: "append",
    log: ownLog(tenant, userId),
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: [userId, ...others].map((one) => userRefOf(tenant, one)),
  };
}
