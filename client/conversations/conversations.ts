import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ConversationKind,
  HistoryVisibility,
  JoinRule,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type {
  MentionsSchema,
  ReferenceKind,
  ReferenceSchema,
  TodoState,
} from "../../gen/posthorn/v1/event_pb.ts";
import { CONVERSATION_NONCE_BYTES, madeConversationId } from "../../protocol/conversation-id.ts";
import { encodeNumberSet, NO_NUMBERS, type NumberSet } from "../../protocol/number-set.ts";
import { sha256 } from "../../protocol/sha256.ts";
import { assert } from "../../protocol/violation.ts";
import { orAborted } from "../abortable.ts";
import type { Client } from "../client.ts";
import { encodedOperation } from "../operations.ts";
import type { ClientStatus } from "../options.ts";
import { type SendResult, SessionError } from "../results.ts";
import { contentFrom, type MessageContent } from "./content.ts";
import type { MessageMentions, MessageReference } from "./events.ts";
import {
  type ConversationKindName,
  HISTORY_NAMES,
  type HistoryName,
  JOIN_NAMES,
  type JoinName,
  KIND_NAMES,
  numberOf,
  REFERENCE_NAMES,
  ROLE_NAMES,
  type RoleName,
  TODO_NAMES,
  type TodoName,
} from "./names.ts";
import type { DraftContent } from "./personal.ts";

/** What may be changed of a conversation: all of it at once. */
export interface ConversationChange {
  /** For people. Not empty. */
  readonly title: string;
  readonly topic?: string;
  /** For those who join from now on; "joined" unless said otherwise. */
  readonly history?: HistoryName;
  /** Who may come in from now on; "added" unless said otherwise. */
  readonly join?: JoinName;
  /**
   * How long a message that is sent from now on is there at most, seconds: 5 to 31,536,000. 0, or
   * left out: for ever.
   */
  readonly lifetimeS?: number;
}

/** A conversation to be made. */
export interface NewConversation extends ConversationChange {
  readonly kind?: Exclude<ConversationKindName, "direct">;
  /** Whom to add besides the user, who is the owner. */
  readonly members?: readonly NewMember[];
}

export interface NewMember {
  readonly userId: string;
  /** "member" unless said otherwise. */
  readonly role?: RoleName;
}

/** A conversation whose id is known before it is there. */
export interface MadeConversation {
  readonly conversationId: string;
  /** Resolves when it is durable at the service; rejects as {@link Client.send}. */
  readonly made: Promise<SendResult>;
}

interface Waiting {
  /** Ends the waiting, not what was asked for. */
  readonly signal?: AbortSignal;
}

interface Calling {
  /** Whom it calls. */
  readonly mentions?: Partial<MessageMentions> | undefined;
}

interface Sending extends Calling, Waiting {
  readonly reference?: MessageReference;
  readonly clearsDraft?: boolean;
  /**
   * How long it is there, seconds: 5 to 31,536,000, or less where the conversation says less. 0,
   * or left out: as the conversation says.
   */
  readonly lifetimeS?: number;
}

/** What people do in conversations, on a client. */
export function conversationsOf(client: Client): Conversations {
  return new Conversations(client);
}

/**
 * What people do in conversations. Everything is in the journal before it leaves, goes on after
 * restarts and happens once; every promise is kept and broken like that of {@link Client.send}.
 */
export class Conversations {
  readonly #client: Pick<Client, "submit" | "status" | "onStatus">;

  constructor(client: Pick<Client, "submit" | "status" | "onStatus">) {
    this.#client = client;
  }

  /**
   * Sends a message into a conversation, also a direct one that nothing was said in yet.
   *
   * @param options `clearsDraft`: it is what the draft was to become, which goes with it [CNV-75]
   */
  async send(
    conversationId: string,
    content: MessageContent,
    options: Sending = {},
  ): Promise<SendResult> {
    const { lifetimeS = 0 } = options;
    const said = { conversationId, content: contentFrom(content), ...mentionsIn(options) };
    const sent = { ...said, lifetimeS, ...referring(options) };
    const result = this.#submit({ case: "sendMessage", value: sent }, options);
    // Behind it in the outbox. Whoever waits waits for the message.
    if (options.clearsDraft) this.saveDraft(conversationId, undefined, options).catch(() => {});
    return await result;
  }

