import { type ReadPacket, readPacket } from "../../protocol/secure/handshake.ts";
import { assert } from "../../protocol/violation.ts";
import { hex } from "../envelope/watched-crypto.ts";
import type { ChatNet, ChatNode, Packet } from "./chat-net.ts";

export function kindOf(packet: Uint8Array): ReadPacket["kind"] | "none" {
  const read = readPacket(packet);
  return "code" in read ? "none" : read.kind;
}

/** Brings a packet, and says what came of it, on this device alone. */
export function arrived(net: ChatNet, packet: Packet) {
  const node = net.nodes.get(`${packet.to.userId}/${packet.to.deviceId}`);
  if (node === undefined) return { node, effects: [], isTaken: false };
  const before = node.told.length;
  net.arrive(packet);
  const effects = node.told.slice(before);
  return { node, effects, isTaken: !effects.some(({ kind }) => kind === "refused") };
}

/** Contents go and come while a session is open, not earlier and not later. [SEC-24] */
export function judgeOrder({ told, own }: ChatNode): void {
  const states = new Map<string, "half" | "open" | "closed">();
  for (const effect of told) {
    if (effect.kind === "look-up" || effect.kind === "refused") continue;
    const id = hex(effect.sessionId);
    const state = states.get(id);
    switch (effect.kind) {
      case "offered":
      case "accepted":
        assert(state === undefined, `${own.deviceId}: a session begins once [SEC-28]`);
        states.set(id, "half");
        break;
      case "open":
        assert(state === "half", `${own.deviceId}: opens once, out of a handshake [SEC-30]`);
        states.set(id, "open");
        break;
      case "closed":
        assert(state !== "closed", `${own.deviceId}: ends once`);
        states.set(id, "closed");
        break;
      case "deliver":
        assert(state === "open", `${own.deviceId}: nothing comes before a session [SEC-24]`);
        break;
      case "send": {
        // The close goes before the end is told, and the confirm before the beginning.
        const kind = kindOf(effect.packet);
        const isOpen = state === "open";
        assert((kind === "message") === isOpen, `${own.deviceId}: ${kind} while ${state} [SEC-24]`);
      }
    }
  }
}
