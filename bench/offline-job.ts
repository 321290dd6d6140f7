import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../client/client.ts";
import { fetchMessages } from "../client/conversations/catching-up.ts";
import { listedConversations } from "../client/conversations/lookups.ts";
import { ConversationView } from "../client/conversations/view.ts";
import type { Dialer } from "../client/dialer.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { CountedDialer } from "./counted-dialer.ts";
import type { JobOptions } from "./job.ts";
import { LoadDevice } from "./load.ts";
import { NodeProcess, UNLIMITED } from "./node-process.ts";
import { AWAY, fillTimeline } from "./offline-fill.ts";

/** Events for each second that the job is given: 100,000 unless told otherwise. */
const EVENTS_PER_SECOND = 25_000;
const CONVERSATIONS = 100;
/** Devices that come, one after the other, of which the one in the middle counts. */
const RUNS = 3;
const INDEX_ABOVE = 500;
const SCREEN = 50;

/** What a device needs until it shows its conversations, and until it knows all that happened. */
interface Caught {
  readonly listMs: number;
  readonly listBytes: number;
  readonly wholeMs: number;
  readonly wholeBytes: number;
  readonly screenMs: number;
  readonly screenBytes: number;
  readonly serviceMs: number;
}

/**
 * A device that was away for 100,000 events comes back, by an index and by deliveries. Bytes are
 * those that the link brings it, without what the transport adds.
 */
export async function offline({ measureMs, report }: JobOptions): Promise<void> {
  const events = Math.round((measureMs / 1000) * EVENTS_PER_SECOND);
  await withServer(async (server) => {
    const at = (scheme: string) => dialersOf(`${scheme}://127.0.0.1:${server.port}`)[0] as Dialer;
    const sender = new LoadDevice("carol", "laptop");
    const reader = new LoadDevice(AWAY, "phone");
    await reader.attach(at("tcp"));
    await sender.attach(at("tcp"));
    const head = await fillTimeline({ sender, reader, conversations: CONVERSATIONS, events });
    sender.close();
    reader.close();
    report({ name: "events that a device was away for", value: head, unit: "events" });
    report({ name: "conversations that they are in", value: CONVERSATIONS, unit: "conversations" });
    for (const scheme of ["tcp", "ws"]) {
      const whole = await middle(() => catchUp(server, { dialer: at(scheme), head }));
      const index = await middle(() =>
        catchUp(server, { dialer: at(scheme), head, indexAbove: INDEX_ABOVE }),
      );
      reportBoth(report, scheme, { index, whole });
    }
  });
}

function reportBoth(
  report: JobOptions["report"],
  scheme: string,
  { index, whole }: { readonly index: Caught; readonly whole: Caught },
): void {
  const lines: readonly [string, keyof Caught, string][] = [
    ["until the list with unread counts is shown", "listMs", "ms"],
    ["until the list with unread counts is shown", "listBytes", "bytes"],
    ["until all is told", "wholeMs", "ms"],
    ["until all is told", "wholeBytes", "bytes"],
    ["until all is told, the service's CPU", "serviceMs", "ms"],
  ];
  for (const [what, field, unit] of lines) {
    const limit = {
      name: "by deliveries",
      value: whole[field],
      ratio: index[field] / whole[field],
    };
    report({ name: `${scheme}, by deliveries, ${what}`, value: whole[field], unit });
    report({ name: `${scheme}, by an index, ${what}`, value: index[field], unit, limit });
  }
  const { screenMs, screenBytes } = index;
  const what = `by an index, then ${SCREEN} messages of one conversation`;
  report({ name: `${scheme}, ${what}`, value: screenMs, unit: "ms" });
  report({ name: `${scheme}, ${what}`, value: screenBytes, unit: "bytes" });
}

/** A device that holds nothing: it was away for all of it. */
async function catchUp(
  server: NodeProcess,
  asked: { readonly dialer: Dialer; readonly head: number; readonly indexAbove?: number },
): Promise<Caught> {
  const { head, indexAbove } = asked;
  const dialer = new CountedDialer(asked.dialer);
  const cpuMs = server.cpuMs;
  const beganMs = performance.now();
  const client = await connect({
    dialers: [dialer],
    userId: AWAY,
    deviceId: `tablet-${beganMs}`,
    journal: memoryJournal(),
    upgradeMs: 0,
    ...(indexAbove === undefined ? {} : { indexAbove }),
  });
  const view = new ConversationView(AWAY);
  const listed = (async () => {
    const listing = new ConversationView(AWAY);
    let unread = 0;
    for await (const one of listedConversations(client)) {
      listing.learn(one);
      unread += one.unreadCount;
    }
    const { receivedBytes } = dialer;
    const isWhole = listing.conversations.length === CONVERSATIONS;
    if (!isWhole || unread === 0) throw new Error("the list is not whole");
    return { listMs: performance.now() - beganMs, listBytes: receivedBytes, unread };
  })();
  for await (const event of client.events()) {
    view.apply(event);
    // That the device is new comes behind it all, and whole. [DEV-13]
    if ("seq" in event && event.seq >= head && event.kind !== "indexed") break;
  }
  const wholeMs = performance.now() - beganMs;
  const wholeBytes = dialer.receivedBytes;
  const serviceMs = server.cpuMs - cpuMs;
  const { unread, ...list } = await listed;
  const seen = view.conversations.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
  if (seen !== unread) throw new Error(`the device counts ${seen}, the service ${unread}`);
  const screen = await firstScreen(client, view, dialer);
  await client.close();
  return { ...list, wholeMs, wholeBytes, ...screen, serviceMs };
}

/** Opens one conversation. */
async function firstScreen(
  client: Awaited<ReturnType<typeof connect>>,
  view: ConversationView,
  dialer: CountedDialer,
) {
  const conversationId = view.conversations[0]?.id ?? "";
  const [beganMs, before] = [performance.now(), dialer.receivedBytes];
  const conversation = await fetchMessages(client, view, { conversationId, count: SCREEN });
  const shown = conversation.messages.slice(-SCREEN);
  if (shown.length < Math.min(SCREEN, conversation.head)) throw new Error("messages are missing");
  return { screenMs: performance.now() - beganMs, screenBytes: dialer.receivedBytes - before };
}

/** Field by field. */
async function middle(run: () => Promise<Caught>): Promise<Caught> {
  const all: Caught[] = [];
  for (let count = 0; count < RUNS; count += 1) all.push(await run());
  const of = (field: keyof Caught) => {
    const values = all.map((one) => one[field]).sort((a, b) => a - b);
    return values[Math.floor(RUNS / 2)] as number;
  };
  return {
    listMs: of("listMs"),
    listBytes: of("listBytes"),
    wholeMs: of("wholeMs"),
    wholeBytes: of("wholeBytes"),
    screenMs: of("screenMs"),
    screenBytes: of("screenBytes"),
    serviceMs: of("serviceMs"),
  };
}

async function withServer(body: (server: NodeProcess) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-bench-"));
  const main = join(import.meta.dirname, "..", "cli", "main.ts");
  const flags = ["--port", "0", "--data", join(folder, "data"), "--log-level", "error"];
  const args = [main, "serve", ...UNLIMITED, ...flags];
  const server = await NodeProcess.start(args, /tcp:\/\/127\.0\.0\.1:(\d+)/);
  try {
    await body(server);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true });
  }
}
