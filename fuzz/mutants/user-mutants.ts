import type { Mutant } from "./mutant.ts";

/** Bugs in whom a user wants to hear nothing of. */
export const USER_MUTANTS: readonly Mutant[] = [
  {
    name: "conversations-blocks-one-way",
    title: "[USR-21] lets those who are blocked write, and refuses only whom they would block",
    file: "server/operations/blocks.ts",
    find: "isKeptFrom: (one) => own.has(one) ||",
    replace: "isKeptFrom: (one) => own.has(one) && own.has(userId) ||",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-overtaken",
    title: "[USR-27] lets a message in that was under way when its sender was blocked",
    file: "server/operations/conversations.ts",
    find: "const requires = [...membership.requires, ...blocks.requires];",
    replace: "const requires = [...membership.requires];",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-other-list",
    title: "[USR-27] relies on the sender's own list, and not on the receiver's",
    file: "server/operations/blocks.ts",
    find: "requires: listed.map((one) => blocksRevision(sender, one, state)),",
    replace: "requires: listed.slice(0, 1).map((one) => blocksRevision(sender, one, state)),",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-edited",
    title: "[USR-21] lets those who are blocked edit what they had written",
    file: "server/operations/messages.ts",
    find:
      "const membership = speakerOf(sender, conversationId, state);\n" +
      '  if ("kind" in membership) return membership;\n' +
      "  const found = messageOf(",
    replace:
      "const membership = membershipOf(sender, conversationId, state);\n" +
      '  if ("kind" in membership) return membership;\n' +
      "  const found = messageOf(",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-reacted",
    title: "[USR-21] lets those who are blocked react",
    file: "server/operations/reactions.ts",
    find: "readersOf, speakerOf, timelinesOf }",
    replace: "readersOf, membershipOf as speakerOf, timelinesOf }",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-added",
    title: "[USR-22] lets somebody be brought into a group by whom it blocks",
    file: "server/operations/members.ts",
    find: "if (isBlockedBy(sender, userId, state)) return ErrorCode.BLOCKED;",
    replace: "",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-added-meanwhile",
    title: "[USR-27] brings somebody in who has blocked meanwhile whoever does it",
    file: "server/operations/members.ts",
    find: ", ...newcomersBlocks(newcomers, sender, state)]",
    replace: "]",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-receipts",
    title: "[USR-24] shows those whom somebody blocks what it has read",
    file: "server/operations/marks.ts",
    find: "const told = members.filter((one) => !blocks.isKeptFrom(one));",
    replace: "const told = members;",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-present",
    title: "[USR-24] shows its presence to those whom a user blocks, where the policy does",
    file: "server/signals/presence.ts",
    find: "if (blocked.has(userId)) return false;",
    replace: 'if (blocked.has("")) return false;',
    killedBy: "signals",
  },
  {
    name: "conversations-blocks-present-still",
    title: "[USR-24] goes on showing its presence until something else changes",
    file: "server/signals/board.ts",
    find: 'new Set(["setPresencePolicy", "changeBlocks"]);',
    replace: 'new Set(["setPresencePolicy"]);',
    killedBy: "signals",
  },
  {
    name: "conversations-blocks-typing",
    title: "[USR-24] tells those whom a user blocks that it types",
    file: "server/signals/audience.ts",
    find: "memberIds.filter((one) => one !== sender.userId && !blocks.isKeptFrom(one));",
    replace: "memberIds.filter((one) => one !== sender.userId && blocks !== undefined);",
    killedBy: "signals",
  },
  {
    name: "conversations-blocks-still-told",
    title: "[USR-23] goes on telling those who block a user of its profile",
    file: "server/operations/blocks.ts",
    find: "{ ref: contactsRef(tenant, one), name: userId },",
    replace: "",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-told-meanwhile",
    title: "[USR-27] tells a profile to who has blocked its user meanwhile",
    file: "server/operations/profiles.ts",
    find: "const requires = refs.map((ref) => ({ ref, revision: read(ref).revision }));",
    replace:
      "const requires = refs.slice(0, 1).map((ref) => ({ ref, revision: read(ref).revision }));",
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-contacts-lost",
    title: "[USR-12] loses what another device of the user has changed of its contacts meanwhile",
    file: "server/operations/address-book.ts",
    find: '...tellPlan(sender, { case: "contactsChanged", value }),\n    requires,',
    replace: '...tellPlan(sender, { case: "contactsChanged", value }),\n    requires: [],',
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-contacts-shown",
    title: "[USR-13] tells those whom a user puts on its list of contacts",
    file: "server/operations/address-book.ts",
    find: 'tellPlan(sender, { case: "contactsChanged", value })',
    replace:
      'tellPlan(sender, { case: "contactsChanged", value }, set.map((one) => one.userId)' +
      '.filter((one) => one !== userId && one.length === 3 && one !== "nil"))',
    killedBy: "conversations-blocks",
  },
  {
    name: "conversations-blocks-lost",
    title: "[USR-12] forgets whom another device of the user has blocked meanwhile",
    file: "server/operations/blocks.ts",
    find: '...tellPlan(sender, { case: "blocksChanged", value }),\n    requires,',
    replace: '...tellPlan(sender, { case: "blocksChanged", value }),\n    requires: [],',
    killedBy: "conversations-blocks",
  },
];
