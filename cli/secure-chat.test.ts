import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { emptyFolder, Program } from "./testdata/program.ts";

interface Place {
  readonly port: number;
  readonly urls: Readonly<Record<string, string>>;
  readonly data: string;
}

async function served(t: TestContext, cwd: string): Promise<Place> {
  const program = new Program(t, ["serve", "--json", "--port", "0"], { cwd });
  return JSON.parse(await program.prints(/(\{.*\})\n/)) as Place;
}

interface Who {
  readonly user: string;
  readonly to: string;
  readonly url: string | undefined;
}

/** A terminal of its own, as on a machine of its own. */
function chatting(t: TestContext, { user, to, url = "" }: Who, args: readonly string[] = []) {
  const home = emptyFolder(t);
  const all = ["chat", to, "--secure", "--user", user, "--device", `${user}-phone`, "--url", url];
  return new Program(t, [...all, ...args], { cwd: home, env: { HOME: home } });
}

/** Every file below a folder. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("posthorn chat --secure", () => {
  for (const [first, second] of [
    ["tcp", "longPoll"],
    ["websocket", "tcp"],
  ] as const) {
    test(`[SEC-12] [SEC-51] two terminals, over ${first} and ${second}`, async (t) => {
      const cwd = emptyFolder(t);
      const { urls, data } = await served(t, cwd);
      const ann = chatting(t, { user: "ann", to: "bob", url: urls[first] });
      const bob = chatting(t, { user: "bob", to: "ann", url: urls[second] });
      const number = /\(\/verify\):\n((?: {5}(?:\d{5} ?){6}\n){2})/;
      const shown = await ann.prints(number);
      assert.equal(await bob.prints(number), shown);
      ann.types("the cellar key is under the third stone\n");
      await bob.prints(/ann: the cellar key is under the third stone\n/);
      bob.types("understood, and forgotten\n");
      await ann.prints(/bob: understood, and forgotten\n/);
      for (const file of filesIn(data)) {
        const bytes = readFileSync(file);
        assert.ok(!bytes.includes("third stone") && !bytes.includes("forgotten"), file);
      }
      ann.types("/verify\n");
      await ann.prints(/verified/);
      bob.types("/close\n");
      await ann.prints(/is over: GOODBYE/);
      ann.endsInput();
      assert.equal((await ann.ended).status, 0);
    });
  }

  test("[SEC-11] is known again after a restart; keys are nobody else's to read", async (t) => {
    const cwd = emptyFolder(t);
    const home = emptyFolder(t);
    const { urls } = await served(t, cwd);
    const talk = (user: string, to: string) =>
      new Program(
        t,
        ["chat", to, "--secure", "--user", user, "--device", user, "--url", urls.tcp ?? ""],
        { cwd: home, env: { HOME: home } },
      );
    const bob = talk("bob", "ann");
    const before = talk("ann", "bob");
    await before.prints(/secure chat with bob\/bob, first-seen/);
    before.endsInput();
    await before.ended;
    await bob.prints(/is over: GOODBYE/);
    const after = talk("ann", "bob");
    await after.prints(/secure chat with bob\/bob, seen-before/);
    for (const file of filesIn(join(home, ".posthorn", "secure"))) {
      assert.equal(statSync(file).mode & 0o777, 0o600, file);
    }
  });
});
