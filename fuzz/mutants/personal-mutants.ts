import type { Mutant } from "./mutant.ts";

/** Bugs in drafts, mutes and to-do marks. */
export const PERSONAL_MUTANTS: readonly Mutant[] = [
  {
    name: "conversations-draft-told",
    title: "[CNV-70] shows to the other one of a direct conversation what is only begun",
    file: "server/operations/drafts.ts",
    find: "timelines: [userRefOf(tenant, userId)],",
    replace:
      'timelines: [userRefOf(tenant, userId)].concat(operation.conversationId.startsWith("d:") ' +
      '? operation.conversationId.slice(2).split(":").map((one) => userRefOf(tenant, one))' +
      ".filter((one) => one !== userRefOf(tenant, userId)) : []),",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-draft-kept",
    title: "[CNV-72] leaves what a draft said where it was, and writes the next one behind it",
    file: "server/operations/drafts.ts",
    find: 'return { kind: "repeat", entry, replaces: [{ ...entry, event }], ...changes };',
    replace: 'return { kind: "append", log: entry.log, event, ...changes };',
    killedBy: "conversations-recall",
  },
  {
    name: "conversations-draft-shut-in",
    title: "[CNV-74] keeps the draft of whoever has left, against its will",
    file: "server/operations/drafts.ts",
    find: "if (content === undefined && sizes.delete(conversationId)) {",
    replace:
      'if (content === undefined && !("kind" in membershipOf(sender, conversationId, state)) && ' +
      "sizes.delete(conversationId)) {",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-draft-lost",
    title: "[CNV-70] forgets drafts of other conversations that were saved at the same time",
    file: "server/operations/drafts.ts",
    find: "const requires = [{ ref, revision: document.revision }];",
    replace: "const requires = [{ ref, revision: document.revision }].slice(1);",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-mute-told",
    title: "[CNV-76] tells all members who does not want to hear of them",
    file: "server/operations/mutes.ts",
    find: "timelines: [userRefOf(tenant, userId)],",
    replace:
      "timelines: [...membership.conversation.members.keys()]" +
      ".map((one) => userRefOf(tenant, one)),",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-mute-twice",
    title: "[CNV-76] tells of a mute once more that another device has set meanwhile",
    file: "server/operations/mutes.ts",
    find: "const requires = [...membership.requires, { ref, revision: document.revision }];",
    replace: "const requires = [...membership.requires];",
    killedBy: "conversations-model",
  },
  {
    name: "view-draft-by-coming",
    title: "[CNV-74] shows the draft that came last, though a newer one was there before",
    file: "client/conversations/seen-conversation.ts",
    find: "if (seq >= this.#draft.seq) this.#draft = { seq, content };",
    replace: "this.#draft = { seq, content };",
    killedBy: "conversation-view",
  },
  {
    name: "conversations-todo-by-reader",
    title: "[CNV-80] lets who may only read say what is to be done",
    file: "server/operations/todos.ts",
    find: "if (!mayWrite(membership)) {",
    replace: 'if (!mayWrite(membership) && sender.userId === "") {',
    killedBy: "conversations-model",
  },
  {
    name: "conversations-todo-twice",
    title: "[CNV-81] tells of a mark once more that is there already",
    file: "server/operations/todos.ts",
    find: "if ((todoIn(document)?.state ?? TodoState.UNSPECIFIED) === state) {",
    replace: "if (document.bytes.length === 0 && state === TodoState.UNSPECIFIED) {",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-todo-shown-to-newcomers",
    title: "[CNV-81] tells newcomers what is to be done about messages from before",
    file: "server/operations/todos.ts",
    find: "timelines: timelinesOf(tenant, readersOf(membership, reached, conversationSeq)),",
    replace: "timelines: timelinesOf(tenant, reached),",
    killedBy: "conversations-model",
  },
  {
    name: "conversations-recall-keeps-todo",
    title: "[CNV-82] keeps on saying that something is to be done about what was recalled",
    file: "server/operations/messages.ts",
    find: "const noted = [reactionsRef, todoRef].map(",
    replace: "const noted = [reactionsRef].map(",
    killedBy: "conversations-model",
  },
];
