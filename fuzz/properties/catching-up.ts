import { deepEqual } from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { fetchMessages } from "../../client/conversations/catching-up.ts";
import type {
  SeenConversation,
  SeenMessage,
} from "../../client/conversations/seen-conversation.ts";
import { ConversationView } from "../../client/conversations/view.ts";
import { type ClientEvent, EventQueue } from "../../client/events.ts";
import type { WelcomePlain } from "../../protocol/session/client-effects.ts";
import { readIndex, writeIndex } from "../../protocol/timeline-index.ts";
import { assert } from "../../protocol/violation.ts";
import type { Sender } from "../../server/operations/plan.ts";
import { history } from "../../server/services/history.ts";
import { loadIndexPage } from "../../server/sessions/index-page.ts";
import { type Store, userRefOf } from "../../server/store/store.ts";
import { Bench, DEVICES } from "../conversations/bench.ts";
import { ALL_KINDS, ALL_STEPS, drawnHistory, type History } from "../conversations/drawn.ts";
import { type Play, playHistory } from "../conversations/play.ts";
import { property, type Seen } from "../property.ts";

const WHOLE = { count: 1_000_000, bytes: 1e9 };
/** A device comes back after so many batches that took effect. */
const EVERY = 3;
const BYTES = [1, 60, 200, 1_000, 100_000];

/** What the events of a timeline come to. */
class Device {
  readonly view: ConversationView;
  readonly #queue: EventQueue;
  readonly #events: AsyncIterableIterator<ClientEvent>;
  #cursor = 0;

  constructor({ userId, deviceId }: Sender) {
    this.view = new ConversationView(userId);
    this.#queue = new EventQueue(deviceId, ({ seq }) => {
      assert(seq >= this.#cursor, "a cursor never goes back [CAT-10]");
      this.#cursor = seq;
    });
    const resume = { cursor: 0, outcome: { case: "resumed", value: {} } };
    const timeline = { epoch: 1, head: 0, floor: 1 };
    const welcome = { timeline, resume, userId } as unknown as WelcomePlain;
    this.#queue.installed({ welcome, cursorMoved: false });
    this.#events = this.#queue.iterate(undefined);
  }

  async takes(count: number, push: (queue: EventQueue) => void): Promise<void> {
    push(this.#queue);
    for (let left = count; left > 0; left -= 1) {
      const { value } = await this.#events.next();
      const event = value as ClientEvent & { readonly seq: number };
      assert(event.seq > this.#cursor, "a cursor is behind what is handed out [CAT-10]");
      this.view.apply(event);
    }
  }
}

/** By deliveries up to a number, and by indexes from there. */
async function comesBack(
  store: Store,
  sender: Sender,
  { after, bytes, seen }: { readonly after: number; readonly bytes: number; readonly seen: Seen },
): Promise<Device> {
  const user = userRefOf(sender.tenant, sender.userId);
  const device = new Device(sender);
  const before = await store.loadTimeline(user, [{ from: 1, through: after }], WHOLE);
  await device.takes(before.entries.length, (queue) => queue.push(before.entries));
  const limit = { count: 10, bytes };
  for (let through = after; ; ) {
    const page = await loadIndexPage(store, sender, { after: through, limit, frameBytes: 4_096 });
    const { index, entries } = page;
    if (index !== undefined) {
      assert(index.firstSeq === through + 1, "an index begins where it was asked for [CAT-7]");
      assert(!("code" in readIndex(writeIndex(index))), "an index keeps its form [CAT-6]");
      await device.takes(1 + index.events.length, (queue) => queue.pushIndex(index));
      seen(index.events.length > 0 ? "index with events" : "index");
      through = index.seq;
    } else {
      entries.forEach(({ seq }, at) => {
        assert(seq === through + 1 + at, "deliveries are contiguous [SEQ-10]");
      });
      if (entries.length > 0) seen("deliveries");
      await device.takes(entries.length, (queue) => queue.push(entries));
      through += entries.length;
    }
    if (through === page.bounds.head) return device;
    assert(index !== undefined || entries.length > 0, "each page brings something");
  }
}

/** Asks for everything that was told by its number. */
async function fetchAll(store: Store, sender: Sender, view: ConversationView): Promise<void> {
  const service = history(store, { frameBytes: 262_144 });
  const call = (method: { readonly input: DescMessage }, request: MessageInitShape<DescMessage>) =>
    service.listMessages(create(method.input, request) as never, sender);
  for (const { id, missing } of view.conversations) {
    if (missing.length === 0) continue;
    await fetchMessages({ call } as never, view, { conversationId: id, count: 1_000 });
  }
}

/** What an application shows, but for what only a timeline says. */
function shown(conversation: SeenConversation) {
  const { id, info, role, messages, unread, mentionCount } = conversation;
  const said = ({ seq, own, ...message }: SeenMessage) => message;
  const reactions = messages.map(({ conversationSeq }) => [
    ...conversation.reactions(conversationSeq),
  ]);
  return { id, info, role, messages: messages.map(said), reactions, unread, mentionCount };
}

const byId = (one: { readonly id: string }, other: { readonly id: string }) =>
  one.id < other.id ? -1 : 1;

async function judge({ bench }: Play, draw: number, seen: Seen): Promise<void> {
  const { store } = bench;
  const sender = DEVICES[(draw * 3) % DEVICES.length] as Sender;
  const { bounds, entries } = await store.loadTimeline(
    userRefOf(sender.tenant, sender.userId),
    0,
    WHOLE,
  );
  const whole = new Device(sender);
  await whole.takes(entries.length, (queue) => queue.push(entries));
  const after = (draw * 7) % Math.min(12, bounds.head + 1);
  const bytes = BYTES[draw % BYTES.length] as number;
  const { view } = await comesBack(store, sender, { after, bytes, seen });
  const counts = (of: ConversationView) =>
    of.conversations
      .map(({ id, unread, mentionCount }) => ({ id, unread, mentionCount }))
      .sort(byId);
  deepEqual(counts(view), counts(whole.view), "what is unread, before anything is fetched [CAT-2]");
  await fetchAll(store, sender, view);
  const all = (of: ConversationView) => of.conversations.map(shown).sort(byId);
  deepEqual(all(view), all(whole.view), "what is shown [CAT-2]");
}

/** A device that comes back sees what one sees that never was away. */
export const catchingUp = property<History>({
  name: "catching-up",
  title:
    "[CAT-2] [CAT-3] [CAT-4] [CAT-9] [CAT-10] [CAT-11] an index, and what is asked for, come to " +
    "what deliveries come to, whatever happened meanwhile",
  smokeRuns: 25,
  turns: 4,
  kinds: ["index", "index with events", "deliveries"],
  arbitrary: drawnHistory({ asked: ALL_KINDS, steps: ALL_STEPS, batchMax: 3 }),
  start: (seen) => ({
    check: async (steps) => {
      let batches = 0;
      const ours: Seen = (kind) => {
        if (kind === "index" || kind === "index with events" || kind === "deliveries") seen(kind);
      };
      const watch = (play: Play) => ({
        settled: async () => {
          batches += 1;
          if (batches % EVERY === 0) await judge(play, batches / EVERY, ours);
        },
      });
      await playHistory(steps, await Bench.start(), { seen: () => {}, watch });
    },
  }),
});