  /** Gives a message of the user's another content. Nobody who was called is not any more. */
  async edit(
    conversationId: string,
    conversationSeq: number,
    content: MessageContent,
    options: Calling & Waiting = {},
  ): Promise<SendResult> {
    const named = { conversationId, conversationSeq: BigInt(conversationSeq) };
    const value = { ...named, content: contentFrom(content), ...mentionsIn(options) };
    return await this.#submit({ case: "editMessage", value }, options);
  }

  /** Takes a message back, for good. */
  async recall(
    conversationId: string,
    conversationSeq: number,
    options: Waiting = {},
  ): Promise<SendResult> {
    const value = { conversationId, conversationSeq: BigInt(conversationSeq) };
    return await this.#submit({ case: "recallMessage", value }, options);
  }

  /** Reacts to a message, or does not any more. */
  async react(
    conversationId: string,
    conversationSeq: number,
    reaction: string,
    options: { readonly remove?: boolean } & Waiting = {},
  ): Promise<SendResult> {
    const named = { conversationId, conversationSeq: BigInt(conversationSeq) };
    const value = { ...named, reaction, remove: options.remove ?? false };
    return await this.#submit({ case: "react", value }, options);
  }

  /** Says what was read, and up to where everything has come. Adds to what was said before. */
  async mark(
    conversationId: string,
    marks: { readonly read?: NumberSet; readonly deliveredThrough?: number },
    options: Waiting = {},
  ): Promise<SendResult> {
    const { read = NO_NUMBERS, deliveredThrough = 0 } = marks;
    const through = BigInt(deliveredThrough);
    const value = { conversationId, read: encodeNumberSet(read), deliveredThrough: through };
    return await this.#submit({ case: "mark", value }, options);
  }

  /**
   * Keeps what the user has begun to write, for all of its devices, in place of what was kept.
   * Each change is a write that waits for the disk: for when somebody rests, not for every letter.
   *
   * @param draft undefined: nothing is kept any more
   */
  async saveDraft(
    conversationId: string,
    draft: DraftContent | undefined,
    options: Waiting = {},
  ): Promise<SendResult> {
    const content = draft && { content: contentFrom(draft.content), ...referring(draft) };
    const value = { conversationId, ...content, ...mentionsIn(draft ?? {}) };
    return await this.#submit({ case: "saveDraft", value }, options);
  }

  /**
   * Has a conversation call no more for a while; what is said in it comes all the same.
   *
   * @param untilMs Unix milliseconds; 0: it is not muted, MUTED_FOR_EVER: for ever
   */
  async mute(conversationId: string, untilMs: number, options: Waiting = {}): Promise<SendResult> {
    const value = { conversationId, untilMs: BigInt(untilMs) };
    return await this.#submit({ case: "muteConversation", value }, options);
  }

  /**
   * Says, to all members, that something is to be done about a message, or that it is done.
   *
   * @param state undefined: nothing is said of that any more
   */
  async markTodo(
    conversationId: string,
    conversationSeq: number,
    state: TodoName | undefined,
    options: Waiting = {},
  ): Promise<SendResult> {
    const named = { conversationId, conversationSeq: BigInt(conversationSeq) };
    const value = { ...named, state: numberOf<TodoState>(TODO_NAMES, state) };
    return await this.#submit({ case: "markTodo", value }, options);
  }

