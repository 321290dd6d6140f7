import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { emptyFolder, Program } from "./testdata/program.ts";

interface Place {
  readonly port: number;
  readonly urls: Readonly<Record<string, string>>;
}

async function served(t: TestContext, cwd: string, port = 0) {
  const program = new Program(t, ["serve", "--json", "--port", String(port)], { cwd });
  const place = JSON.parse(await program.prints(/(\{.*\})\n/)) as Place;
  return { program, place };
}

interface Seat {
  readonly user: string;
  readonly url: string | undefined;
  readonly home?: string;
}

/** A terminal of its own, as on a machine of its own. */
function seated(t: TestContext, { user, url = "", home = emptyFolder(t) }: Seat, where: string[]) {
  const args = ["chat", ...where, "--user", user, "--device", `${user}-phone`, "--url", url];
  return new Program(t, args, { cwd: home, env: { HOME: home } });
}

/** The lines with a message in them, without the time and what is marked for one reader. */
function transcript({ stdout }: Program): readonly string[] {
  const lines = stdout.split("\n").filter((line) => /\[\d+\]/.test(line));
  return lines.map((line) => line.replace(/^\d\d:\d\d:\d\d /, "").replace(/ \(calls you\)$/, ""));
}

describe("posthorn chat in rooms", () => {
  test("[CNV-17] [CNV-18] [CNV-26] three users, three transports, a server killed: one screen", async (t) => {
    const cwd = emptyFolder(t);
    const first = await served(t, cwd);
    const { urls, port } = first.place;
    const annHome = emptyFolder(t);
    const bob = seated(t, { user: "bob", url: urls.websocket }, ["bob"]);
    const cyd = seated(t, { user: "cyd", url: urls.longPoll }, ["cyd"]);
    const ann = seated(t, { user: "ann", url: urls.tcp, home: annHome }, ["ann"]);
    const all = [ann, bob, cyd];
    const everybody = (pattern: RegExp) => Promise.all(all.map((one) => one.prints(pattern)));
    // Who is added must have been there once.
    for (const one of all) one.types("/history\n");
    await everybody(/nothing was said before that/);
    ann.types("/new Garden club @bob @cyd\nwelcome, @bob\n");
    const id = await ann.prints(/-- in Garden club \((g:[a-z2-7]{26})\), a group --/);
    await everybody(/Garden club: ann is owner, bob is member, cyd is member \(by ann\)/);
    await bob.prints(/-- Garden club: 1 unread, 1 calls you --/);
    await cyd.prints(/-- Garden club: 1 unread --/);
    bob.types("/to garden club\n");
    cyd.types(`/to ${id}\n`);
    await bob.prints(/\[1\] ann: welcome, @bob \(calls you\)\n/);
    await cyd.prints(/\[1\] ann: welcome, @bob\n/);
    bob.types("/reply 1 thank you\n");
    await everybody(/\[2\] bob: thank you \(reply to \[1\]\)\n/);
    ann.types("/edit 1 welcome to all\n");
    await everybody(/\[1\] ann: welcome to all \(edited\)/);
    cyd.types("/react 1 \u{1f33b}\n");
    await everybody(/cyd reacts with \u{1f33b} to \[1\]/u);
    first.program.kill();
    await first.program.ended;
    bob.types("said while nobody listens\n");
    cyd.types("/recall 1\n");
    await served(t, cwd, port);
    await cyd.prints(/-- NOT_PERMITTED/);
    await everybody(/\[3\] bob: said while nobody listens/);
    ann.types("/recall 1\n");
    await everybody(/-- \[1\] was taken back by ann --/);
    cyd.types("/leave\n");
    await everybody(/Garden club: cyd left/);
    ann.types("among two\n/add @cyd\n");
    await everybody(/cyd left --\n(?:.*\n)*-- Garden club: cyd is member \(by ann\) --\n/);
    cyd.types("/to Garden club\nback again\n");
    await everybody(/\[5\] cyd: back again/);
    await ann.prints(/\[4\] ann: among two/);
    const said = transcript(ann);
    assert.deepEqual(transcript(bob), said);
    const missed = "[4] ann: among two";
    assert.deepEqual(
      transcript(cyd),
      said.filter((line) => line !== missed),
      "who is out is not told what is said",
    );
    for (const one of all) one.endsInput();
    for (const one of all) assert.equal((await one.ended).status, 0);
  });

  test("[CNV-33] [CNV-47] what is unread is counted, shown and read; rooms are joined", async (t) => {
    const cwd = emptyFolder(t);
    const { place } = await served(t, cwd);
    const { urls } = place;
    const bobHome = emptyFolder(t);
    const ann = seated(t, { user: "ann", url: urls.websocket }, ["ann"]);
    const bob = seated(t, { user: "bob", url: urls.tcp, home: bobHome }, ["bob"]);
    for (const one of [ann, bob]) one.types("/history\n");
    for (const one of [ann, bob]) await one.prints(/nothing was said before that/);
    ann.types("/new News\n");
    const id = await ann.prints(/-- in News \((g:\S+)\), a group --/);
    ann.types("/open\n");
    await ann.prints(/News: is now open to whoever knows its ID \(by ann\)/);
    bob.types(`/join ${id}\n`);
    await bob.prints(/-- in News/);
    ann.types("one\n/unread\n");
    await bob.prints(/\[1\] ann: one/);
    bob.types("/todo 1\n");
    await ann.prints(/-- bob says that something is to be done about \[1\] --/);
    ann.types("/done 1\n");
    await bob.prints(/-- ann says that all is done about \[1\] --/);
    bob.types("/draft not yet\n/mute\n");
    await bob.prints(/-- \S+ is muted --/);
    bob.types("/draft\n");
    await bob.prints(/ {3}not yet\n/);
    bob.types("/mute soon\n/undraft\n/unmute\n");
    await bob.prints(/how long\? \/mute \[MINUTES\]/);
    await bob.prints(/is not muted any more/);
    bob.types("/draft\n");
    await bob.prints(/no draft is kept here/);
    await ann.prints(/nothing is unread/);
    await readByBob(ann, 1);
    bob.endsInput();
    await bob.ended;
    ann.types("two for @bob\n/role @bob admin\nthree for @admins\n");
    await ann.prints(/\[3\] ann: three for @admins/);
    ann.types("/readers 3\n");
    await ann.prints(/-- \[3\] was read by ann --/);
    const again = seated(t, { user: "bob", url: urls.longPoll, home: bobHome }, ["ann"]);
    await again.prints(
      /-- News: 1 unread, 1 calls you --\n(?:.*\n)*-- News: 2 unread, 2 call you --/,
    );
    again.types("/unread\n");
    await again.prints(/News \(g:\S+\): group of 2, admin, 2 unread, 2 call you/);
    again.types("/to News\n");
    await again.prints(
      /\[1\] ann: one\n.*\[2\] ann: two for @bob \(calls you\)\n.*\[3\] .* \(calls you\)\n/,
    );
    await readByBob(ann, 3);
    again.types("/unread\n/leave\n/nonsense\n/edit x\n/edit 1 not mine\n");
    await again.prints(/nothing is unread/);
    await again.prints(/-- CONFIG_INVALID: \/nonsense is no command here --/);
    await again.prints(/-- CONFIG_INVALID: which message\? Its number stands before it --/);
    await again.prints(/-- CONVERSATION_UNKNOWN: /);
    again.endsInput();
    assert.equal((await again.ended).status, 0);
  });

  test("begins in a room by its title, and shows what was said last", async (t) => {
    const cwd = emptyFolder(t);
    const { place } = await served(t, cwd);
    const { urls } = place;
    const home = emptyFolder(t);
    const before = seated(t, { user: "ann", url: urls.tcp, home }, []);
    before.types("lost\n");
    await before.prints(/-- CONFIG_INVALID: you are nowhere: \/to ROOM\|USER --/);
    const lines = Array.from({ length: 15 }, (_, index) => `line ${index + 1}`).join("\n");
    before.types(`/new Diary\n${lines}\n//shrug\n`);
    await before.prints(/\[16\] ann: \/shrug/);
    before.endsInput();
    await before.ended;
    const after = seated(t, { user: "ann", url: urls.websocket, home }, ["--room", "diary"]);
    await after.prints(/-- in Diary (?:.*\n)*.*\[16\] ann/);
    const shown = transcript(after).map((line) => line.split(" ")[0]);
    assert.deepEqual(
      shown,
      Array.from({ length: 10 }, (_, index) => `[${index + 7}]`),
    );
    after.types("/history 3\n");
    await after.prints(/\[1\] ann: line 1\n.*\[2\] ann: line 2\n/);
    const lost = seated(t, { user: "ann", url: urls.tcp }, ["--room", "nowhere"]);
    await lost.prints(/-- no room is called nowhere yet --/);
  });

  test("[CNV-91] [CNV-92] [CNV-95] what is said for a time disappears, everywhere", async (t) => {
    const cwd = emptyFolder(t);
    const { place } = await served(t, cwd);
    const { urls } = place;
    const ann = seated(t, { user: "ann", url: urls.tcp }, ["ann"]);
    const bob = seated(t, { user: "bob", url: urls.websocket }, ["ann"]);
    for (const one of [ann, bob]) one.types("/history\n");
    for (const one of [ann, bob]) await one.prints(/nothing was said before that/);
    ann.types("/new Whispers @bob\n");
    await ann.prints(/-- in Whispers /);
    ann.types("/lifetime 1d\nstays a day\n");
    await bob.prints(/-- Whispers: 1 unread --/);
    bob.types("/to Whispers\n");
    await bob.prints(/\[1\] ann: stays a day \(until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)\n/);
    ann.types("/for 5s a secret\n/for 5x no\n");
    await ann.prints(/\[2\] ann: a secret \(until /);
    await ann.prints(/-- CONFIG_INVALID: for how long\? 30s, 10m, 8h or 7d --/);
    const gone = /-- \[2\] of ann has disappeared --\n/;
    await Promise.all([ann.prints(gone), bob.prints(gone)]);
    const told = ["history", "Whispers", "--user", "bob", "--url", urls.longPoll ?? ""];
    const lines = new Program(t, told, { cwd, env: { HOME: cwd } });
    const { stdout } = await lines.ended;
    assert.match(stdout, /\[1\] ann: stays a day/);
    assert.match(stdout, gone);
    assert.ok(!stdout.includes("a secret"));
  });

  test("the README's lines do what it says of them", async (t) => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, typed = ""] = /```text\n(\/new Garden[^`]*)```/.exec(readme) ?? [];
    const cwd = emptyFolder(t);
    const { place } = await served(t, cwd);
    const { urls } = place;
    const dave = seated(t, { user: "dave", url: urls.tcp }, ["dave"]);
    dave.types("/history\n");
    await dave.prints(/nothing was said before that/);
    const carol = seated(t, { user: "carol", url: urls.websocket }, []);
    const wanted = [
      /-- in Garden /,
      /\[1\] carol: hello @dave, shall we meet\?\n/,
      /\[1\] carol: hello @dave, shall we meet at six\? \(edited\)/,
      /-- carol reacts with \+1 to \[1\] --/,
      /-- \[1\] was taken back by carol --/,
    ];
    for (const [index, line] of typed.trim().split("\n").entries()) {
      carol.types(`${line}\n`);
      await carol.prints(wanted[index] as RegExp);
    }
    await dave.prints(/-- Garden: 1 unread, 1 calls you --/);
  });
});

/** Asks until it is so: what was read is told when it was. */
async function readByBob(ann: Program, number: number): Promise<void> {
  const answer = new RegExp(`-- \\[${number}\\] was read by ann`);
  const before = ann.stdout.split(answer).length - 1;
  for (let asked = before + 1; ; asked += 1) {
    ann.types(`/readers ${number}\n`);
    await ann.printsTimes(answer, asked);
    if (ann.stdout.includes(`[${number}] was read by ann, bob`)) return;
  }
}
