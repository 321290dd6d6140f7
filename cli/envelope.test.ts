import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

interface Place {
  readonly port: number;
  readonly sealed: string;
  readonly urls: Readonly<Record<string, string>>;
}

/** A server that takes sealed links only, and where it is. */
async function served(t: TestContext, cwd: string, args: readonly string[] = [], port = 0) {
  const all = ["serve", "--json", "--port", `${port}`, "--envelope", "required", ...args];
  const program = new Program(t, all, { cwd });
  const line = await program.prints(/(\{.*\})\n/);
  return { program, place: JSON.parse(line) as Place };
}

describe("posthorn over the envelope", () => {
  for (const kind of ["tcp", "websocket", "longPoll"]) {
    test(`[ENV-28] send and tail over ${kind}, sealed to the pin of the URL`, async (t) => {
      const cwd = emptyFolder(t);
      const { place } = await served(t, cwd);
      const url = `${place.urls[kind]}/${new URL(place.sealed).hash}`;
      const where = ["--url", url, "--temporary"];
      const surroundings = { cwd, env: { HOME: cwd } };
      const sent = await posthorn(
        t,
        ["send", "ann", "hello", "--user", "ann", ...where],
        surroundings,
      );
      assert.equal(sent.status, 0, sent.stderr);
      const tail = ["tail", "--user", "ann", "--json", "--count", "1", ...where];
      const { status, stdout } = await posthorn(t, tail, surroundings);
      assert.equal(status, 0);
      assert.equal(JSON.parse(stdout).content, "hello");
    });
  }

  test("[ENV-29] [ENV-32] remembers who was there first, and stops at somebody else", async (t) => {
    const cwd = emptyFolder(t);
    const { program, place } = await served(t, cwd);
    const { port } = place;
    const send = (mode: string) => {
      const where = ["--url", `tcp://127.0.0.1:${port}`, "--temporary", "--seal", mode];
      const args = ["send", "ann", "hello", "--user", "ann", ...where];
      return posthorn(t, args, { cwd, env: { HOME: cwd } });
    };
    assert.equal((await send("first-seen")).status, 0);
    const known = join(cwd, ".posthorn", "known-services.json");
    assert.equal(statSync(known).mode & 0o777, 0o600);
    const pin = place.sealed.split("#pin=")[1] as string;
    const stored = { pin, origin: "seen", formers: [], met: true, minSuite: 1 };
    const address = `127.0.0.1:${port}`;
    assert.deepEqual(JSON.parse(readFileSync(known, "utf8")), {
      [address]: { identities: [stored] },
    });
    program.signal("SIGTERM");
    await program.ended;
    const elsewhere = ["--port", String(port), "--data", "another"];
    new Program(t, ["serve", "--json", "--envelope", "required", ...elsewhere], { cwd });
    const stranger = await send("first-seen");
    assert.equal(stranger.status, 1);
    assert.match(stranger.stderr, /SERVER_IDENTITY_CHANGED/);
    assert.equal((await send("unverified")).status, 0);
    assert.equal((await send("whatever")).status, 2);
    writeFileSync(known, "{");
    assert.match((await send("first-seen")).stderr, /is illegible/);
  });

  test("[ENV-34] [ENV-58] remembers a promise, and stops where it is taken back", async (t) => {
    const cwd = emptyFolder(t);
    const first = await served(t, cwd, ["--envelope-min-suite", "2"]);
    const { port, sealed } = first.place;
    const fragment = new URL(sealed).hash;
    const send = (url: string, ...more: string[]) => {
      const args = ["send", "ann", "hello", "--user", "ann", "--temporary", "--url", url, ...more];
      return posthorn(t, args, { cwd, env: { HOME: cwd } });
    };
    const pinned = `tcp://127.0.0.1:${port}/${fragment}`;
    const again = async (program: Program, ...more: string[]) => {
      program.signal("SIGTERM");
      await program.ended;
      return (await served(t, cwd, more, port)).program;
    };
    assert.equal((await send(pinned)).status, 0);
    const known = join(cwd, ".posthorn", "known-services.json");
    const entry = () => JSON.parse(readFileSync(known, "utf8"))[`127.0.0.1:${port}`];
    const promised = () => entry().identities[0].minSuite;
    assert.equal(promised(), 2);
    // Each command is a process of its own: what it knows, it knows from the file.
    const weaker = await again(first.program);
    for (const where of [[pinned], [`ws://127.0.0.1:${port}`, "--seal", "first-seen"]] as const) {
      const { status, stderr } = await send(where[0], ...where.slice(1));
      assert.equal(status, 1);
      assert.match(stderr, /ENVELOPE_DOWNGRADED/);
      assert.equal(promised(), 2);
    }
    await again(weaker, "--envelope-min-suite", "2");
    assert.equal((await send(pinned)).status, 0);
    const [identity] = entry().identities;
    const damaged = { identities: [{ ...identity, minSuite: "2" }] };
    writeFileSync(known, JSON.stringify({ [`127.0.0.1:${port}`]: damaged }));
    assert.match((await send(pinned)).stderr, /is illegible/);
  });

  test("[ENV-52] [ENV-53] without a pin there is no way in, in words", async (t) => {
    const cwd = emptyFolder(t);
    const { place } = await served(t, cwd);
    const where = ["--url", `tcp://127.0.0.1:${place.port}`, "--temporary"];
    const args = ["send", "ann", "hello", "--user", "ann", ...where];
    const { status, stderr } = await posthorn(t, args, { cwd, env: { HOME: cwd } });
    assert.equal(status, 1);
    assert.match(stderr, /ENVELOPE_REQUIRED/);
  });
});

