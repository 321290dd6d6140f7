import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { type Client, connect } from "../../client/client.ts";
import { DeviceLogin, type LoginMemory, memoryLogin } from "../../client/device-login.ts";
import type { Dialer } from "../../client/dialer.ts";
import type { KnownService } from "../../client/known-service.ts";
import { sealed } from "../../client/links/sealed.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import type { ClientOptions } from "../../client/options.ts";
import { Verdicts } from "../../client/race.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { Frame } from "../../protocol/frames.ts";
import type { LoginAttempt } from "../../protocol/session/welcome.ts";
import { secretFrom } from "../auth/keys.ts";
import { signToken } from "../auth/token.ts";
import { configFrom } from "../config.ts";
import { openIdentities } from "../envelope/identity-file.ts";
import type { Log } from "../observe.ts";
import { createServer, type PosthornServer } from "../server.ts";
import { type Mischief, throughMiddle } from "../testdata/man-in-the-middle.ts";

const SECRET = Buffer.alloc(32, 7);
const SCHEMES = ["tcp", "ws", "http"];
interface End {
  readonly code?: string;
  readonly requirement?: string;
  readonly detail?: string;
}

const ends: End[] = [];
/** As what the service logs a login that it refused since the last one was asked for. */
async function refusal(): Promise<End> {
  for (;;) {
    const found = ends.findIndex(({ code }) => code === "LOGIN_PROOF_INVALID");
    const [end] = found < 0 ? [] : ends.splice(0, found + 1).slice(-1);
    if (end !== undefined) return end;
    await setTimeout(5);
  }
}
const LOG: Log = {
  debug: () => {},
  info: (_, data) => void ends.push(data),
  warn: () => {},
  error: (at, data) => assert.fail(`${at} ${JSON.stringify(data)}`),
};

let folder = "";
let server: PosthornServer;
const start = async (part: object = {}) => {
  const auth = { hmacSecretFile: join(folder, "secret"), ...part };
  const longPoll = { coalesceMs: 0 };
  const data = join(folder, "data");
  return createServer(configFrom({ file: { port: 0, data, auth, longPoll } }), LOG);
};
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-login-"));
  await writeFile(join(folder, "secret"), SECRET);
  server = await start();
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const BACKOFF = { baseMs: 10, capMs: 20 };

