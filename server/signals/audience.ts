import { fromBinary } from "@bufbuild/protobuf";
import {
  ConversationKind,
  ConversationRecordSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { USER_ID_PATTERN } from "../../protocol/limits.ts";
import {
  type DocumentRef,
  documentRefOf,
  type Store,
  type StoredDocument,
} from "../store/store.ts";

/** Who is in a conversation, for those who tell them something in passing. */
export interface ConversationAudience {
  readonly memberIds: readonly string[];
  mayWrite(userId: string): boolean;
}

/** Who is in which conversation. */
export interface Audience {
  /** Undefined: there is no such conversation. */
  membersOf(tenant: string, conversationId: string): Promise<ConversationAudience | undefined>;
  /** Of several at once; those that there are. */
  membersOfAll(
    tenant: string,
    conversationIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConversationAudience>>;
}

/** As the store has it. */
export class StoredAudience implements Audience {
  readonly #store: Pick<Store, "loadForPlanning">;

  constructor(store: Pick<Store, "loadForPlanning">) {
    this.#store = store;
  }

  async membersOf(
    tenant: string,
    conversationId: string,
  ): Promise<ConversationAudience | undefined> {
    const direct = directAudience(conversationId);
    if (direct !== undefined) return direct;
    return (await this.membersOfAll(tenant, [conversationId])).get(conversationId);
  }

  async membersOfAll(
    tenant: string,
    conversationIds: readonly string[],
  ): Promise<ReadonlyMap<string, ConversationAudience>> {
    const refs = conversationIds
      .filter((id) => MADE_PATTERN.test(id))
      .map((id) => [id, recordRef(tenant, id)] as const);
    const documents = refs.map(([, ref]) => ref);
    const state = await this.#store.loadForPlanning({ users: [], documents });
    const found = new Map<string, ConversationAudience>();
    for (const [id, ref] of refs) {
      const document = state.documents.get(ref);
      if (document !== undefined && document.revision > 0) found.set(id, audienceIn(document));
    }
    return found;
  }
}

/** Ids of conversations that users make. */
export const MADE_PATTERN = /^g:[a-z0-9]{1,64}$/;

/** An encoded ConversationRecord. */
function recordRef(tenant: string, conversationId: string): DocumentRef {
  return documentRefOf(tenant, `conversation:${conversationId}`);
}

/** Of both users, whoever they are: whether somebody is there is not asked here. */
function directAudience(conversationId: string): ConversationAudience | undefined {
  const [kind, first = "", second = "", ...more] = conversationId.split(":", 4);
  if (kind !== "d" || more.length > 0 || first > second) return undefined;
  if (!USER_ID_PATTERN.test(first) || !USER_ID_PATTERN.test(second)) return undefined;
  return {
    memberIds: [first, second],
    mayWrite: (userId) => userId === first || userId === second,
  };
}

/** Decoded once for as long as its bytes are held. */
const DECODED = new WeakMap<StoredDocument, ConversationAudience>();

function audienceIn(document: StoredDocument): ConversationAudience {
  const known = DECODED.get(document);
  if (known !== undefined) return known;
  const { kind, members } = fromBinary(ConversationRecordSchema, document.bytes);
  const least = kind === ConversationKind.CHANNEL ? MemberRole.ADMIN : MemberRole.MEMBER;
  const writers = new Set(members.flatMap(({ userId, role }) => (role >= least ? [userId] : [])));
  const audience = {
    memberIds: members.map(({ userId }) => userId),
    mayWrite: (userId: string) => writers.has(userId),
  };
  DECODED.set(document, audience);
  return audience;
}
