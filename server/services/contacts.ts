import type { ContactsService } from "../../gen/posthorn/v1/users_pb.ts";
import { addressBookIn, addressBookRef } from "../operations/address-book.ts";
import { blocksRef } from "../operations/blocks.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { DocumentRef, Store, StoredDocument } from "../store/store.ts";
import { pageCount } from "./place.ts";
import type { Implementation } from "./service.ts";

/** Of at most 460 bytes each: a page fits into the smallest frame there may be. [USR-31] */
const CONTACTS_COUNT = { usual: 100, most: 200 };
const BLOCKED_COUNT = { usual: 100, most: 500 };

type Reads = Pick<Store, "loadForPlanning">;

/** Answers what the caller keeps for itself. [USR-31] */
export function contacts(store: Reads): Implementation<typeof ContactsService> {
  return {
    listContacts: async ({ afterUserId, countMax }, { tenant, userId }) => {
      const document = await read(store, addressBookRef(tenant, userId));
      const all = addressBookIn(document).contacts;
      const following = all.filter((contact) => contact.userId > afterUserId);
      const most = pageCount(countMax, CONTACTS_COUNT.usual, CONTACTS_COUNT.most);
      const page = following.slice(0, most);
      const isEnd = page.length === following.length;
      return {
        contacts: page,
        nextAfter: isEnd ? "" : (page.at(-1)?.userId ?? ""),
        revision: BigInt(document.revision),
      };
    },

    listBlocked: async ({ afterUserId, countMax }, { tenant, userId }) => {
      const document = await read(store, blocksRef(tenant, userId));
      const following = namesIn(document).filter((name) => name > afterUserId);
      const most = pageCount(countMax, BLOCKED_COUNT.usual, BLOCKED_COUNT.most);
      const page = following.slice(0, most);
      const isEnd = page.length === following.length;
      return {
        userIds: page,
        nextAfter: isEnd ? "" : (page.at(-1) ?? ""),
        revision: BigInt(document.revision),
      };
    },
  };
}

async function read(store: Reads, ref: DocumentRef): Promise<StoredDocument> {
  const { documents } = await store.loadForPlanning({ users: [], documents: [ref] });
  return documentsIn(documents)(ref);
}
