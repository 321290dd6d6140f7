import { readServerHello, type ServerCore } from "../../protocol/envelope/hello.ts";
import type { DialledLink } from "../../protocol/link.ts";
import type { Scene } from "./scene.ts";

/** A link of the attacker's own to the service. */
export interface OwnLink {
  readonly link: DialledLink;
  /** Of the records that came, and 0 for the end. */
  types(): number[];
  /** The first record, which has to be a ServerHello. */
  hello(): ServerCore;
}

/** Dials the service past the relay. */
export async function ownLink(scene: Scene): Promise<OwnLink> {
  const link = await scene.relay.service.dial(new AbortController().signal);
  const chunks: Uint8Array[] = [];
  let isClosed = false;
  link.start({
    received: (bytes) => void chunks.push(bytes),
    drained: () => {},
    closed: () => {
      isClosed = true;
    },
  });
  const types = () => {
    const all = Buffer.concat(chunks);
    const found: number[] = [];
    for (let at = 0; at < all.length; at += 16 + all.readUInt32BE(at + 12)) {
      found.push(all[at] as number);
    }
    return isClosed ? [...found, 0] : found;
  };
  const hello = () => {
    const all = Buffer.concat(chunks);
    const answer = readServerHello(all.subarray(16, 16 + all.readUInt32BE(12)));
    if ("code" in answer) throw new Error(answer.detail);
    return answer.core;
  };
  return { link, types, hello };
}