test("[ENV-55] [ENV-57] a device that showed its token once comes back without", async (t) => {
  const cwd = emptyFolder(t);
  const surroundings = { cwd, env: { HOME: cwd } };
  await posthorn(t, ["token", "--new-secret", "s"], { cwd });
  const token = await posthorn(t, ["token", "ann", "--secret-file", "s"], { cwd });
  writeFileSync(join(cwd, "token"), token.stdout);
  const { place } = await served(t, cwd, ["--auth-hmac-secret-file", "s"]);
  const tcp = `tcp://127.0.0.1:${place.port}`;
  const pinned = `${tcp}/${new URL(place.sealed).hash}`;
  const send = (...args: string[]) =>
    posthorn(t, ["send", "ann", "hello", "--device", "d", ...args], surroundings);
  const known = ["--user", "ann", "--journal", "j"];
  const unpinned = ["--url", tcp, "--seal", "unverified"];
  assert.match((await send(...known, ...unpinned)).stderr, /TOKEN_MALFORMED/);
  const shown = await send("--token-file", "token", ...known, "--url", pinned);
  assert.equal(shown.status, 0, shown.stderr);
  const path = join(cwd, "j", `login-127.0.0.1%3A${place.port}.json`);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(path, "utf8")).account, "ann");
  const back = await send(...known, ...unpinned);
  assert.equal(back.status, 0, back.stderr);
  assert.equal((await send(...known, ...unpinned, "--temporary")).status, 1);
  writeFileSync(path, "{}");
  assert.match((await send(...known, ...unpinned)).stderr, /holds no login/);
});

test("[ENV-27] [ENV-33] posthorn identity shows the pin, announces and rotates", async (t) => {
  const cwd = emptyFolder(t);
  const identity = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await posthorn(t, ["identity", "--json", ...args], { cwd });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as { pin: string; next?: string; former: string[] };
  };
  const first = await identity();
  assert.match(first.pin, /^[a-z2-7]{52}$/);
  assert.deepEqual(await identity(), first);
  const announced = await identity("--announce");
  assert.equal(announced.pin, first.pin);
  const rotated = await identity("--rotate");
  assert.equal(rotated.pin, announced.next);
  assert.deepEqual(rotated.former, [first.pin]);
  const { program, place } = await served(t, cwd);
  assert.ok(place.sealed.endsWith(rotated.pin));
  program.signal("SIGTERM");
  const none = await posthorn(t, ["identity", "--rotate"], { cwd });
  assert.equal(none.status, 1);
  const late = await posthorn(t, ["identity", "--classical"], { cwd });
  assert.equal(late.status, 2);
  assert.match(none.stderr, /no next identity is announced/);
});
