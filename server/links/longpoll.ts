import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type CloseResponse,
  CloseResponseSchema,
  type OpenRequest,
  type OpenResponse,
  OpenResponseSchema,
  type PollRequest,
  type PollResponse,
  PollResponseSchema,
  type SendRequest,
  type SendResponse,
  SendResponseSchema,
} from "../../gen/posthorn/v1/longpoll_pb.ts";
import type { LinkAcceptor } from "../../protocol/link.ts";
import { type Violation, violation } from "../../protocol/violation.ts";
import { type Deadlines, type LongPollLimits, LongPollLink } from "./longpoll-link.ts";
import { PeerCounts } from "./peer-counts.ts";

const LINK_ID_BYTES = 16;

/** A request that cannot be granted; both wire forms answer it alike. */
export class LongPollRefusal extends Error {
  override readonly name = "LongPollRefusal";
  readonly violation: Violation;
  constructor(cause: Violation) {
    super(cause.detail);
    this.violation = cause;
  }
}

/**
 * LongPollService without its wire: what each method does, whichever way it was called. [LNK-7] to
 * [LNK-13]
 */
export class LongPollLinks {
  readonly #links = new Map<string, LongPollLink>();
  readonly #peers: PeerCounts;
  readonly #limits: LongPollLimits;
  readonly #deadlines: Deadlines;
  readonly #accept: LinkAcceptor;

  constructor(limits: LongPollLimits, deadlines: Deadlines, accept: LinkAcceptor) {
    this.#limits = limits;
    this.#peers = new PeerCounts(limits.linksPerPeerMax);
    this.#deadlines = deadlines;
    this.#accept = accept;
  }

  get limits(): LongPollLimits {
    return this.#limits;
  }

  get count(): number {
    return this.#links.size;
  }

  open(request: OpenRequest, peer: string): OpenResponse {
    if (this.#links.size >= this.#limits.linksMax) {
      throw refusal(ErrorCode.TOO_MANY_LINKS, "LNK-11", "the node is at its limit of links");
    }
    // What ended stays until it has been polled or idles out: it takes a place of its own peer's.
    if (!this.#peers.enter(peer)) {
      throw refusal(ErrorCode.TOO_MANY_LINKS, "LNK-11", "the address is at its limit of links");
    }
    const linkId = randomBytes(LINK_ID_BYTES);
    const name = linkId.toString("hex");
    const { holdMs, coalesceMs, pollBytesMax } = request;
    const asked = { peer, holdMs, coalesceMs, pollBytesMax };
    const forget = () => {
      if (this.#links.delete(name)) this.#peers.leave(peer);
    };
    const link = new LongPollLink(asked, this.#limits, this.#deadlines, forget);
    this.#links.set(name, link);
    link.start(this.#accept(link));
    return create(OpenResponseSchema, {
      linkId,
      holdMs: link.holdMs,
      coalesceMs: link.coalesceMs,
      pollBytesMax: link.pollBytesMax,
      sendBytesMax: this.#limits.sendBytesMax,
      idleMs: this.#limits.idleMs,
    });
  }

  send(request: SendRequest): SendResponse {
    const outcome = this.#find(request.linkId).sent(offsetOf(request.offset), request.data);
    if (typeof outcome !== "number") throw new LongPollRefusal(outcome);
    return create(SendResponseSchema, { receivedOffset: BigInt(outcome) });
  }

  /**
   * @param aborted the caller went away: its poll no longer hangs, and nothing is lost. [LNK-12]
   */
  poll(request: PollRequest, aborted: AbortSignal): Promise<PollResponse> {
    const link = this.#find(request.linkId);
    return new Promise((resolve, reject) => {
      const cancel = link.polled(offsetOf(request.receivedOffset), (outcome) => {
        if ("code" in outcome) return reject(new LongPollRefusal(outcome));
        const { offset, data, ended } = outcome;
        resolve(create(PollResponseSchema, { offset: BigInt(offset), data, ended }));
      });
      aborted.addEventListener("abort", cancel, { once: true });
    });
  }

  close(linkId: Uint8Array): CloseResponse {
    this.#links.get(Buffer.from(linkId).toString("hex"))?.ended(ErrorCode.GOODBYE);
    return create(CloseResponseSchema);
  }

  /** Ends all links. */
  closeAll(): void {
    for (const link of [...this.#links.values()]) link.ended(ErrorCode.DRAINED);
  }

  #find(linkId: Uint8Array): LongPollLink {
    const link = this.#links.get(Buffer.from(linkId).toString("hex"));
    if (link === undefined) {
      throw refusal(ErrorCode.LINK_UNKNOWN, "LNK-11", "never opened, closed or expired");
    }
    return link;
  }
}

/** Above 2^53-1 the pipe itself refuses: the conversion need not be exact there. */
function offsetOf(offset: bigint): number {
  return Number(offset);
}

function refusal(code: ErrorCode, requirement: string, detail: string): LongPollRefusal {
  return new LongPollRefusal(violation(code, requirement, detail));
}
