import { flipped } from "../envelope/lies.ts";
import { ascii, big, join, lv8 } from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import { accountFingerprint, signer, type VectorSigner } from "./identity-builder.ts";
import { sha512 } from "./schedule.ts";

interface Person {
  readonly user_id: string;
  readonly keys: VectorSigner;
}

const ALICE: Person = { user_id: "alice", keys: signer("account of alice") };
const BOB: Person = { user_id: "bob", keys: signer("account of bob") };
const MALLORY: Person = { user_id: "bob", keys: signer("account of mallory") };

function shown({ user_id, keys: { ed25519, ml_dsa_65 } }: Person) {
  return { user_id, ed25519, ml_dsa_65 };
}

/** [SEC-12] */
function groupsOf({ user_id, keys }: Person, rounds = 5200): string {
  const both = join(keys.ed25519, keys.ml_dsa_65);
  let hash = sha512(join(big(1, 2), both, ascii(user_id), both));
  for (let round = 1; round < rounds; round += 1) hash = sha512(join(hash, both));
  return [0, 5, 10, 15, 20, 25]
    .map((at) => BigInt(`0x${Buffer.from(hash.subarray(at, at + 5)).toString("hex")}`) % 100_000n)
    .map((group) => `${group}`.padStart(5, "0"))
    .join(" ");
}

function numberOf(a: Person, b: Person): string {
  return [groupsOf(a), groupsOf(b)].sort().join(" ");
}

function number(name: string, description: string, [own, peer]: readonly [Person, Person]) {
  const members = { own: shown(own), peer: shown(peer), digits: numberOf(own, peer) };
  return secureCase(["SEC-12", `safety-${name}`, description], "safety-number", members);
}

function noNumber(name: string, description: string, digits: string): SecureCase {
  const members = { own: shown(ALICE), peer: shown(BOB), digits };
  return secureCase(["SEC-12", `safety-${name}`, description], "safety-number", members, "MISTAKE");
}

/** [SEC-13] */
function codeOf(own: Person, peer: Person): Uint8Array {
  const side = ({ user_id, keys }: Person) => join(lv8(ascii(user_id)), accountFingerprint(keys));
  return join(big(1, 1), side(own), side(peer));
}

type Verdict = "same" | "different" | "other-people" | "unreadable";

/** What Alice's device says of a code that it has scanned. */
function scanned(
  name: string,
  description: string,
  [code, verdict]: readonly [Uint8Array, Verdict],
) {
  const shows = codeOf(ALICE, BOB);
  const members = { own: shown(ALICE), peer: shown(BOB), shows, scanned: code, verdict };
  return secureCase(["SEC-13", `code-${name}`, description], "safety-code", members);
}

const CODE = codeOf(BOB, ALICE);

export const COMPARING: readonly SecureCase[] = [
  number("alice-bob", "Two accounts.", [ALICE, BOB]),
  number("bob-alice", "The same two, seen from the other side: the same digits.", [BOB, ALICE]),
  number("alice-mallory", "Another key for the same user: other digits.", [ALICE, MALLORY]),
  number("alice-herself", "One's own second device.", [ALICE, ALICE]),
  noNumber(
    "unsorted",
    "The larger side first.",
    [groupsOf(ALICE), groupsOf(BOB)].sort().reverse().join(" "),
  ),
  noNumber(
    "rounds",
    "One hash less.",
    [groupsOf(ALICE, 5199), groupsOf(BOB, 5199)].sort().join(" "),
  ),
  noNumber("joined", "No spaces.", numberOf(ALICE, BOB).replaceAll(" ", "")),
  scanned("same", "Both have the same keys.", [CODE, "same"]),
  scanned("other-key-of-peer", "Bob's device shows another key of his.", [
    codeOf(MALLORY, ALICE),
    "different",
  ]),
  scanned("other-own-key", "Bob's device believes in another key of Alice's.", [
    codeOf(BOB, { ...ALICE, keys: MALLORY.keys }),
    "different",
  ]),
  scanned("mirrored", "One's own code.", [codeOf(ALICE, BOB), "other-people"]),
  scanned("other-chat", "Bob's chat with somebody else.", [
    codeOf(BOB, { ...MALLORY, user_id: "carol" }),
    "other-people",
  ]),
  scanned("version-2", "Another version.", [join(big(2, 1), CODE.subarray(1)), "unreadable"]),
  scanned("cut", "Its last byte is missing.", [CODE.subarray(0, -1), "unreadable"]),
  scanned("longer", "One byte more.", [join(CODE, big(0, 1)), "unreadable"]),
  scanned("name-length", "A name that is longer than the code.", [
    flipped(-33 - 5)(CODE).fill(255, 1, 2),
    "unreadable",
  ]),
  scanned("empty", "Nothing.", [new Uint8Array(0), "unreadable"]),
];
