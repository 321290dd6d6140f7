import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { UsersService } from "../../gen/posthorn/v1/users_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { blockedIn, blocksRef } from "../operations/blocks.ts";
import { profileIn, profileRef } from "../operations/profiles.ts";
import { documentsIn } from "../store/documents.ts";
import { NO_DOCUMENT, type Store, userRefOf } from "../store/store.ts";
import { CallRefused, type Implementation } from "./service.ts";

/** Of at most 1,000 bytes each: all of them fit into the smallest frame there may be. [USR-30] */
const PROFILES_MAX = 100;

/** Answers what users say of themselves. [USR-30] [USR-25] */
export function users(store: Pick<Store, "loadForPlanning">): Implementation<typeof UsersService> {
  return {
    getProfiles: async ({ userIds: asked }, { tenant, userId: callerId }) => {
      if (asked.length > PROFILES_MAX) throw new CallRefused(ErrorCode.CALL_MALFORMED);
      // What is no id names no document either: it may be longer than the store's keys.
      const userIds = [...new Set(asked)].filter((userId) => USER_ID_PATTERN.test(userId));
      const state = await store.loadForPlanning({
        users: userIds.map((userId) => userRefOf(tenant, userId)),
        documents: userIds.flatMap((userId) => [
          profileRef(tenant, userId),
          blocksRef(tenant, userId),
        ]),
      });
      const read = documentsIn(state.documents);
      const known = userIds.filter((userId) => state.knownUsers.has(userRefOf(tenant, userId)));
      return {
        profiles: known.map((userId) => {
          const hides = blockedIn(read(blocksRef(tenant, userId))).has(callerId);
          const document = hides ? NO_DOCUMENT : read(profileRef(tenant, userId));
          const revision = BigInt(document.revision);
          return { userId, profile: profileIn(document), revision };
        }),
      };
    },
  };
}
