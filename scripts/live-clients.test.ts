import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ServerProcess } from "../demo/server-process.ts";
import { SealingFront } from "../fuzz/envelope/sealing-front.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { buildGo, lackingGo, lackingPython, type Said, said } from "./other-languages.ts";

// Clients of verify/ talk to the real server, over links that our machine has sealed. None of our
// code is in them.

const scratch = mkdtempSync(join(tmpdir(), "posthorn-live-"));
const GO_CLIENT = join(scratch, "live");
let server: ServerProcess;
/** A door of an identity with one key, and one of two. */
let front: SealingFront;
let lastingFront: SealingFront;
let port: string;
let lastingPort: string;

before(async () => {
  server = await ServerProcess.start(join(scratch, "data"));
  front = new SealingFront(server.port, false);
  lastingFront = new SealingFront(server.port, true);
  [port, lastingPort] = [String(await front.open()), String(await lastingFront.open())];
});
after(async () => {
  await front.close();
  await lastingFront.close();
  await server.stop();
  rmSync(scratch, { recursive: true });
});

interface Client {
  readonly name: string;
  readonly lacking: () => Promise<string | undefined>;
  readonly run: (args: readonly string[]) => Promise<Said>;
}

const PYTHON: Client = {
  name: "Python",
  lacking: lackingPython,
  run: (args) => said("python3", [join("verify", "python", "live.py"), ...args]),
};
const GO: Client = {
  name: "Go",
  lacking: async () => {
    const why = await lackingGo();
    if (why === undefined) await buildGo("./live", GO_CLIENT);
    return why;
  },
  run: (args) => said(GO_CLIENT, args),
};

for (const { name, lacking, run } of [PYTHON, GO]) {
  for (const suite of ["1", "2", "3"]) {
    test(`[ENV-15] [ENV-39] [ENV-48] a client in ${name} sends and receives over suite ${suite}`, async (t) => {
      const why = await lacking();
      if (why !== undefined) return t.skip(why);
      const { status, lines } = await run(["127.0.0.1", port, front.pin, "alice", suite]);
      assert.equal(status, 0, lines.join("\n"));
      assert.match(lines.join("\n"), new RegExp(`^suite ${suite}: .+ came back$`));
      assert.equal(front.ends.at(-1)?.code, ErrorCode.GOODBYE);
    });
  }

  test(`[ENV-20] [ENV-29] a client in ${name} refuses another identity`, async (t) => {
    const why = await lacking();
    if (why !== undefined) return t.skip(why);
    const { status, lines } = await run(["127.0.0.1", port, lastingFront.pin, "alice"]);
    assert.equal(status, 1);
    assert.match(lines.join("\n"), /^failed: policy: another identity$/);
    assert.deepEqual(front.ends.at(-1), { code: ErrorCode.ENVELOPE_REFUSED, by: "peer" });
  });
}

test("[ENV-30] a client in Python verifies both signatures of an identity", async (t) => {
  const why = await lackingPython();
  if (why !== undefined) return t.skip(why);
  const { status, lines } = await PYTHON.run(["127.0.0.1", lastingPort, lastingFront.pin, "bob"]);
  assert.equal(status, 0, lines.join("\n"));
  assert.match(lines.join("\n"), /^suite 2: .+ came back$/);
});
