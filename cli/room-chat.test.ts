import assert from "node:assert/strict";
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
    const bob = seated(t, { user: "bob", url: urls.websocket }, []);
    const cyd = seated(t, { user: "cyd", url: urls.longPoll }, []);
    const ann = seated(t, { user: "ann", url: urls.tcp, home: annHome }, []);
    const all = [ann, bob, cyd];
    const everybody = (pattern: RegExp) => Promise.all(all.map((one) => one.prints(pattern)));
    // Who is added must have been there once.
    for (const one of all) one.types("/rooms\n");
    await everybody(/none yet/);
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
});
