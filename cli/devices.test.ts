import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

interface Place {
  readonly port: number;
  readonly urls: Readonly<Record<string, string>>;
  /** With its pin. */
  readonly sealed: string;
}

async function served(t: TestContext, cwd: string, args: readonly string[] = []): Promise<Place> {
  const program = new Program(t, ["serve", "--json", "--port", "0", ...args], { cwd });
  return JSON.parse(await program.prints(/(\{.*\})\n/)) as Place;
}

/** Alice's terminal: its folder, its device, and where it goes. */
function terminal(t: TestContext, cwd: string, url = "") {
  const surroundings = { cwd, env: { HOME: cwd } };
  const all = (args: readonly string[], device: string) => {
    const journal = join(cwd, `journal-${device}`);
    return [...args, "--user", "alice", "--device", device, "--url", url, "--journal", journal];
  };
  return {
    starts: (args: readonly string[], device: string) =>
      new Program(t, all(args, device), surroundings),
    runs: (args: readonly string[], device: string) => posthorn(t, all(args, device), surroundings),
  };
}

const ENDED = /^posthorn: DEVICE_ENDED: .+\n$/;

describe("posthorn devices", () => {
  for (const kind of ["tcp", "websocket", "longPoll"]) {
    test(`[DEV-5] [DEV-6] ending a device ends its chat and its tail at once, over ${kind}`, async (t) => {
      const cwd = emptyFolder(t);
      const { urls } = await served(t, cwd);
      const { starts, runs } = terminal(t, cwd, urls[kind]);
      const tail = starts(["tail"], "laptop");
      const chat = starts(["chat", "alice"], "phone");
      await runs(["send", "alice", "here"], "tablet");
      await Promise.all([tail.prints(/alice: here\n/), chat.prints(/alice: here/)]);
      for (const [program, device] of [
        [tail, "laptop"],
        [chat, "phone"],
      ] as const) {
        const end = await runs(["devices", "end", device, "--json"], "tablet");
        assert.deepEqual(end, {
          status: 0,
          stdout: `{"deviceId":"${device}","ended":true}\n`,
          stderr: "",
        });
        const { status, stderr } = await program.ended;
        assert.deepEqual([status, ENDED.test(stderr)], [1, true], stderr);
      }
      const again = await runs(["tail", "--count", "1"], "laptop");
      assert.equal(again.status, 1);
      assert.match(again.stderr, ENDED);
    });
  }

  test("[DEV-1] [DEV-9] [DEV-10] lists them, and what they are called", async (t) => {
    const cwd = emptyFolder(t);
    const { urls } = await served(t, cwd);
    const { runs } = terminal(t, cwd, urls.tcp);
    const startMs = Date.now();
    await runs(["send", "alice", "one"], "laptop");
    const named = await runs(["devices", "name", "laptop", "Old one", "--json"], "phone");
    assert.equal(named.stdout, '{"deviceId":"laptop","name":"Old one"}\n');
    await runs(["devices", "end", "laptop"], "phone");
    const listed = await runs(["devices", "--json"], "phone");
    const rows = listed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const row of rows) {
      const { firstAttachedMs: first, lastAttachedMs: last } = row;
      assert.ok(first >= startMs && last >= first && last <= Date.now(), JSON.stringify(row));
    }
    assert.deepEqual(
      rows.map(({ deviceId, name, ended, asking }) => ({ deviceId, name, ended, asking })),
      [
        { deviceId: "laptop", name: "Old one", ended: true, asking: false },
        { deviceId: "phone", name: "", ended: false, asking: true },
      ],
    );
    const { stdout } = await runs(["devices", "list"], "phone");
    assert.match(
      stdout,
      /^ {2}laptop {2}\S+ \S+, ended {2}Old one\n {2}phone {3}\S+ \S+, this one\n$/,
    );
  });

  test("[DEV-3] a device that ends itself is told that it is done", async (t) => {
    const cwd = emptyFolder(t);
    const { urls } = await served(t, cwd);
    const { runs } = terminal(t, cwd, urls.tcp);
    const end = await runs(["devices", "end", "phone"], "phone");
    assert.deepEqual(end, { status: 0, stdout: "phone is ended\n", stderr: "" });
    const again = await runs(["devices"], "phone");
    assert.match(again.stderr, ENDED);
  });

  test("[DEV-6] neither a token nor a login key brings it back", async (t) => {
    const cwd = emptyFolder(t);
    await posthorn(t, ["token", "--new-secret", "secret"], { cwd });
    const token = await posthorn(t, ["token", "alice", "--secret-file", "secret"], { cwd });
    writeFileSync(join(cwd, "token"), token.stdout);
    const { sealed } = await served(t, cwd, ["--auth-hmac-secret-file", "secret"]);
    const surroundings = { cwd, env: { HOME: cwd } };
    const url = `tcp${sealed.slice(sealed.indexOf(":"))}`;
    const as = (device: string, args: readonly string[], isTold = true) => {
      const journal = ["--journal", join(cwd, `journal-${device}`)];
      const who = isTold ? ["--token-file", "token"] : ["--user", "alice"];
      return posthorn(
        t,
        [...args, "--device", device, "--url", url, ...journal, ...who],
        surroundings,
      );
    };
    const first = await as("laptop", ["send", "alice", "one"]);
    assert.equal(first.status, 0, first.stderr);
    const second = await as("laptop", ["send", "alice", "two"], false);
    assert.equal(second.status, 0, second.stderr);
    const end = await as("phone", ["devices", "end", "laptop"]);
    assert.equal(end.status, 0, end.stderr);
    for (const isTold of [true, false]) {
      const refused = await as("laptop", ["send", "alice", "three"], isTold);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, ENDED, isTold ? "token" : "login key");
    }
  });

  test("[DEV-8] a device too many is refused, known ones are not", async (t) => {
    const cwd = emptyFolder(t);
    const { urls } = await served(t, cwd, ["--limits-devices-max", "2"]);
    const { runs } = terminal(t, cwd, urls.tcp);
    for (const device of ["a", "b"]) assert.equal((await runs(["devices"], device)).status, 0);
    const refused = await runs(["devices"], "c");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^posthorn: DEVICES_FULL: .+\n$/);
    assert.equal((await runs(["devices", "end", "b"], "a")).status, 0);
    assert.equal((await runs(["devices"], "c")).status, 0);
  });

  test("[OPS-1] says what it does not know", async (t) => {
    const cwd = emptyFolder(t);
    for (const args of [["forget"], ["end"], ["name", "phone"], ["list", "all"]]) {
      const { status, stderr } = await posthorn(t, ["devices", ...args], { cwd });
      assert.deepEqual([status, stderr.includes("posthorn devices --help")], [2, true], stderr);
    }
  });
});