  /**
   * Makes a conversation. Its id is there at once, and can be written to at once: what is submitted
   * later happens later. Only a client that was never attached waits for the service to say who the
   * user is.
   */
  async create(conversation: NewConversation, options: Waiting = {}): Promise<MadeConversation> {
    const { kind = "group", members = [] } = conversation;
    const userId = await userIdOf(this.#client, options);
    const nonce = crypto.getRandomValues(new Uint8Array(CONVERSATION_NONCE_BYTES));
    const conversationId = madeConversationId(sha256, userId, nonce);
    assert(conversationId !== undefined, "the nonce has its size");
    const value = {
      nonce,
      kind: numberOf<ConversationKind>(KIND_NAMES, kind),
      settings: settingsOf(conversation),
      members: membersOf(members),
    };
    const made = this.#submit({ case: "createConversation", value }, options);
    // Heard by whoever waits for it; nobody has to.
    made.catch(() => {});
    return { conversationId, made };
  }

  /** Adds members, gives them other roles and takes some out: all of it or nothing. */
  async changeMembers(
    conversationId: string,
    changes: { readonly set?: readonly NewMember[]; readonly remove?: readonly string[] },
    options: Waiting = {},
  ): Promise<SendResult> {
    const { set = [], remove = [] } = changes;
    const value = { conversationId, set: membersOf(set), removeUserIds: [...remove] };
    return await this.#submit({ case: "changeMembers", value }, options);
  }

  /** Comes into an open conversation. */
  async join(conversationId: string, options: Waiting = {}): Promise<SendResult> {
    return await this.#submit({ case: "joinConversation", value: { conversationId } }, options);
  }

  /** Goes out. The last owner cannot while others are in it. */
  async leave(conversationId: string, options: Waiting = {}): Promise<SendResult> {
    return await this.#submit({ case: "leaveConversation", value: { conversationId } }, options);
  }

  /**
   * Changes a conversation's settings.
   *
   * @param change with the revision that it changes: refused with CONVERSATION_CHANGED when others
   *   have changed it meanwhile
   */
  async change(
    conversationId: string,
    change: ConversationChange & { readonly revision: number },
    options: Waiting = {},
  ): Promise<SendResult> {
    const revision = BigInt(change.revision);
    const value = { conversationId, revision, settings: settingsOf(change) };
    return await this.#submit({ case: "changeConversation", value }, options);
  }

  /** Sets something for the user itself, in place of what it had set before. */
  async changePreferences(
    preferences: { readonly receiptsHidden: boolean },
    options: Waiting = {},
  ): Promise<SendResult> {
    return await this.#submit({ case: "changePreferences", value: { preferences } }, options);
  }

  #submit(kind: Parameters<typeof encodedOperation>[0], { signal }: Waiting): Promise<SendResult> {
    return this.#client.submit(encodedOperation(kind), signal === undefined ? {} : { signal });
  }
}

function referring({ reference }: { readonly reference?: MessageReference | undefined }): {
  reference?: MessageInitShape<typeof ReferenceSchema>;
} {
  if (reference === undefined) return {};
  const kind = numberOf<ReferenceKind>(REFERENCE_NAMES, reference.kind);
  return { reference: { kind, conversationSeq: BigInt(reference.conversationSeq) } };
}

function mentionsIn({ mentions }: Calling): { mentions?: MessageInitShape<typeof MentionsSchema> } {
  if (mentions === undefined) return {};
  const { userIds = [], roles = [], everyone = false } = mentions;
  const numbers = roles.map((role) => numberOf<MemberRole>(ROLE_NAMES, role));
  return { mentions: { userIds: [...userIds], roles: numbers, everyone } };
}

function settingsOf(change: ConversationChange) {
  const { title, topic = "", history, join, lifetimeS = 0 } = change;
  const rules = {
    history: numberOf<HistoryVisibility>(HISTORY_NAMES, history),
    join: numberOf<JoinRule>(JOIN_NAMES, join),
  };
  return { title, topic, lifetimeS, ...rules };
}

function membersOf(members: readonly NewMember[]) {
  return members.map(({ userId, role = "member" }) => ({
    userId,
    role: numberOf<MemberRole>(ROLE_NAMES, role),
  }));
}

/** Who the service says the user is, once it has. @throws SessionError when it never does */
export async function userIdOf(
  client: Pick<Client, "status" | "onStatus">,
  { signal }: Waiting = {},
): Promise<string> {
  const { userId } = client.status;
  if (userId !== undefined) return userId;
  let stop = () => {};
  const known = new Promise<string>((resolve, reject) => {
    stop = client.onStatus((status) => {
      if (status.userId !== undefined) resolve(status.userId);
      else if (status.state === "closed") reject(endOf(status));
    });
    if (client.status.state === "closed") reject(endOf(client.status));
  });
  return await orAborted(known, signal).finally(() => stop());
}

function endOf({ error = ErrorCode.GOODBYE }: ClientStatus): SessionError {
  return new SessionError(error);
}
