import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { connect } from "../client/client.ts";
import { conversationsOf } from "../client/conversations/conversations.ts";
import { MUTED_FOR_EVER } from "../client/conversations/personal.ts";
import { memoryJournal } from "../client/memory-journal.ts";
import { dialersOf } from "../client/node.ts";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

async function served(t: TestContext, cwd: string): Promise<string> {
  const program = new Program(t, ["serve", "--json", "--port", "0"], { cwd });
  return `tcp://127.0.0.1:${await program.prints(/"port":(\d+)/)}`;
}

async function attached(t: TestContext, url: string, userId: string) {
  const dialers = dialersOf(url);
  const client = await connect({ dialers, deviceId: "d", userId, journal: memoryJournal() });
  t.after(() => client.close());
  return client;
}

describe("posthorn rooms and history", () => {
  test("[SVC-15] [SVC-12] [CNV-74] [CNV-76] list what there is, and what was said, as text and as JSON", async (t) => {
    const cwd = emptyFolder(t);
    const url = await served(t, cwd);
    const [ann, bob] = await Promise.all([attached(t, url, "ann"), attached(t, url, "bob")]);
    const talk = conversationsOf(ann);
    await bob.send("bob", "a note to myself");
    const { conversationId, made } = await talk.create({
      title: "Garden",
      members: [{ userId: "bob" }],
    });
    await made;
    for (const text of ["one", "two", "three"]) await talk.send(conversationId, text);
    await talk.send(conversationId, "four", { mentions: { userIds: ["bob"] } });
    await talk.edit(conversationId, 1, "ONE");
    await talk.recall(conversationId, 2);
    const asked = async (...args: string[]) => {
      const { status, stdout, stderr } = await posthorn(
        t,
        [...args, "--url", url, "--user", "bob"],
        { cwd, env: { HOME: cwd } },
      );
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" }, args.join(" "));
      return stdout;
    };
    const garden = `Garden (${conversationId}): group of 2, member, 3 unread, 1 calls you\n`;
    assert.equal(await asked("rooms"), `${garden}bob (d:bob:bob): direct, 0 unread\n`);
    const quiet = conversationsOf(bob);
    await quiet.mute(conversationId, MUTED_FOR_EVER);
    await quiet.saveDraft("d:bob:bob", { content: `what\tI ${"x".repeat(40)}` });
    const note = `bob (d:bob:bob): direct, 0 unread, draft: what I ${"x".repeat(33)}\u2026\n`;
    assert.equal(await asked("rooms"), `${garden.trimEnd()}, is muted\n${note}`);
    const unread = await asked("rooms", "--unread", "--json");
    const { info, unreadCount, mentionCount } = JSON.parse(unread);
    assert.deepEqual(
      [info.conversationId, info.title, unreadCount, mentionCount],
      [conversationId, "Garden", 3, 1],
    );
    const lines = (await asked("history", "garden")).replaceAll(/\d\d:\d\d:\d\d/g, "T");
    assert.deepEqual(lines.trim().split("\n"), [
      "T [1] ann: ONE (edited)",
      "-- [2] was taken back by ann --",
      "T [3] ann: three",
      "T [4] ann: four",
    ]);
    const page = await asked("history", conversationId, "--before", "4", "--count", "2", "--json");
    const said = page
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      said.map(({ kind, conversationSeq, content, seq }) => [kind, conversationSeq, content, seq]),
      [
        ["recalled", 2, undefined, undefined],
        ["message", 3, "three", undefined],
      ],
    );
    assert.match(await asked("history", "bob"), / \[1\] bob: a note to myself\n$/);
  });

  test("refuse what they cannot find by the code's name", async (t) => {
    const cwd = emptyFolder(t);
    const url = await served(t, cwd);
    const refused = async (line: RegExp, ...args: string[]) => {
      const ended = await posthorn(t, [...args, "--url", url, "--user", "ann"], {
        cwd,
        env: { HOME: cwd },
      });
      assert.match(ended.stderr, line);
      assert.equal(ended.stdout, "");
      return ended.status;
    };
    const unheard = `g:${"a".repeat(26)}`;
    assert.equal(await refused(/^posthorn: CONVERSATION_UNKNOWN: /, "history", unheard), 1);
    assert.equal(await refused(/no room is called no such room/, "history", "no such room"), 2);
    assert.equal(await refused(/--count: none/, "history", "bob", "--count", "none"), 2);
    assert.equal(await refused(/ROOM or USER is missing/, "history"), 2);
  });
});
