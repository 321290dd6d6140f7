import type { KeyDirectoryService } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import { directoryIn, directoryRef } from "../operations/directory.ts";
import { documentsIn } from "../store/documents.ts";
import type { Store } from "../store/store.ts";
import { CallRefused, type Implementation } from "./service.ts";

/** Answers which devices a user has, from what the store holds. [SEC-81] */
export function keyDirectory(
  store: Store,
  crypto: CryptoProvider,
): Implementation<typeof KeyDirectoryService> {
  return {
    listDevices: async ({ userId }, { tenant }) => {
      if (!USER_ID_PATTERN.test(userId)) throw new CallRefused(ErrorCode.USER_ID_INVALID);
      const ref = directoryRef(tenant, userId);
      const { documents } = await store.loadForPlanning({ users: [], documents: [ref] });
      const { revision, accountKey, devices } = directoryIn(documentsIn(documents)(ref), crypto);
      const listed = [...devices.values()];
      if (accountKey === undefined) return { revision: BigInt(revision), devices: listed };
      return { revision: BigInt(revision), accountKey, devices: listed };
    },
  };
}
