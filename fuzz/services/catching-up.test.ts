import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, connect } from "../../client/client.ts";
import { fetchMessages } from "../../client/conversations/catching-up.ts";
import { conversationsOf } from "../../client/conversations/conversations.ts";
import type {
  SeenConversation,
  SeenMessage,
} from "../../client/conversations/seen-conversation.ts";
import { ConversationView } from "../../client/conversations/view.ts";
import type { ClientEvent } from "../../client/events.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf } from "../../client/node.ts";
import { ServiceScene } from "./scene.ts";
import { RESIDENTS, settle, type Town } from "./town.ts";

let scene: ServiceScene;
let town: Town;
before(async () => {
  scene = await ServiceScene.open();
  town = await settle(scene);
  // cyd comes again: what it got before it may not ask for any more, and has in its timeline.
  const ann = conversationsOf(await scene.clientOf("ann"));
  await ann.changeMembers(town.group, { remove: ["cyd"] });
  await ann.changeMembers(town.group, { set: [{ userId: "cyd" }] });
  for (const user of RESIDENTS) {
    // The last event of every timeline is told whole, whatever the device takes.
    await conversationsOf(await scene.clientOf(user)).changePreferences({ receiptsHidden: true });
  }
});
after(() => scene.close());

interface Away {
  readonly client: Client;
  readonly view: ConversationView;
  readonly events: readonly ClientEvent[];
}

/** A device that was never there before comes, and hears everything. */
async function comes(userId: string, deviceId: string, indexAbove?: number): Promise<Away> {
  const client = await connect({
    dialers: dialersOf(`tcp://127.0.0.1:${scene.port}`),
    deviceId,
    token: await scene.tokenOf(userId),
    journal: memoryJournal(),
    upgradeMs: 0,
    ...(indexAbove === undefined ? {} : { indexAbove }),
  });
  const view = new ConversationView(userId);
  const events: ClientEvent[] = [];
  for await (const event of client.events()) {
    events.push(event);
    view.apply(event);
    if (event.kind === "preferences") break;
  }
  return { client, view, events };
}

/** What an application shows, but for what only a timeline says. */
function shown(conversation: SeenConversation) {
  const { info, role, members, messages, unread, mentionCount } = conversation;
  const said = ({ seq, own, ...message }: SeenMessage) => message;
  const reactions = messages.map(({ conversationSeq }) => [
    ...conversation.reactions(conversationSeq),
  ]);
  return { info, role, members, messages: messages.map(said), reactions, unread, mentionCount };
}

for (const user of RESIDENTS) {
  test(`[CAT-2] [CAT-3] [CAT-4] ${user} sees the same by an index as by deliveries`, async () => {
    const whole = await comes(user, "whole");
    const away = await comes(user, "away", 0);
    try {
      for (const { id } of whole.view.conversations) {
        const [one, other] = [whole.view.conversation(id), away.view.conversation(id)];
        assert.deepEqual(other.unread, one.unread, "before anything is fetched");
        assert.equal(other.mentionCount, one.mentionCount, "likewise");
        if (other.missing.length > 0) {
          await fetchMessages(away.client, away.view, { conversationId: id });
        }
        assert.deepEqual(shown(other), shown(one));
        assert.deepEqual(other.missing, []);
      }
      assert.equal(away.view.conversations.length, whole.view.conversations.length);
    } finally {
      await whole.client.close();
      await away.client.close();
    }
  });
}

test("[CAT-3] [CAT-4] messages are told by number, and whole what calls, went or cannot be asked for", async () => {
  const { client, events } = await comes("bob", "reader", 0);
  await client.close();
  const told = events.flatMap((event) => (event.kind === "indexed" ? event.conversations : []));
  const numbers = new Map(told.map((one) => [one.conversationId, one.told]));
  assert.deepEqual(numbers.get(town.group), [
    { from: 1, through: 3 },
    { from: 6, through: 8 },
  ]);
  assert.deepEqual(numbers.get(town.direct), [{ from: 1, through: 2 }]);
  assert.equal(numbers.get(town.room), undefined, "of a room there is no history");
  const whole = events.flatMap((event) =>
    event.kind === "message" || event.kind === "recalled" ? [event] : [],
  );
  const inGroup = whole.filter(({ conversationId }) => conversationId === town.group);
  assert.deepEqual(
    inGroup.map(({ kind, conversationSeq }) => `${kind} ${conversationSeq}`),
    ["recalled 4", "message 5", "message 9", "message 10", "recalled 4"],
  );
  const { events: ofRem } = await comes("rem", "reader", 0).then(async (away) => {
    await away.client.close();
    return away;
  });
  assert.ok(!ofRem.some(({ kind }) => kind === "indexed"), "rem may ask for nothing any more");
});

test("[CAT-1] a device that does not say so is sent deliveries only", async () => {
  const { client, events } = await comes("ann", "plain");
  await client.close();
  assert.ok(!events.some(({ kind }) => kind === "indexed"));
});
