import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CLIENT_ENTRY, launchBrowser, NO_BROWSER, servedPage } from "./browser-page.ts";
import { ServerProcess } from "./server-process.ts";

/** What runs in the page: one life of a device that sends a text and waits until it is shown. */
const PROGRAM = `
import { connect, indexedDbJournal, longPoll, webSocket } from ${CLIENT_ENTRY};
globalThis.live = async (origin, text) => {
  const dialers = [origin.startsWith("ws") ? webSocket(origin) : longPoll(origin)];
  const journal = await indexedDbJournal("carol");
  const client = await connect({ dialers, userId: "carol", deviceId: "page", journal });
  const sent = client.send("carol", text);
  const shown = [];
  for await (const event of client.events()) {
    // Handled when the next one is asked for: the mark makes the last one handled too.
    if (event.content === text) void client.send("carol", "mark " + text);
    if (event.content === "mark " + text) break;
    shown.push(event.content);
  }
  const { conversationSeq } = await sent;
  await client.close();
  return { shown, conversationSeq };
};
globalThis.rival = () =>
  indexedDbJournal("rival").then(() => indexedDbJournal("rival")).catch((error) => error.code);
`;

test("[SEQ-4] [SEQ-11] [RES-14] a page goes on where it was after a reload, over another transport, in a real browser", {
  skip: NO_BROWSER,
  timeout: 90_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-browser-"));
  const server = await ServerProcess.start(join(folder, "data"));
  const page = await servedPage(PROGRAM);
  const browser = await launchBrowser();
  try {
    const tab = await browser.newPage();
    const live = async (origin: string, text: string) => {
      await tab.goto(page.url);
      await tab.waitForFunction("globalThis.live !== undefined");
      return await tab.evaluate(`live(${JSON.stringify(origin)}, ${JSON.stringify(text)})`);
    };
    const first = await live(`ws://127.0.0.1:${server.port}`, "one");
    assert.deepEqual(first, { shown: ["one"], conversationSeq: 1 });
    const second = (await live(`http://127.0.0.1:${server.port}`, "two")) as { shown: string[] };
    // The mark of the first life was not handled there: it is shown again, "one" is not.
    assert.deepEqual(second, { shown: ["mark one", "two"], conversationSeq: 3 });
    assert.equal(await tab.evaluate("rival()"), 102, "DATA_LOCKED: one tab is one device");
  } finally {
    await browser.close();
    page.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
