import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

/** A node and the terminals of its users. */
async function scene(t: TestContext, args: readonly string[] = []) {
  const cwd = emptyFolder(t);
  const program = new Program(t, ["serve", "--json", "--port", "0", ...args], { cwd });
  const { urls } = JSON.parse(await program.prints(/(\{.*\})\n/));
  const all = (user: string, device: string, given: readonly string[]) => {
    const journal = join(cwd, `journal-${user}-${device}`);
    const at = ["--url", urls.tcp, "--journal", journal];
    return [...given, "--user", user, "--device", device, ...at];
  };
  const surroundings = { cwd, env: { HOME: cwd } };
  return {
    runs: (user: string, ...given: string[]) =>
      posthorn(t, all(user, "phone", given), surroundings),
    chats: (user: string, ...given: string[]) =>
      new Program(t, all(user, "laptop", ["chat", ...given]), surroundings),
    tails: (user: string) => new Program(t, all(user, "tablet", ["tail"]), surroundings),
  };
}

const done = (stdout: string) => ({ status: 0, stdout, stderr: "" });

describe("posthorn contacts and posthorn profile", { concurrency: 2 }, () => {
  test("[USR-10] [USR-12] [USR-31] keeps a list", async (t) => {
    const { runs } = await scene(t);
    const set = await runs("alice", "contacts", "set", "bob", "Bob, upstairs", "--note", "a key");
    assert.deepEqual(set, done("bob is on your list\n"));
    assert.deepEqual(
      await runs("alice", "contacts", "set", "carol"),
      done("carol is on your list\n"),
    );
    const list = await runs("alice", "contacts");
    assert.deepEqual(list, done("  bob    Bob, upstairs  a key\n  carol  \n"));
    const removed = await runs("alice", "contacts", "remove", "carol", "--json");
    assert.deepEqual(removed, done('{"userId":"carol","done":"remove"}\n'));
    const json = await runs("alice", "contacts", "list", "--json");
    assert.deepEqual(json, done('{"userId":"bob","alias":"Bob, upstairs","note":"a key"}\n'));
    assert.deepEqual(await runs("bob", "contacts"), done(""), "nobody else's");
  });

  test("[USR-21] [USR-26] refuses what is written between two of whom one blocks the other", async (t) => {
    const { runs, tails } = await scene(t);
    for (const user of ["alice", "bob"]) await runs(user, "contacts");
    const tail = tails("alice");
    assert.deepEqual(await runs("alice", "contacts", "block", "bob"), done("bob: blocked\n"));
    await tail.prints(/-- you block bob --\n/);
    for (const [from, to] of [
      ["bob", "alice"],
      ["alice", "bob"],
    ] as const) {
      const sent = await runs(from, "send", to, "hello");
      assert.equal(sent.status, 1);
      assert.match(sent.stderr, /^posthorn: BLOCKED: .+\n$/);
    }
    assert.deepEqual(await runs("alice", "contacts", "blocked"), done("  bob  \n"));
    assert.deepEqual(await runs("alice", "contacts", "unblock", "bob"), done("bob: not blocked\n"));
    assert.equal((await runs("bob", "send", "alice", "hello again")).status, 0);
    await tail.prints(/bob: hello again\n/);
  });

  test("[USR-21] a chat can block, and says what was refused", async (t) => {
    const { runs, chats } = await scene(t);
    for (const user of ["alice", "bob"]) await runs(user, "contacts");
    const [alice, bob] = [chats("alice", "bob"), chats("bob", "alice")];
    bob.types("hello\n");
    await alice.prints(/bob: hello/);
    alice.types("/block @bob\n");
    await alice.prints(/-- you block bob --/);
    bob.types("are you there?\n");
    await bob.prints(/-- BLOCKED: /);
    alice.types("/unblock bob\n");
    await alice.prints(/-- you do not block bob any more --/);
    bob.types("and now?\n");
    await alice.prints(/bob: and now\?/);
    assert.ok(!alice.stdout.includes("are you there?"), "what was refused does not come later");
  });

  test("[USR-20] an operator says how many", async (t) => {
    const { runs } = await scene(t, ["--users-blocks-max", "1", "--users-contacts-max", "1"]);
    for (const verb of ["block", "remove"]) {
      assert.equal((await runs("alice", "contacts", verb, "bob")).status, 0);
    }
    const refused = await runs("alice", "contacts", "block", "carol");
    assert.match(refused.stderr, /^posthorn: CONTACTS_FULL: .+\n$/);
    assert.equal((await runs("alice", "contacts", "set", "bob")).status, 0);
    const full = await runs("alice", "contacts", "set", "carol");
    assert.match(full.stderr, /^posthorn: CONTACTS_FULL: .+\n$/);
  });

  test("[USR-2] [USR-4] [USR-25] says who one is, but not to whom one blocks", async (t) => {
    const { runs, tails } = await scene(t);
    await runs("bob", "profile");
    assert.deepEqual(await runs("alice", "profile"), done("alice has no name\n"));
    await runs("alice", "send", "bob", "hello");
    const tail = tails("bob");
    await tail.prints(/alice: hello\n/);
    const set = ["profile", "set", "--name", "Alice", "--about", "at sea"];
    const shown = "alice is called Alice, says: at sea\n";
    assert.deepEqual(await runs("alice", ...set), done(shown));
    await tail.prints(/-- alice is called Alice, says: at sea --\n/);
    assert.deepEqual(await runs("bob", "profile", "show", "nobody", "alice"), done(shown));
    await runs("alice", "contacts", "block", "bob");
    const json = '{"userId":"alice","displayName":"","about":"","avatarUri":""}\n';
    assert.deepEqual(await runs("bob", "profile", "show", "alice", "--json"), done(json));
    const illegal = await runs("alice", "profile", "set", "--avatar", "nowhere");
    assert.match(illegal.stderr, /^posthorn: PROFILE_INVALID: .+\n$/);
  });

  test("[OPS-1] says what it does not know", async (t) => {
    const cwd = emptyFolder(t);
    for (const args of [
      ["contacts", "forget"],
      ["contacts", "block"],
      ["contacts", "set"],
      ["contacts", "set", "a", "b", "c"],
      ["contacts", "blocked", "bob"],
      ["contacts", "list", "--note", "n"],
      ["profile", "set"],
      ["profile", "show"],
      ["profile", "bob"],
      ["profile", "--name", "n"],
    ]) {
      const { status, stderr } = await posthorn(t, args, { cwd });
      const hint = `posthorn ${args[0]} --help`;
      assert.deepEqual([status, stderr.includes(hint)], [2, true], stderr);
    }
  });
});
