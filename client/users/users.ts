import { ContactsService, UsersService } from "../../gen/posthorn/v1/users_pb.ts";
import type { Client } from "../client.ts";
import { encodedOperation } from "../operations.ts";
import type { SendResult } from "../results.ts";
import { contactOf, profileOf, type UserContact, type UserProfile } from "./events.ts";

interface Waiting {
  /** Ends the waiting, not what was asked for. */
  readonly signal?: AbortSignal;
}

/** What a user says of itself, as it was answered. */
export interface ListedProfile {
  readonly userId: string;
  readonly profile: UserProfile;
  /** 0: it has set none, or does not show it to the caller. */
  readonly revision: number;
}

/** A whole list of the user's own, at one moment. */
export interface OwnList<Item> {
  readonly items: readonly Item[];
  /** Events with no higher one are in it already. */
  readonly revision: number;
}

/** Users whom a service answers at once. [USR-30] */
const PROFILES_COUNT = 100;
/** How often a list may change while it is read, until that is given up. */
const ATTEMPTS_MAX = 5;

/** What a user says of itself, whom it knows and whom it blocks, on a client. */
export function usersOf(client: Pick<Client, "submit" | "call">): Users {
  return new Users(client);
}

/**
 * What a user says of itself, whom it knows and whom it blocks. Changes are in the journal before
 * they leave, go on after restarts and happen once; their promises are those of
 * {@link Client.submit}, those of questions of {@link Client.call}.
 */
export class Users {
  readonly #client: Pick<Client, "submit" | "call">;

  constructor(client: Pick<Client, "submit" | "call">) {
    this.#client = client;
  }

  /** Takes the place of all that the user had said. What is left out is empty. [USR-2] */
  async changeProfile(profile: Partial<UserProfile>, options: Waiting = {}): Promise<SendResult> {
    return await this.#submit({ case: "changeProfile", value: { profile } }, options);
  }

  /** Changes 100 contacts at most, all of them or none; the others stay as they are. [USR-12] */
  async changeContacts(
    changes: {
      readonly set?: readonly (Partial<UserContact> & Pick<UserContact, "userId">)[];
      readonly remove?: readonly string[];
    },
    options: Waiting = {},
  ): Promise<SendResult> {
    const { set = [], remove = [] } = changes;
    const value = { set: set.map((one) => ({ ...one })), removeUserIds: [...remove] };
    return await this.#submit({ case: "changeContacts", value }, options);
  }

  /** Wants to hear nothing of 100 users at most. They are not told; whoever writes is. [USR-21] */
  async block(userIds: readonly string[], options: Waiting = {}): Promise<SendResult> {
    const value = { blockUserIds: [...userIds] };
    return await this.#submit({ case: "changeBlocks", value }, options);
  }

  /** The end of that. What was refused meanwhile does not come after all. */
  async unblock(userIds: readonly string[], options: Waiting = {}): Promise<SendResult> {
    const value = { unblockUserIds: [...userIds] };
    return await this.#submit({ case: "changeBlocks", value }, options);
  }

  /** What users say of themselves; those that there are, in the order in which they are named. */
  async profiles(
    userIds: readonly string[],
    options: Waiting = {},
  ): Promise<readonly ListedProfile[]> {
    const all: ListedProfile[] = [];
    for (let from = 0; from < userIds.length; from += PROFILES_COUNT) {
      const request = { userIds: userIds.slice(from, from + PROFILES_COUNT) };
      const { getProfiles } = UsersService.method;
      const { profiles } = await this.#client.call(getProfiles, request, options);
      for (const { userId, profile, revision } of profiles) {
        all.push({ userId, profile: profileOf(profile), revision: Number(revision) });
      }
    }
    return all;
  }

  /** All contacts of the user. */
  async contacts(options: Waiting = {}): Promise<OwnList<UserContact>> {
    const { listContacts } = ContactsService.method;
    return await wholeList(async (afterUserId) => {
      const page = await this.#client.call(listContacts, { afterUserId }, options);
      return { ...page, items: page.contacts.map(contactOf) };
    });
  }

  /** All whom the user blocks. */
  async blocked(options: Waiting = {}): Promise<OwnList<string>> {
    const { listBlocked } = ContactsService.method;
    return await wholeList(async (afterUserId) => {
      const page = await this.#client.call(listBlocked, { afterUserId }, options);
      return { ...page, items: page.userIds };
    });
  }

  #submit(kind: Parameters<typeof encodedOperation>[0], options: Waiting): Promise<SendResult> {
    return this.#client.submit(encodedOperation(kind), options);
  }
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextAfter: string;
  readonly revision: bigint;
}

/** Pages of different revisions do not fit together: then it begins again. [USR-31] */
async function wholeList<Item>(
  pageAfter: (userId: string) => Promise<Page<Item>>,
): Promise<OwnList<Item>> {
  for (let attempt = 1; ; attempt += 1) {
    const first = await pageAfter("");
    const items = [...first.items];
    let page = first;
    let isSame = true;
    while (page.nextAfter !== "" && isSame) {
      page = await pageAfter(page.nextAfter);
      isSame = page.revision === first.revision || attempt === ATTEMPTS_MAX;
      items.push(...page.items);
    }
    // After so many attempts with what came before it changed: its events say what did.
    if (isSame) return { items, revision: Number(first.revision) };
  }
}
