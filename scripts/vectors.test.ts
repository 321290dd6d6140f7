import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { runCommand } from "./command.ts";
import { vectorFiles } from "./vectors.ts";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, "spec", "vectors");
const validate = validatorOf(FOLDER);
const validateIn: Readonly<Record<string, ValidateFunction>> = {
  envelope: validatorOf(join(FOLDER, "envelope")),
  secure: validatorOf(join(FOLDER, "secure")),
  conversation: validatorOf(join(FOLDER, "conversation")),
};

function validatorOf(folder: string): ValidateFunction {
  const options = { allErrors: true, strict: false };
  const schema = JSON.parse(readFileSync(join(folder, "schema.json"), "utf8"));
  return new Ajv2020(options).compile(schema);
}

const validatorFor = (path: string) => validateIn[basename(dirname(path))] ?? validate;

test("every file of vectors is what the schema describes", () => {
  for (const [path, text] of vectorFiles()) {
    const validator = validatorFor(path);
    const isValid = validator(JSON.parse(text));
    assert.ok(isValid, `${path}: ${JSON.stringify(validator.errors?.slice(0, 3))}`);
  }
});

interface File {
  readonly cases: Record<string, unknown>[];
}
type Change = (file: File) => void;
const first = ({ cases }: File) => cases[0] as Record<string, unknown>;

test("the schema refuses what is none", () => {
  const changes: readonly (readonly [string, Change])[] = [
    ["framing.json", ({ cases }) => cases.splice(0)],
    ["framing.json", (file) => delete first(file).requirements],
    ["framing.json", (file) => Object.assign(first(file), { stream_hex: "0" })],
    ["framing.json", (file) => Object.assign(first(file), { more: 1 })],
    ["framing.json", (file) => Object.assign(first(file), { requirements: ["P8"] })],
    ["decoding.json", (file) => Object.assign(first(file), { expect: { valid: true } })],
    ["sniffing.json", (file) => Object.assign(first(file), { expect: "quic" })],
    ["byte-pipe.json", (file) => Object.assign(first(file), { steps: [{ sent: {} }] })],
    ["envelope-link.json", (file) => Object.assign(first(file), { side: "both" })],
    ["envelope/expand-label.json", (file) => Object.assign(first(file), { kind: "expanded" })],
    ["envelope/expand-label.json", (file) => delete first(file).label],
    ["envelope/xwing.json", (file) => delete first(file).secret_hex],
    ["envelope/pin.json", (file) => Object.assign(first(file), { requirements: ["P1"] })],
    ["envelope/records.json", (file) => Object.assign(first(file), { expect: { fails: "io" } })],
    ["envelope/link-handshake.json", (file) => delete first(file).secrets],
    ["envelope/link-errors.json", (file) => delete first(file).judge],
    ["envelope/link-errors.json", (file) => Object.assign(first(file), { expect: "valid" })],
    ["secure/expand-label.json", (file) => Object.assign(first(file), { kind: "expand" })],
    ["secure/expand-label.json", (file) => delete first(file).label],
    ["secure/padding.json", (file) => Object.assign(first(file), { requirements: ["ENV-9"] })],
    ["secure/padding.json", (file) => Object.assign(first(file), { expect: { fails: "padding" } })],
    ["secure/device-identity.json", (file) => delete first(file).fingerprint_hex],
    ["secure/chat-handshake.json", (file) => delete first(file).secrets],
    ["secure/chat-messages.json", (file) => Object.assign(first(file), { keys: [] })],
    ["secure/passive-client.json", (file) => delete first(file).drawn],
    ["conversation/ids.json", (file) => Object.assign(first(file), { user_ids: ["alice"] })],
    ["conversation/ids.json", (file) => Object.assign(first(file), { expect: { fails: "IO" } })],
    ["conversation/number-sets.json", (file) => delete first(file).ranges],
    ["conversation/number-sets.json", (file) => Object.assign(first(file), { ranges: [[0, 1]] })],
    ["conversation/read-bitmaps.json", (file) => Object.assign(first(file), { more: 1 })],
    ["conversation/events.json", (file) => Object.assign(first(file), { means: "nothing" })],
    ["service.json", (file) => Object.assign(first(file), { steps: [{ receive: [] }] })],
    ["device.json", (file) => Object.assign(first(file), { steps: [{ sends: [], later: 1 }] })],
  ];
  for (const [name, change] of changes) {
    const validator = validatorFor(name);
    const file = fileOf(name);
    assert.ok(validator(file), name);
    change(file);
    assert.equal(validator(file), false, `${name}: ${change}`);
  }
});

function fileOf(name: string): File {
  return JSON.parse(readFileSync(join(FOLDER, name), "utf8"));
}

test("a reader in Python, written from the chapters, agrees, and not with everything", async (t) => {
  const { isOk } = await runCommand(ROOT, "python3", ["--version"]);
  if (!isOk) return t.skip("python3 is not installed");
  const { stdout } = await promisify(execFile)("python3", [join(FOLDER, "check.py")]);
  assert.match(stdout, /^\d+ vectors agree\n$/);
  const wrong: readonly (readonly [string, object])[] = [
    ["framing.json", { expect: { frames_hex: ["00"] } }],
    ["decoding.json", { expect: { json: { ack: { deliveredThrough: "4" } } } }],
    ["frame-rules.json", { expect: { fails: "FRAME_WRONG_PHASE" } }],
    ["sniffing.json", { expect: "tls" }],
    ["byte-pipe.json", { up_hex: "00" }],
    ["envelope-handshake.json", { out_hex: "00" }],
    ["service.json", { steps: [{ receive: [{ json: { ready: {} }, hex: "023a00" }] }] }],
    ["device.json", { steps: [{ receive: [{ json: { ready: {} }, hex: "023a00" }] }] }],
  ];
  for (const [name, change] of wrong) {
    const spec = mkdtempSync(join(tmpdir(), "posthorn-vectors-"));
    t.after(() => rmSync(spec, { recursive: true }));
    cpSync(FOLDER, join(spec, "vectors"), { recursive: true });
    cpSync(join(FOLDER, "..", "generated"), join(spec, "generated"), { recursive: true });
    const file = fileOf(name);
    Object.assign(first(file), change);
    writeFileSync(join(spec, "vectors", name), JSON.stringify(file));
    const { isOk, output } = await runCommand(spec, "python3", [join("vectors", "check.py")]);
    assert.equal(isOk, false, name);
    assert.match(output, new RegExp(`^${name}: ${first(file).name}`));
  }
});
