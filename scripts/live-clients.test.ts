import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ServerProcess } from "../demo/server-process.ts";
import { pinText } from "../protocol/envelope/identity.ts";
import { openIdentities } from "../server/envelope/identity-file.ts";
import { buildGo, lackingGo, lackingPython, type Said, said } from "./other-languages.ts";

// Clients of verify/ talk to the real server, which takes sealed links only. None of our code is in
// them.

const scratch = mkdtempSync(join(tmpdir(), "posthorn-live-"));
const GO_CLIENT = join(scratch, "live");

/** A server of its own, as a process, with the pin that its operator would pass on. */
class SealedServer {
  readonly pin: string;
  readonly #data: string;
  #process: ServerProcess | undefined;

  /** @param isClassical whether its identity is of Ed25519 alone, for who knows no ML-DSA */
  constructor(name: string, isClassical: boolean) {
    this.#data = join(scratch, name);
    this.pin = pinText(openIdentities(this.#data, isClassical).present.serverId);
  }

  async start(): Promise<void> {
    this.#process = await ServerProcess.start(this.#data, "required");
  }

  get port(): string {
    return String(this.#process?.port);
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

const classical = new SealedServer("classical", true);
const lasting = new SealedServer("lasting", false);

before(async () => {
  await Promise.all([classical.start(), lasting.start()]);
});
after(async () => {
  await Promise.all([classical.stop(), lasting.stop()]);
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
    test(`[ENV-15] [ENV-48] a client in ${name} sends and receives over suite ${suite}`, async (t) => {
      const why = await lacking();
      if (why !== undefined) return t.skip(why);
      const { status, lines } = await run([
        "127.0.0.1",
        classical.port,
        classical.pin,
        "alice",
        suite,
      ]);
      assert.equal(status, 0, lines.join("\n"));
      assert.match(lines.join("\n"), new RegExp(`^suite ${suite}: .+ came back$`));
    });
  }

  test(`[ENV-20] [ENV-29] a client in ${name} refuses another identity`, async (t) => {
    const why = await lacking();
    if (why !== undefined) return t.skip(why);
    const { status, lines } = await run(["127.0.0.1", classical.port, lasting.pin, "alice"]);
    assert.equal(status, 1);
    assert.match(lines.join("\n"), /^failed: policy: another identity$/);
  });
}

test("[ENV-30] a client in Python verifies both signatures of an identity", async (t) => {
  const why = await lackingPython();
  if (why !== undefined) return t.skip(why);
  const { status, lines } = await PYTHON.run(["127.0.0.1", lasting.port, lasting.pin, "bob"]);
  assert.equal(status, 0, lines.join("\n"));
  assert.match(lines.join("\n"), /^suite 2: .+ came back$/);
});
