import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { RefusedError } from "../../client/results.ts";
import {
  ConversationKind,
  HistoryVisibility,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { type MentionsSchema, TodoState } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { madeConversationId } from "../../protocol/conversation-id.ts";
import { encodeNumberSet } from "../../protocol/number-set.ts";
import { sha256 } from "../../protocol/sha256.ts";
import type { ServiceScene } from "./scene.ts";

type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;
type Members = Readonly<Record<string, MemberRole>>;
const { READER, MEMBER, ADMIN } = MemberRole;

/** Conversations that were made and used over sessions, for whoever asks about them. */
export interface Town {
  /**
   * ann is OWNER, bob MEMBER, fay ADMIN; rem was in it; cyd came after number 7. Ten messages of
   * ann: 3 edited, 4 recalled, 5 calls bob, 9 everybody, 10 members. bob has read 1, 2 and 8, fay
   * 8; bob says that something is to be done about 5; fay blocks cyd and eve.
   */
  readonly group: string;
  /** Of ann and bob. Two messages, of which bob's is the second; bob has begun a third one. */
  readonly direct: string;
  /** ann is OWNER, bob READER, who has it muted. One message. */
  readonly channel: string;
  /** ann and bob. One message, of which there is no history. */
  readonly room: string;
  /** Of zoe, in the tenant acme. One message. */
  readonly foreign: string;
}

/** Who lives there. eve is in no conversation; rem is not any more. */
export const RESIDENTS: readonly string[] = ["ann", "bob", "cyd", "eve", "fay", "rem"];

export async function settle(scene: ServiceScene): Promise<Town> {
  for (const user of [...RESIDENTS, "acme/zoe"]) await attached(scene, user);
  const mayor = new Mayor(scene);
  const group = await mayor.makes("ann", ConversationKind.GROUP, { bob: MEMBER, fay: ADMIN });
  for (let number = 1; number <= 4; number += 1) await mayor.says("ann", group, `no. ${number}`);
  await mayor.says("ann", group, "no. 5", { userIds: ["bob"] });
  await mayor.changes(group, { rem: MEMBER });
  await mayor.says("ann", group, "no. 6");
  await mayor.says("ann", group, "no. 7");
  await mayor.changes(group, { cyd: MEMBER }, ["rem"]);
  await mayor.says("ann", group, "no. 8");
  await mayor.says("ann", group, "no. 9", { everyone: true });
  await mayor.says("ann", group, "no. 10", { roles: [MEMBER] });
  const third = { conversationId: group, conversationSeq: 3n };
  await mayor.does("ann", { case: "editMessage", value: { ...third, content: text("edited") } });
  const fourth = { conversationId: group, conversationSeq: 4n };
  await mayor.does("ann", { case: "recallMessage", value: fourth });
  const read = [
    { from: 1, through: 2 },
    { from: 8, through: 8 },
  ];
  const marked = { conversationId: group, read: encodeNumberSet(read) };
  await mayor.does("bob", { case: "mark", value: marked });
  const fifth = { conversationId: group, conversationSeq: 5n };
  await mayor.does("bob", { case: "markTodo", value: { ...fifth, state: TodoState.OPEN } });
  const eighth = encodeNumberSet([{ from: 8, through: 8 }]);
  await mayor.does("fay", { case: "mark", value: { conversationId: group, read: eighth } });

  const direct = "d:ann:bob";
  await mayor.says("ann", direct, "hello");
  await mayor.says("bob", direct, "hello yourself");
  const begun = { conversationId: direct, content: text("and then") };
  await mayor.does("bob", { case: "saveDraft", value: begun });
  const channel = await mayor.makes("ann", ConversationKind.CHANNEL, { bob: READER });
  await mayor.says("ann", channel, "news");
  const muted = { conversationId: channel, untilMs: 2n ** 53n - 1n };
  await mayor.does("bob", { case: "muteConversation", value: muted });
  const room = await mayor.makes("ann", ConversationKind.ROOM, { bob: MEMBER });
  await mayor.says("ann", room, "here and now");
  const foreign = await mayor.makes("acme/zoe", ConversationKind.GROUP, {});
  await mayor.says("acme/zoe", foreign, "of another tenant");
  for (const [userId, displayName] of [
    ["ann", "Ann"],
    ["fay", "Fay"],
    ["acme/zoe", "Zoe"],
  ] as const) {
    await mayor.does(userId, { case: "changeProfile", value: { profile: { displayName } } });
  }
  const blockUserIds = ["eve", "cyd"];
  await mayor.does("fay", { case: "changeBlocks", value: { blockUserIds } });
  const set = ["bob", "fay", "cyd"].map((userId) => ({ userId, note: `owes me ${userId}` }));
  await mayor.does("ann", { case: "changeContacts", value: { set } });
  return { group, direct, channel, room, foreign };
}

const text = (value: string) => ({ kind: { case: "text" as const, value } });

/** A user exists from its first Welcome on. */
async function attached(scene: ServiceScene, user: string): Promise<void> {
  const client = await scene.clientOf(user);
  if (client.status.state === "open") return;
  await new Promise<void>((resolve) => {
    const stop = client.onStatus(({ state }) => {
      if (state !== "open") return;
      stop();
      resolve();
    });
  });
}

/** Has operations done. */
class Mayor {
  readonly #scene: ServiceScene;
  #made = 0;

  constructor(scene: ServiceScene) {
    this.#scene = scene;
  }

  async does(user: string, kind: OperationKind): Promise<void> {
    const client = await this.#scene.clientOf(user);
    try {
      await client.submit(toBinary(OperationSchema, create(OperationSchema, { kind })));
    } catch (error) {
      const why = error instanceof RefusedError ? error.message : String(error);
      throw new Error(`${user} ${kind.case}: ${why}`, { cause: error });
    }
  }

  async makes(user: string, kind: ConversationKind, members: Members): Promise<string> {
    this.#made += 1;
    const nonce = new Uint8Array(16).fill(this.#made);
    const settings = { title: `no. ${this.#made}`, history: HistoryVisibility.JOINED };
    const value = { nonce, kind, settings, members: membersOf(members) };
    await this.does(user, { case: "createConversation", value });
    const userId = user.split("/").at(-1) as string;
    return madeConversationId(sha256, userId, nonce) as string;
  }

  async says(
    user: string,
    conversationId: string,
    words: string,
    mentions?: MessageInitShape<typeof MentionsSchema>,
  ): Promise<void> {
    const value = { conversationId, content: text(words), ...(mentions && { mentions }) };
    await this.does(user, { case: "sendMessage", value });
  }

  async changes(conversationId: string, set: Members, removeUserIds: string[] = []) {
    const value = { conversationId, set: membersOf(set), removeUserIds };
    await this.does("ann", { case: "changeMembers", value });
  }
}

function membersOf(members: Members) {
  return Object.entries(members).map(([userId, role]) => ({ userId, role }));
}
