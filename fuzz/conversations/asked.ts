import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type {
  ConversationKind,
  ConversationSettingsSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import type { ReferenceKind, TodoState } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";

export interface Calls {
  readonly users: readonly string[];
  readonly roles: readonly MemberRole[];
  readonly everyone: boolean;
}

export interface Settings {
  readonly title: string;
  /** Of HistoryVisibility. */
  readonly history: number;
  /** Of JoinRule. */
  readonly join: number;
  /** Seconds; 0: none. */
  readonly lifetime: number;
}

export interface Who {
  readonly userId: string;
  readonly role: MemberRole;
}

/** What somebody asks for, in the words of the model. */
export type Asked =
  | { readonly kind: "direct"; readonly to: string; readonly text: string }
  | {
      readonly kind: "send";
      readonly in: string;
      readonly text: string;
      readonly reference?: { readonly kind: ReferenceKind; readonly seq: number };
      readonly calls?: Calls;
      /** Seconds. */
      readonly lifetime?: number;
    }
  | {
      readonly kind: "edit";
      readonly in: string;
      readonly seq: number;
      readonly text: string;
      readonly calls?: Calls;
    }
  | { readonly kind: "recall"; readonly in: string; readonly seq: number }
  | {
      readonly kind: "react";
      readonly in: string;
      readonly seq: number;
      readonly reaction: string;
      readonly remove: boolean;
    }
  | {
      readonly kind: "mark";
      readonly in: string;
      /** Encoded. */
      readonly read: Uint8Array;
      /** What the bytes say, number by number; undefined where they say nothing. */
      readonly numbers: readonly number[] | undefined;
      readonly delivered: number;
    }
  | {
      readonly kind: "create";
      readonly nonce: Uint8Array;
      readonly of: ConversationKind;
      readonly settings: Settings;
      readonly members: readonly Who[];
    }
  | {
      readonly kind: "change";
      readonly in: string;
      readonly set: readonly Who[];
      readonly remove: readonly string[];
    }
  | { readonly kind: "join"; readonly in: string }
  | { readonly kind: "leave"; readonly in: string }
  | {
      readonly kind: "settings";
      readonly in: string;
      readonly revision: number;
      readonly settings: Settings;
    }
  | { readonly kind: "preferences"; readonly hidden: boolean }
  | {
      readonly kind: "draft";
      readonly in: string;
      /** Undefined: nothing is kept any more. */
      readonly text: string | undefined;
      readonly reference?: { readonly kind: ReferenceKind; readonly seq: number };
      readonly calls?: Calls;
    }
  | { readonly kind: "mute"; readonly in: string; readonly untilMs: number }
  | {
      readonly kind: "todo";
      readonly in: string;
      readonly seq: number;
      /** Of TodoState. */
      readonly state: number;
    }
  | {
      readonly kind: "blocks";
      readonly block: readonly string[];
      readonly unblock: readonly string[];
    }
  | { readonly kind: "profile"; readonly name: string }
  | {
      readonly kind: "contacts";
      readonly set: readonly { readonly userId: string; readonly alias: string }[];
      readonly remove: readonly string[];
    }
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

type Kind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

/** The bytes that a device would submit. */
export function encodeAsked(asked: Asked): Uint8Array {
  if (asked.kind === "raw") return asked.bytes;
  return toBinary(OperationSchema, create(OperationSchema, { kind: kindOf(asked) }));
}

function kindOf(asked: Exclude<Asked, { kind: "raw" }>): Kind {
  switch (asked.kind) {
    case "direct":
      return { case: "sendDirect", value: { toUserId: asked.to, content: text(asked.text) } };
    case "send": {
      const lifetimeS = asked.lifetime ?? 0;
      const said = { conversationId: asked.in, content: text(asked.text), ...called(asked) };
      return { case: "sendMessage", value: { ...said, lifetimeS, ...referring(asked) } };
    }
    case "draft": {
      const begun = { conversationId: asked.in, ...called(asked), ...referring(asked) };
      const value = asked.text === undefined ? begun : { ...begun, content: text(asked.text) };
      return { case: "saveDraft", value };
    }
    case "mute": {
      const value = { conversationId: asked.in, untilMs: BigInt(asked.untilMs) };
      return { case: "muteConversation", value };
    }
    case "todo":
      return { case: "markTodo", value: { ...message(asked), state: asked.state as TodoState } };
    case "edit":
      return {
        case: "editMessage",
        value: { ...message(asked), content: text(asked.text), ...called(asked) },
      };
    case "recall":
      return { case: "recallMessage", value: message(asked) };
    case "react": {
      const { reaction, remove } = asked;
      return { case: "react", value: { ...message(asked), reaction, remove } };
    }
    case "mark": {
      const deliveredThrough = BigInt(asked.delivered);
      return {
        case: "mark",
        value: { conversationId: asked.in, read: asked.read, deliveredThrough },
      };
    }
    case "preferences":
      return {
        case: "changePreferences",
        value: { preferences: { receiptsHidden: asked.hidden } },
      };
    case "blocks": {
      const { block, unblock } = asked;
      return {
        case: "changeBlocks",
        value: { blockUserIds: [...block], unblockUserIds: [...unblock] },
      };
    }
    case "contacts": {
      const { set, remove } = asked;
      return {
        case: "changeContacts",
        value: { set: set.map((one) => ({ ...one })), removeUserIds: [...remove] },
      };
    }
    case "profile":
      return { case: "changeProfile", value: { profile: { displayName: asked.name } } };
    default:
      return changeOf(asked);
  }
}

type Change = Extract<Asked, { kind: "create" | "change" | "join" | "leave" | "settings" }>;

function changeOf(asked: Change): Kind {
  switch (asked.kind) {
    case "create": {
      const { nonce, of: kind, members } = asked;
      return {
        case: "createConversation",
        value: { nonce, kind, settings: settings(asked.settings), members: members.map(who) },
      };
    }
    case "change":
      return {
        case: "changeMembers",
        value: {
          conversationId: asked.in,
          set: asked.set.map(who),
          removeUserIds: [...asked.remove],
        },
      };
    case "join":
      return { case: "joinConversation", value: { conversationId: asked.in } };
    case "leave":
      return { case: "leaveConversation", value: { conversationId: asked.in } };
    case "settings": {
      const revision = BigInt(asked.revision);
      const value = { conversationId: asked.in, revision, settings: settings(asked.settings) };
      return { case: "changeConversation", value };
    }
  }
}

const text = (value: string) => ({ kind: { case: "text" as const, value } });
const who = ({ userId, role }: Who) => ({ userId, role });

function message(asked: { readonly in: string; readonly seq: number }) {
  return { conversationId: asked.in, conversationSeq: BigInt(asked.seq) };
}

function referring({ reference }: Pick<Extract<Asked, { kind: "send" }>, "reference">) {
  if (reference === undefined) return {};
  return { reference: { kind: reference.kind, conversationSeq: BigInt(reference.seq) } };
}

function called({ calls }: { readonly calls?: Calls }) {
  if (calls === undefined) return {};
  const { users, roles, everyone } = calls;
  return { mentions: { userIds: [...users], roles: [...roles], everyone } };
}

function settings({ title, history, join, lifetime: lifetimeS }: Settings) {
  return { title, history, join, lifetimeS } as MessageInitShape<typeof ConversationSettingsSchema>;
}