function tokenOf(userId: string, tenant?: string): Promise<string> {
  const issuedAtMs = Date.now();
  const claims = { userId, tenant, issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
  return signToken(secretFrom({ key: "", bytes: SECRET }), claims);
}

/** A way to the service as if it were another machine: no token leaves on it by itself. */
function farAway(scheme: string): Dialer {
  const [dialer] = dialersOf(`${scheme}://127.0.0.1:${server.address.port}`);
  const far: Dialer = dialer as Dialer;
  return { kind: far.kind, address: `${scheme}://192.0.2.1:1`, dial: (signal) => far.dial(signal) };
}

function pinned(scheme: string): Dialer {
  const pin = openIdentities(join(folder, "data")).present.serverId;
  return sealed(farAway(scheme), nodeEnvelope({ trust: [pin] }));
}

function unpinned(scheme: string): Dialer {
  return sealed(farAway(scheme), nodeEnvelope({ trust: "none" }));
}

function spliced(scheme: string, mischief: Mischief): Dialer {
  return sealed(throughMiddle(farAway(scheme), mischief), nodeEnvelope({ trust: "none" }));
}

async function attached(dialer: Dialer, part: Partial<ClientOptions>): Promise<Client> {
  const options = { dialers: [dialer], deviceId: "d", journal: memoryJournal(), backoff: BACKOFF };
  return await connect({ ...options, ...part });
}

/** Attaches, sends, leaves; the client's error otherwise. */
async function talk(dialer: Dialer, to: string, part: Partial<ClientOptions>): Promise<void> {
  const client = await attached(dialer, part);
  try {
    await client.send(to, "x");
  } finally {
    await client.close();
  }
}

const loginOf = (memory: LoginMemory) => new DeviceLogin(NATIVE_CRYPTO, memory);

/** A device that has been on a pinned link, and the memory of its login. */
async function registered(scheme: string, userId: string, tenant?: string): Promise<LoginMemory> {
  const memory = memoryLogin();
  const token = await tokenOf(userId, tenant);
  await talk(pinned(scheme), userId, { token, login: loginOf(memory) });
  return memory;
}

const INVALID = { code: ErrorCode.LOGIN_PROOF_INVALID };

describe("a login that is bound to its link", () => {
  for (const scheme of SCHEMES) {
    test(`[ENV-55] [ENV-56] [ENV-57] registers when pinned and attaches when not: ${scheme}`, async () => {
      const memory = await registered(scheme, `in.${scheme}`);
      assert.equal((await memory.load())?.account, `in.${scheme}`);
      // The token is worth nothing: nobody may see it.
      const login = loginOf(memory);
      const client = await attached(unpinned(scheme), { token: "secret", login });
      await client.send(`in.${scheme}`, "x");
      assert.equal(client.status.trust, "none");
      assert.equal(client.status.userId, `in.${scheme}`);
      await client.close();
    });

    test(`[ENV-35] [ENV-57] the service refuses who passes a proof on: ${scheme}`, async () => {
      const login = loginOf(await registered(scheme, `on.${scheme}`));
      const seen: Frame[] = [];
      const mischief = middle({ up: (frame) => [frame], seen });
      const attempt = talk(spliced(scheme, mischief), "x", { token: "secret", login });
      await assert.rejects(attempt, INVALID);
      assert.deepEqual(kindsOf(seen), ["hello"]);
      assertNoToken(seen, "secret");
      assert.equal((await refusal()).requirement, "ENV-57");
    });

    test(`[ENV-36] the device refuses who passes a Welcome on: ${scheme}`, async () => {
      const login = loginOf(await registered(scheme, `wel.${scheme}`));
      const token = await tokenOf("mallory");
      for (const loginAnswer of [undefined, { mac: randomBytes(32) }, { mac: new Uint8Array(0) }]) {
        const seen: Frame[] = [];
        const mischief = middle({
          seen,
          // He attaches as himself, or as the device whose token he has.
          up: (frame) => [asHimself(frame, token)],
          down: (frame) => [answered(frame, loginAnswer)],
        });
        const attempt = talk(spliced(scheme, mischief), "x", { token: "secret", login });
        await assert.rejects(attempt, INVALID);
        assert.deepEqual(kindsOf(seen), ["hello"], "nothing is said after a wrong answer");
      }
    });
  }

  test("[ENV-36] a service's answer to somebody else's link is no answer", async () => {
    const memory = await registered("tcp", "mirror");
    const seen: Frame[] = [];
    const token = await tokenOf("mirror");
    // He has everything of the device but its keys, even its token.
    const mischief = middle({ seen, up: (frame) => [asHimself(frame, token)] });
    const attempt = talk(spliced("tcp", mischief), "x", { token: "t", login: loginOf(memory) });
    await assert.rejects(attempt, INVALID);
    assert.deepEqual(kindsOf(seen), ["hello"]);
  });

  test("[ENV-36] [ENV-73] whom a login finds out is not remembered", async () => {
    const login = loginOf(await registered("tcp", "first"));
    let known: KnownService | undefined;
    const memory = {
      load: () => known,
      save: (now: KnownService) => {
        known = now;
      },
    };
    const firstSeen = () => nodeEnvelope({ trust: "first-seen", memory });
    const inBetween = throughMiddle(farAway("tcp"), middle({ seen: [] }));
    const attempt = talk(sealed(inBetween, firstSeen()), "x", { token: "t", login });
    await assert.rejects(attempt, INVALID);
    await refusal();
    assert.equal(known, undefined);
    await talk(sealed(farAway("tcp"), firstSeen()), "first", { token: "t", login });
    const [seen] = known === undefined ? [] : (known as KnownService).identities;
    assert.deepEqual(seen?.serverId, openIdentities(join(folder, "data")).present.serverId);
  });

  test("[ENV-57] all that is wrong with a proof is refused alike", async () => {
    const memory = await registered("tcp", "alike");
    const state = await memory.load();
    assert.ok(state);
    class Old extends DeviceLogin {
      #first: Promise<LoginAttempt | undefined> | undefined;
      override attempt(binding: Uint8Array, deviceId: string) {
        this.#first ??= super.attempt(binding, deviceId);
        return this.#first;
      }
    }
    const replaying = new Old(NATIVE_CRYPTO, memory);
    await talk(unpinned("tcp"), "alike", { token: "t", login: replaying });
    const other = { ...state, seed: new Uint8Array(32) };
    const wrong: Readonly<Record<string, Partial<ClientOptions>>> = {
      "another link's": { login: replaying },
      "another key's": { login: loginOf(memoryLogin(other)) },
      "an unknown user's": { login: loginOf(memoryLogin({ ...state, account: "nobody" })) },
      "another tenant's": { login: loginOf(memoryLogin({ ...state, account: "acme/alike" })) },
      "no account's": { login: loginOf(memoryLogin({ ...state, account: "a b" })) },
      "an unknown device's": { login: loginOf(memory), deviceId: "unknown" },
      "another user's": { login: loginOf(memory), userId: "bob" },
    };
    for (const [what, part] of Object.entries(wrong)) {
      await assert.rejects(talk(unpinned("tcp"), "x", { token: "t", ...part }), INVALID, what);
      const { requirement, detail } = await refusal();
      const told = "no login proof of a device registered here, on this link";
      assert.deepEqual({ requirement, detail }, { requirement: "ENV-57", detail: told }, what);
    }
    await talk(unpinned("tcp"), "alike", { token: "t", login: loginOf(memory) });
  });

  test("[ENV-56] a new registration takes the old one's place, after a restart too", async () => {
    const old = await registered("tcp", "again");
    await talk(unpinned("tcp"), "again", { token: "t", login: loginOf(old) });
    const fresh = await registered("tcp", "again");
    await assert.rejects(talk(unpinned("tcp"), "x", { token: "t", login: loginOf(old) }), INVALID);
    await refusal();
    await server.close();
    server = await start();
    await talk(unpinned("tcp"), "again", { token: "t", login: loginOf(fresh) });
  });

  test("[ENV-56] a tenant is part of the account", async () => {
    const memory = await registered("tcp", "ten", "acme");
    assert.equal((await memory.load())?.account, "acme/ten");
    await talk(unpinned("tcp"), "ten", { token: "t", login: loginOf(memory) });
  });

  test("[ENV-32] [ENV-55] neither token nor registration leaves before", async () => {
    const seen: Frame[] = [];
    const dialer = spliced("tcp", middle({ seen }));
    const attempt = talk(dialer, "x", { token: "secret", login: loginOf(memoryLogin()) });
    await assert.rejects(attempt, { code: ErrorCode.LINK_NOT_TRUSTED });
    assert.deepEqual(seen, []);
    // A key that was made, and that no service has confirmed, is no login.
    const state = { seed: randomBytes(32), registrationSecret: randomBytes(32), account: "" };
    const made = loginOf(memoryLogin(state));
    const again = talk(unpinned("tcp"), "x", { token: "secret", login: made });
    await assert.rejects(again, { code: ErrorCode.LINK_NOT_TRUSTED });
  });

  test("[ENV-74] a registered device attaches nowhere without token and proof", async () => {
    const memory = await registered("tcp", "bare");
    let dialled = 0;
    const counted: Dialer = {
      ...farAway("tcp"),
      dial: (signal) => {
        dialled += 1;
        return farAway("tcp").dial(signal);
      },
    };
    const near = dialersOf(`tcp://127.0.0.1:${server.address.port}`)[0] as Dialer;
    for (const dialer of [counted, near]) {
      for (const token of dialer === near ? [""] : ["", "secret"]) {
        const attempt = talk(dialer, "bare", { token, login: loginOf(memory) });
        await assert.rejects(attempt, { code: ErrorCode.LINK_NOT_TRUSTED });
      }
    }
    assert.equal(dialled, 2);
    // It was not refused by the service, which would have said so.
    const unregistered = { token: "", login: loginOf(memoryLogin()) };
    await assert.rejects(talk(counted, "bare", unregistered), { code: ErrorCode.TOKEN_MALFORMED });
    // A sealed link has what a proof is bound to.
    await talk(unpinned("tcp"), "bare", { token: "", login: loginOf(memory) });
  });

  test("[LNK-15] [ENV-57] a better link that is not pinned is tried with a proof", async () => {
    const memory = await registered("ws", "better");
    const token = await tokenOf("better");
    for (const login of [loginOf(memory), undefined]) {
      const [preferred, sure] = [unpinned("tcp"), pinned("ws")];
      let trials = 0;
      const counted = {
        ...preferred,
        dial: (signal: AbortSignal) => {
          trials += 1;
          return preferred.dial(signal);
        },
      };
      const verdicts = new Verdicts([[`tcp ${preferred.address}`, Date.now() + 300]]);
      const dialers = [counted, sure];
      const part = { dialers, token, verdicts, upgradeMs: 50, ...(login && { login }) };
      const client = await attached(sure, part);
      await client.send("better", "x");
      assert.equal(client.status.link, "websocket");
      await until(() => trials > 0 && (login === undefined || client.status.link === "tcp"));
      await client.send("better", "x");
      assert.equal(client.status.trust, login === undefined ? "pinned" : "none");
      await client.close();
    }
  });

  test("[ENV-55] a memory that fails is the end, and nothing leaves", async () => {
    const broken = new Error("the disk is gone");
    const failing: LoginMemory = {
      load: () => Promise.reject(broken),
      save: () => Promise.reject(broken),
    };
    const full: LoginMemory = { load: async () => undefined, save: failing.save };
    for (const memory of [failing, full]) {
      const token = await tokenOf("broken");
      const client = await attached(pinned("tcp"), { token, login: loginOf(memory) });
      await assert.rejects(client.send("broken", "x"), broken);
      assert.equal(client.status.state, "closed");
      await client.close();
    }
  });

  test("[AUT-7] an operator may do without", async () => {
    const memory = await registered("tcp", "off");
    await server.close();
    server = await start({ loginDays: 0 });
    const login = loginOf(memory);
    await assert.rejects(talk(unpinned("tcp"), "x", { token: "t", login }), INVALID);
    await refusal();
    const unheard = await registered("tcp", "off");
    assert.equal((await unheard.load())?.account, "");
    await server.close();
    server = await start();
  });
});

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn += 1) {
    assert.ok(turn < 2_000, "not so after ten seconds");
    await setTimeout(5);
  }
}

function middle(part: Partial<Mischief> & { readonly seen: Frame[] }): Mischief {
  const { seen, up = (frame) => [frame], down = (frame) => [frame] } = part;
  const { present } = openIdentities(join(folder, "mallory"));
  return {
    identity: present,
    down,
    up: (frame) => {
      seen.push(frame);
      return up(frame);
    },
  };
}

function asHimself(frame: Frame, token: string): Frame {
  if (frame.kind !== "hello") return frame;
  const { loginProof, ...value } = frame.value;
  return { kind: "hello", value: { ...value, token } };
}

function answered(frame: Frame, loginAnswer: { readonly mac: Uint8Array } | undefined): Frame {
  if (frame.kind !== "welcome" || loginAnswer === undefined) return frame;
  return { kind: "welcome", value: { ...frame.value, loginAnswer } };
}

function kindsOf(frames: readonly Frame[]): string[] {
  return frames.map(({ kind }) => kind);
}

function assertNoToken(frames: readonly Frame[], token: string): void {
  for (const { value } of frames) {
    assert.ok(!JSON.stringify(value).includes(token));
  }
}
