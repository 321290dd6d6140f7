import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, type TestContext, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import type { Identity } from "../server/auth/authenticate.ts";
import { jwtAuthenticator } from "../server/auth/jwt.ts";
import { webhookSecretIn } from "../server/backend/webhook-signature.ts";
import { type CommandIo, EXIT, errorLine, exitOf } from "./command.ts";
import { emptyFolder, posthorn } from "./testdata/program.ts";
import { token } from "./token.ts";

interface Keys {
  readonly secret?: string;
  readonly publicKey?: string;
  readonly issuer?: string;
  readonly audience?: string;
}

/** What a server with these key files makes of a token. */
async function verdict(token: string, keys: Keys, deviceId = "phone"): Promise<Identity> {
  const { secret, publicKey, issuer = "", audience = "" } = keys;
  const authenticator = await jwtAuthenticator({
    hmacSecret: secret === undefined ? undefined : readFileSync(secret),
    publicKeys: publicKey === undefined ? [] : [readFileSync(publicKey, "utf8")],
    issuer,
    audience,
    clockToleranceSeconds: 0,
    nowMs: () => Date.now(),
  });
  return authenticator.authenticate({ token: token.trim(), userId: "", deviceId });
}

async function printed(
  t: TestContext,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { status, stdout, stderr } = await posthorn(t, ["token", ...args], { cwd, env });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  return stdout;
}

const mode = (path: string) => statSync(path).mode & 0o777;

