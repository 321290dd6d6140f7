import { deepEqual, equal, ok } from "node:assert/strict";
import { Choices } from "../coverage/choices.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { ChatNet, type ChatNode, toldOf } from "../secure/chat-net.ts";
import { packetOf } from "./secure-packet.ts";

const STEPS_MAX = 6;
const FROM = [
  { userId: "alice", deviceId: "phone" },
  { userId: "bob", deviceId: "phone" },
  { userId: "nobody", deviceId: "x" },
] as const;

/** Two devices whose handshake has come so far. */
function between(steps: number): { net: ChatNet; nodes: readonly [ChatNode, ChatNode] } {
  const net = new ChatNet();
  const nodes = [net.add("alice", "phone"), net.add("bob", "phone")] as const;
  const id = net.offer(nodes[0], nodes[1]);
  for (let step = 0; step < steps; step += 1) {
    const packet = net.packets.shift();
    if (packet !== undefined) net.arrive(packet);
    if (step > 2) net.say(nodes[step % 2] as ChatNode, id, `${step}`);
  }
  return { net, nodes };
}

/**
 * Whatever bytes come to a device, in either role and at any point of a chat: nothing throws, and
 * what is refused changes nothing and is answered to nobody. [SEC-26] [SEC-33] [SEC-52]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const { net, nodes } = between(choices.byte() % STEPS_MAX);
  const node = choices.pick(nodes);
  const from = choices.pick(FROM);
  const states = () => nodes.map(({ chats, told }) => [chats.deadlineMs(), told.length]);
  const before = states();
  const known = net.log.map(({ bytes }) => bytes);
  const packet = packetOf(choices, known);
  const told = node.told.length;
  const [sent, open] = [net.log.length, toldOf(node, "open").length];
  net.arrive({ from, to: node.own, bytes: packet });
  const effects = node.told.slice(told);
  const isHonest = known.some((bytes) => hex(bytes) === hex(packet));
  if (isHonest) return;
  equal(net.log.length, sent, "nothing is answered");
  equal(toldOf(node, "open").length, open, "nothing opens");
  const kinds = effects.map(({ kind }) => kind).filter((kind) => kind !== "look-up");
  deepEqual(kinds, ["refused"]);
  const [mine] = before[nodes.indexOf(node)] as [number];
  ok(node.chats.deadlineMs() === mine, "and nothing is due that was not");
}
