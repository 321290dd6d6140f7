import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { USER_ID_PATTERN } from "./limits.ts";

/**
 * The same for both users: both ids in byte order. User ids are ASCII, so code units order like
 * bytes. [CNV-1]
 */
export function directConversationId(first: string, second: string): string {
  return first < second ? `d:${first}:${second}` : `d:${second}:${first}`;
}

const DIRECT_PREFIX = "d:";

/** The users of a direct conversation, in the order of its id; undefined for other ids. */
export function directUsers(conversationId: string): readonly [string, string] | undefined {
  if (!conversationId.startsWith(DIRECT_PREFIX)) return undefined;
  const [first, second, ...more] = conversationId.slice(DIRECT_PREFIX.length).split(":");
  if (first === undefined || second === undefined || more.length > 0) return undefined;
  const areUsers = USER_ID_PATTERN.test(first) && USER_ID_PATTERN.test(second);
  return areUsers && first <= second ? [first, second] : undefined;
}

export const CONVERSATION_NONCE_BYTES = 16;
const ID_LABEL = "posthorn conversation 1";
/** RFC 4648 §6, in lower case. */
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const ID_CHARACTERS = 26;

/**
 * The id of a conversation that a user makes: nobody else can make one of this id, and whoever
 * makes it again comes to the same one. [CNV-2]
 *
 * @param nonce of 16 bytes; undefined is returned for another length
 */
export function madeConversationId(
  sha256: (bytes: Uint8Array) => Uint8Array,
  userId: string,
  nonce: Uint8Array,
): string | undefined {
  if (nonce.length !== CONVERSATION_NONCE_BYTES) return undefined;
  const head = getTextEncoding().encodeUtf8(`${ID_LABEL}\0${userId}\0`);
  const hash = sha256(Uint8Array.of(...head, ...nonce));
  let id = "g:";
  for (let index = 0; index < ID_CHARACTERS; index += 1) {
    const bit = index * 5;
    const pair = ((hash[bit >> 3] as number) << 8) | (hash[(bit >> 3) + 1] as number);
    id += BASE32[(pair >> (11 - (bit & 7))) & 31];
  }
  return id;
}

const MADE_PATTERN = /^g:[a-z2-7]{26}$/;

/** Whether an id has the form of a conversation's that somebody made. */
export function isMadeConversationId(conversationId: string): boolean {
  return MADE_PATTERN.test(conversationId);
}

export function isConversationId(conversationId: string): boolean {
  return isMadeConversationId(conversationId) || directUsers(conversationId) !== undefined;
}