describe("posthorn token", { concurrency: 2 }, () => {
  test("[AUT-1] makes a secret for its owner only, and a token that it checks", async (t) => {
    const cwd = emptyFolder(t);
    const secret = join(cwd, "secret.key");
    const said = await printed(t, ["--new-secret", "secret.key"], cwd);
    assert.match(said, /--auth-hmac-secret-file secret\.key/);
    assert.equal(mode(secret), 0o600);
    const made = await printed(t, ["alice", "--secret-file", "secret.key"], cwd);
    assert.match(made, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const principal = { tenant: "", userId: "alice" };
    assert.deepEqual(await verdict(made, { secret }), { kind: "authenticated", principal });
    const { iat = 0, exp = 0 } = decodeJwt(made.trim());
    assert.equal(exp - iat, 3600);
  });

  test("[BCK-16] makes a secret of webhooks, for its owner only", async (t) => {
    const cwd = emptyFolder(t);
    const said = await printed(t, ["--new-webhook-secret", "hook.whsec"], cwd);
    assert.match(said, /secretFiles/);
    assert.equal(mode(join(cwd, "hook.whsec")), 0o600);
    const text = readFileSync(join(cwd, "hook.whsec"), "utf8");
    assert.equal(webhookSecretIn(text.trim())?.length, 32);
  });

  for (const name of ["signing.pem", "signing.jwk"]) {
    test(`[AUT-1] makes the pair ${name}, and a token that its public half checks`, async (t) => {
      const cwd = emptyFolder(t);
      const said = await printed(t, ["--new-key", name], cwd);
      assert.match(said, new RegExp(`--auth-public-key-files ${name}.pub`));
      assert.equal(mode(join(cwd, name)), 0o600);
      const publicKey = join(cwd, `${name}.pub`);
      const holdsPrivate = /PRIVATE|"d"/;
      assert.match(readFileSync(join(cwd, name), "utf8"), holdsPrivate);
      assert.doesNotMatch(readFileSync(publicKey, "utf8"), holdsPrivate);
      const made = await printed(t, ["alice", "--private-key", name], cwd);
      assert.equal((await verdict(made, { publicKey })).kind, "authenticated");
      const { alg, kid } = decodeProtectedHeader(made.trim());
      assert.equal(alg, "EdDSA");
      assert.equal(typeof kid, name.endsWith("jwk") ? "string" : "undefined");
    });
  }

  test("[AUT-1] [AUT-3] writes device, tenant, issuer, audience and time into it", async (t) => {
    const cwd = emptyFolder(t);
    const secret = join(cwd, "s");
    await printed(t, ["--new-secret", "s"], cwd);
    const place = { secret, issuer: "id", audience: "chat" };
    const flags = ["--secret-file", "s", "--device", "phone", "--tenant", "acme", "--issuer", "id"];
    const more = ["--audience", "chat", "--expires", "30d"];
    const made = await printed(t, ["alice", ...flags, ...more], cwd);
    const principal = { tenant: "acme", userId: "alice" };
    assert.deepEqual(await verdict(made, place), { kind: "authenticated", principal });
    assert.equal((await verdict(made, place, "tablet")).kind, "refused");
    const { iat = 0, exp = 0 } = decodeJwt(made.trim());
    assert.equal(exp - iat, 30 * 86_400);
  });

  test("takes secret, issuer and audience from the server's environment; flags win", async (t) => {
    const cwd = emptyFolder(t);
    await printed(t, ["--new-secret", "s"], cwd);
    const env = {
      POSTHORN_AUTH_HMAC_SECRET_FILE: "s",
      POSTHORN_AUTH_ISSUER: "id",
      POSTHORN_AUTH_AUDIENCE: "chat",
    };
    const made = await printed(t, ["alice", "--audience", "mail"], cwd, env);
    const { iss, aud } = decodeJwt(made.trim());
    assert.deepEqual({ iss, aud }, { iss: "id", aud: "mail" });
    const place = { secret: join(cwd, "s"), issuer: "id", audience: "mail" };
    assert.equal((await verdict(made, place)).kind, "authenticated");
  });

  test("--json says whose it is and when it ends", async (t) => {
    const cwd = emptyFolder(t);
    await printed(t, ["--new-secret", "s"], cwd);
    const line = await printed(t, ["alice", "--secret-file", "s", "--json"], cwd);
    assert.equal(line.indexOf("\n"), line.length - 1);
    const { token: text, userId, expiresAtMs } = JSON.parse(line);
    assert.equal(userId, "alice");
    assert.equal(decodeJwt(text).exp, Math.floor(expiresAtMs / 1000));
  });

  test("never writes over a file, nor leaves half of a pair", async (t) => {
    const cwd = emptyFolder(t);
    for (const name of ["secret", "key", "other.pub"]) writeFileSync(join(cwd, name), "precious");
    const refused = async (args: readonly string[], path: string) => {
      const { status, stderr } = await posthorn(t, ["token", ...args], { cwd });
      const why = `${args[0]}: ${path} exists, and is not written over`;
      const line = `posthorn: CONFIG_INVALID: ${why}\n`;
      assert.deepEqual({ status, stderr }, { status: 2, stderr: line });
    };
    await refused(["--new-secret", "secret"], "secret");
    await refused(["--new-key", "key"], "key");
    await refused(["--new-key", "other"], "other.pub");
    for (const name of ["secret", "key", "other.pub"]) {
      assert.equal(readFileSync(join(cwd, name), "utf8"), "precious");
    }
    assert.throws(() => statSync(join(cwd, "other")), { code: "ENOENT" });
    assert.throws(() => statSync(join(cwd, "key.pub")), { code: "ENOENT" });
  });

  const SIGN = ["--secret-file", "s"];
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /USER is missing/],
    [["alice", "bob", ...SIGN], /"bob" is one argument too many/],
    [["a/b", ...SIGN], /USER: "a\/b" does not match/],
    [["alice"], /needs --secret-file or --private-key/],
    [["alice", ...SIGN, "--private-key", "k"], /two ways/],
    [["alice", "--secret-file", "missing"], /--secret-file: cannot read missing \(ENOENT\)/],
    [["alice", "--secret-file", "short"], /--secret-file: a secret needs 32 bytes, this has 5/],
    [["alice", "--private-key", "s"], /--private-key: is no private key/],
    [["alice", "--private-key", "pair.pub"], /--private-key: is no private key/],
    [["alice", ...SIGN, "--expires", "soon"], /--expires: "soon" is no time/],
    [["alice", ...SIGN, "--expires", "0s"], /--expires: "0s"/],
    [["alice", ...SIGN, "--expires", "999999d"], /--expires: "999999d"/],
    [["alice", ...SIGN, "--device", "a b"], /--device: "a b"/],
    [["alice", ...SIGN, "--tenant", "a/b"], /--tenant: "a\/b"/],
    [["alice", ...SIGN, "--divice", "a"], /--divice: unknown; did you mean --device\?/],
    [["--new-secret", "n", "--expires", "1h"], /made alone/],
    [["--new-webhook-secret", "n", "--backend"], /made alone/],
    [["desk", "--backend", "--device", "phone"], /a backend has none/],
    [["alice", "--new-secret", "n"], /"alice" is one argument too many/],
  ];
  test("refuses what makes no token, by the name of what is wrong", async (t) => {
    const cwd = emptyFolder(t);
    const path = (name: string) => join(cwd, name);
    await printed(t, ["--new-secret", "s"], cwd);
    await printed(t, ["--new-key", "pair"], cwd);
    writeFileSync(path("short"), "hush!\n");
    const files = new Set(["s", "k", "n", "short", "missing", "pair", "pair.pub"]);
    for (const [args, problem] of wrong) {
      const stdout = new PassThrough();
      const io = { env: {}, stdin: process.stdin, stdout, stderr: stdout } as unknown as CommandIo;
      const absolute = args.map((arg) => (files.has(arg) ? path(arg) : arg));
      await assert.rejects(token.run(absolute, io), (error) => {
        assert.equal(exitOf(error), EXIT.usage);
        const line = errorLine(error).replaceAll(`${cwd}/`, "");
        assert.match(line, /^CONFIG_INVALID: /);
        assert.match(line, problem);
        assert.doesNotMatch(line, /hush/);
        return true;
      });
      assert.equal(stdout.read(), null);
    }
    assert.throws(() => statSync(path("n")), { code: "ENOENT" });
  });

  test("a folder that cannot be written to is named", async (t) => {
    const cwd = emptyFolder(t);
    const { status, stderr } = await posthorn(t, ["token", "--new-secret", "no/s"], { cwd });
    assert.equal(status, 2);
    assert.equal(
      stderr,
      "posthorn: CONFIG_INVALID: --new-secret: no/s cannot be written (ENOENT)\n",
    );
  });
});
