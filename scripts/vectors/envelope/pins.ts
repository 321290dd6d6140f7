import { type EnvelopeCase, envelopeCase } from "./cases.ts";
import { drawn, ed25519Public, mlDsa65Public, NOTHING, th } from "./primitives.ts";

const ED = ed25519Public(drawn("identity ed25519", 32));
const ML = mlDsa65Public(drawn("identity ml-dsa-65", 32));
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** RFC 4648 §6 in lower case, without padding. [ENV-28] */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => ALPHABET[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}

function pin(name: string, description: string, mlDsa65: Uint8Array): EnvelopeCase {
  const server_id = th("phorn-pin-1", ED, mlDsa65);
  const members = { ed25519: ED, ml_dsa_65: mlDsa65, server_id, text: base32(server_id) };
  return envelopeCase(["ENV-27 ENV-28", `pin-${name}`, description], "pin", members);
}

const ID = th("phorn-pin-1", ED, NOTHING);
const TEXT = base32(ID);

const read = (name: string, description: string, text: string, server_id = ID) =>
  envelopeCase(["ENV-28", `pin-text-${name}`, description], "pin-text", { text, server_id });
const refused = (name: string, description: string, text: string) =>
  envelopeCase(["ENV-28", `pin-text-${name}`, description], "pin-text", { text }, "parse");

export const PINS: readonly EnvelopeCase[] = [
  pin("ed25519", "An identity of one key.", NOTHING),
  pin("both", "An identity of two keys.", ML),
  read("lower", "As it is written.", TEXT),
  read("upper", "In upper case.", TEXT.toUpperCase()),
  read("grouped", "In groups with spaces.", (TEXT.match(/.{1,4}/g) ?? []).join(" ")),
  read("hyphens", "In groups with hyphens.", (TEXT.match(/.{1,13}/g) ?? []).join("-")),
  read("zeros", "32 zeros.", "a".repeat(52), new Uint8Array(32)),
  read("ones", "256 ones.", `${"7".repeat(51)}q`, new Uint8Array(32).fill(255)),
  refused("empty", "No letters.", ""),
  refused("short", "51 letters.", TEXT.slice(0, -1)),
  refused("long", "53 letters.", `${TEXT}a`),
  refused("padded", "With the padding of RFC 4648.", `${TEXT}====`),
  refused("bits-beyond", "A bit beyond the 256.", `${"7".repeat(51)}r`),
  refused("all-bits-beyond", "Four bits beyond the 256.", `${"a".repeat(51)}p`),
  refused("letter-1", "A letter that base32 does not have.", `1${TEXT.slice(1)}`),
  refused("hex", "Hexadecimal.", "0".repeat(52)),
];
