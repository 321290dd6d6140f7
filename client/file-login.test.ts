import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { DeviceLogin, type LoginMemory, memoryLogin } from "./device-login.ts";
import { fileLogin } from "./file-login.ts";

const STATE = {
  seed: new Uint8Array(32).fill(1),
  registrationSecret: new Uint8Array(32).fill(2),
  account: "acme/ann",
};
const BINDING = new Uint8Array(32).fill(3);

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-login-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("a login in a file", () => {
  test("[ENV-55] is there for the next life, and for nobody else", async (t) => {
    const folder = await emptyFolder(t);
    const path = join(folder, "deeper", "login.json");
    assert.equal(await fileLogin(path).load(), undefined);
    await fileLogin(path).save({ ...STATE, account: "" });
    await chmod(path, 0o666);
    await fileLogin(path).save(STATE);
    assert.deepEqual(await fileLogin(path).load(), STATE);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(folder, "deeper"))).mode & 0o777, 0o700);
    assert.deepEqual(await readdir(join(folder, "deeper")), ["login.json"]);
  });

  test("[AUT-5] that is illegible is an error, which tells nothing of it", async (t) => {
    const path = join(await emptyFolder(t), "login.json");
    await fileLogin(path).save(STATE);
    const whole = await readFile(path, "utf8");
    const changed = [
      "",
      "null",
      "[]",
      whole.slice(0, -9),
      whole.replace("01", "0g"),
      whole.replace("01", ""),
      whole.replace("acme/ann", "").replace('""', "7"),
      whole.replace("1,", "2,"),
    ];
    for (const text of changed) {
      await writeFile(path, text);
      await assert.rejects(fileLogin(path).load(), (error: Error & { code?: unknown }) => {
        assert.equal(error.code, ErrorCode.DATA_DAMAGED);
        assert.doesNotMatch(`${error.stack} ${error.cause}`, /0101|0202/);
        return true;
      });
    }
    const folder = fileLogin(join(path, "below"));
    await assert.rejects(folder.load(), { code: ErrorCode.DATA_DAMAGED });
    await assert.rejects(folder.save(STATE), { code: ErrorCode.DATA_UNWRITABLE });
  });
});

describe("a device's login", () => {
  const loginOf = (memory: LoginMemory) => new DeviceLogin(NATIVE_CRYPTO, memory);

  test("[ENV-55] has its key and secret kept before they leave, and makes them once", async () => {
    const memory = memoryLogin();
    const login = loginOf(memory);
    const registration = await login.registration();
    const kept = await memory.load();
    assert.deepEqual(kept?.registrationSecret, registration.registrationSecret);
    assert.equal(kept?.account, "");
    assert.deepEqual(await login.registration(), registration);
    assert.deepEqual(await loginOf(memory).registration(), registration);
    const another = await loginOf(memoryLogin()).registration();
    assert.notDeepEqual(another.loginKey, registration.loginKey);
    assert.notDeepEqual(another.registrationSecret, registration.registrationSecret);
    const failing = { load: async () => undefined, save: () => Promise.reject(new Error("disk")) };
    await assert.rejects(loginOf(failing).registration(), /disk/);
  });

  test("[ENV-57] is none before the service has taken the registration", async () => {
    const memory = memoryLogin();
    const login = loginOf(memory);
    assert.equal(await login.attempt(BINDING, "d"), undefined);
    await login.registration();
    assert.equal(await login.attempt(BINDING, "d"), undefined);
    await login.registered("ann");
    const attempt = await login.attempt(BINDING, "d");
    assert.equal(attempt?.proof.account, "ann");
    assert.equal(attempt?.proof.deviceId, "d");
    assert.deepEqual(await loginOf(memory).attempt(BINDING, "d"), attempt);
    const elsewhere = await login.attempt(new Uint8Array(32), "d");
    assert.notDeepEqual(elsewhere?.proof.signature, attempt?.proof.signature);
    assert.notDeepEqual(elsewhere?.answerMac, attempt?.answerMac);
  });
});
