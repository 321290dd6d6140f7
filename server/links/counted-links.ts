import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import type { AcceptedLink, LinkAcceptor, LinkHandler } from "../../protocol/link.ts";
import { type Violation, violation } from "../../protocol/violation.ts";
import { PeerCounts } from "./peer-counts.ts";

export interface LinkBounds {
  readonly linksMax: number;
  readonly linksPerPeerMax: number;
  /** Counts one more link of an address; whether it had too many in a short time. [LIM-11] */
  readonly isTooOften: (peer: string) => boolean;
  /** Whether the node takes no more links. */
  readonly isDraining: () => boolean;
  readonly changed: (count: number) => void;
}

/** Counts the links of a node, whatever is on them; refuses what is beyond its bounds. [LNK-11] */
export function countedLinks(bounds: LinkBounds, accept: LinkAcceptor): LinkAcceptor {
  const peers = new PeerCounts(bounds.linksPerPeerMax);
  let count = 0;
  const change = (by: number) => {
    count += by;
    bounds.changed(count);
  };
  return (link) => {
    if (bounds.isDraining()) return refuse(link, violation(ErrorCode.DRAINED, "", ""));
    if (count >= bounds.linksMax || !peers.enter(link.peer)) {
      return refuse(link, violation(ErrorCode.TOO_MANY_LINKS, "", ""));
    }
    if (bounds.isTooOften(link.peer)) {
      peers.leave(link.peer);
      return refuse(link, violation(ErrorCode.TOO_MANY_ATTEMPTS, "", ""));
    }
    change(1);
    const handler = accept(link);
    return {
      received: (bytes) => handler.received(bytes),
      drained: () => handler.drained(),
      closed: (code, detail) => {
        change(-1);
        peers.leave(link.peer);
        handler.closed(code, detail);
      },
    };
  };
}

/** Says why in a frame, and ends. */
export function refuse(link: AcceptedLink, { code, requirement, detail }: Violation): LinkHandler {
  link.write(encodeFrame({ kind: "close", value: { code, detail, requirement } }));
  setImmediate(() => link.close(code));
  return { received: () => {}, drained: () => {}, closed: () => {} };
}
