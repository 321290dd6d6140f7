import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import {
  ConversationKind,
  HistoryVisibility,
  JoinRule,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { ReferenceKind } from "../../gen/posthorn/v1/event_pb.ts";
import { messageLog } from "../../server/operations/conversations.ts";
import { messageIn } from "../../server/operations/entries.ts";
import { type Asked, encodeAsked, type Who } from "./asked.ts";
import { Bench, DEVICES, TENANT } from "./bench.ts";
import { directId, madeId } from "./model-state.ts";
import { Play } from "./play.ts";

// What the property conversations-model has found, as short histories: each is checked against the
// model after every step.

const NONCE = new Uint8Array(16).fill(1);
const HERE = madeId("ann", NONCE);
const NO_CALLS = { users: [], roles: [], everyone: false };

async function history(body: (story: Story) => Promise<void>): Promise<void> {
  const bench = await Bench.start();
  try {
    const story = new Story(bench);
    await body(story);
    await story.play.end();
  } finally {
    await bench.stop();
  }
}

class Story {
  readonly bench: Bench;
  readonly play: Play;

  constructor(bench: Bench) {
    this.bench = bench;
    this.play = new Play(bench, () => {});
  }

  readonly does = async (deviceId: string, ...asked: Asked[]): Promise<readonly ErrorCode[]> => {
    const results = await this.play.submit(deviceOf(deviceId), asked);
    return results.map(({ code }) => code);
  };

  /** What is begun is planned on what is there now, and committed after what comes between. */
  async meanwhile(deviceId: string, asked: Asked, between: () => Promise<unknown>) {
    await this.play.begin(deviceOf(deviceId), [asked]);
    await between();
    const results = await this.play.finish(deviceOf(deviceId));
    return results.map(({ code }) => code);
  }

  /** Ann makes a group. */
  readonly group = async (members: readonly Who[]) => {
    const settings = {
      title: "here",
      history: HistoryVisibility.JOINED,
      join: JoinRule.OPEN,
      lifetime: 0,
    };
    await this.does("ann1", {
      kind: "create",
      nonce: NONCE,
      of: ConversationKind.GROUP,
      settings,
      members,
    });
  };
}

function deviceOf(deviceId: string): number {
  return DEVICES.findIndex((device) => device.deviceId === deviceId);
}

const member = (userId: string): Who => ({ userId, role: MemberRole.MEMBER });
const says = (text: string): Asked => ({ kind: "send", in: HERE, text });
const adds = (...users: string[]): Asked => ({
  kind: "change",
  in: HERE,
  set: users.map(member),
  remove: [],
});

test("[CNV-7] [CNV-17] an edit of an older message does not reach who came later", () =>
  history(async (story) => {
    await story.group([member("ben")]);
    await story.does("ann1", says("for ben"));
    await story.does("ann1", adds("cyd"));
    const calls = { ...NO_CALLS, users: ["cyd"] };
    await story.does("ann1", { kind: "edit", in: HERE, seq: 1, text: "not for cyd", calls });
    await story.does("ben1", { kind: "react", in: HERE, seq: 1, reaction: "ok", remove: false });
    equal(story.play.model.timeline("cyd").length, 1);
    equal(story.play.model.timeline("ben").length, 5);
  }));

test("[CNV-13] what is recalled meanwhile cannot be referred to any more", () =>
  history(async (story) => {
    await story.group([member("ben")]);
    await story.does("ben1", says("first"));
    const reference = { kind: ReferenceKind.REPLY, seq: 1 };
    const reply = { kind: "send" as const, in: HERE, text: "second", reference };
    const codes = await story.meanwhile("ann1", reply, () =>
      story.does("ben1", { kind: "recall", in: HERE, seq: 1 }),
    );
    deepEqual(codes, [ErrorCode.MESSAGE_UNKNOWN]);
  }));

test("[CNV-46] [CNV-47] nobody comes into a conversation that all have left, and owns nothing", () =>
  history(async (story) => {
    await story.group([]);
    await story.does("ann1", { kind: "leave", in: HERE });
    const codes = await story.does("ben1", { kind: "join", in: HERE });
    deepEqual(codes, [ErrorCode.CONVERSATION_UNKNOWN]);
  }));

test("[CNV-34] [CNV-35] who hides its receipts meanwhile shows none any more", () =>
  history(async (story) => {
    await story.group([member("ben")]);
    await story.does("ben1", says("first"));
    const read = Uint8Array.of(0, 0);
    const mark = { kind: "mark" as const, in: HERE, read, numbers: [1], delivered: 1 };
    await story.meanwhile("ann1", mark, () =>
      story.does("ann2", { kind: "preferences", hidden: true }),
    );
    equal(story.play.model.timeline("ben").length, 2);
  }));

test("[CNV-17] what somebody plans on stays as it was read, whatever takes its place", () =>
  history(async ({ does, bench }) => {
    const said = { kind: "direct" as const, to: "ben", text: "first" };
    await does("ann1", said);
    const log = messageLog(TENANT, directId("ann", "ben"));
    const state = await bench.store.loadForPlanning({ users: [], entries: [{ log, seq: 1 }] });
    await does("ann1", { kind: "edit", in: directId("ann", "ben"), seq: 1, text: "second" });
    const [entry] = state.entries.values();
    equal(entry && messageIn(entry.event)?.content?.kind.value, "first");
  }));

test("[CNV-24] a message has sixteen kinds of reactions at most", () =>
  history(async ({ does, group }) => {
    await group([member("ben")]);
    await does("ann1", says("first"));
    const reacts = (reaction: string, remove = false): Asked => {
      return { kind: "react", in: HERE, seq: 1, reaction, remove };
    };
    const kinds = Array.from({ length: 17 }, (_, index) => `r${index}`);
    const codes = await does("ann1", ...kinds.map((kind) => reacts(kind)));
    deepEqual(codes.slice(-2), [ErrorCode.UNSPECIFIED, ErrorCode.REACTION_REFUSED]);
    deepEqual(await does("ben1", reacts("r0"), reacts("r16")), [0, ErrorCode.REACTION_REFUSED]);
    deepEqual(await does("ann1", reacts("r1", true), reacts("r16")), [0, 0]);
  }));

test("[CNV-76] what another device has muted meanwhile is told once", () =>
  history(async (story) => {
    await story.group([]);
    const mute = { kind: "mute" as const, in: HERE, untilMs: 2 ** 53 - 1 };
    await story.meanwhile("ann1", mute, () => story.does("ann2", mute));
    equal(story.play.model.timeline("ann").length, 2);
  }));

test("[CNV-43] who talks without end is taken out all the same", () =>
  history(async (story) => {
    const { bench, play, does, group } = story;
    await group([member("ben")]);
    const removal = { kind: "change" as const, in: HERE, set: [], remove: ["ben"] };
    const underway = await bench.plan(deviceOf("ann1"), [encodeAsked(removal)]);
    await does("ben1", says("wait"));
    const [result] = (await bench.commit(underway)) ?? [];
    equal(result?.code, ErrorCode.UNSPECIFIED);
    const by = { userId: "ann", deviceId: "ann1", plannedMs: 0, committedMs: bench.nowMs };
    equal(play.model.submit(removal, by), 0);
  }));
