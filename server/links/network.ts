import { isIPv6 } from "node:net";

/** Of IPv6, what one subscriber has at least (RFC 6177): its first four groups. */
const NETWORK_GROUPS = 4;
const GROUPS = 8;

/**
 * Who counts as one where addresses are counted: an IPv4 address, also within IPv6, and the first
 * 64 bits of an IPv6 address, as whoever has one has all others behind them. [ENV-54] [LNK-11]
 *
 * @param peer as sockets name it
 */
export function networkOf(peer: string): string {
  const [address = ""] = peer.split("%");
  if (!isIPv6(address)) return peer;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [before = "", after] = address.split("::");
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  const zeros = new Array<string>(Math.max(0, GROUPS - head.length - tail.length)).fill("0");
  const groups = [...head, ...zeros, ...tail].slice(0, NETWORK_GROUPS);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

/** An IPv4 address at the end stands for two groups. */
function groupsOf(text: string): string[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => (group.includes(".") ? ["0", "0"] : [group]));
}
