import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { BucketTable } from "../../protocol/bucket-table.ts";
import { userRefOf } from "../store/store.ts";
import type { DecodedOperation, Sender } from "./plan.ts";

/** How many certificates of one user are judged at once, and how soon one more. [SEC-100] */
const PUBLISHING = { atOnce: 20, refill: 1, periodMs: 10_000 };
/** Users of whom something is known. */
const USERS_MAX = 10_000;

/**
 * Judging a certificate takes milliseconds, in which nobody else is served, and what it changes is
 * told to hundreds. So each user has so many; revoking costs none, and is never refused for it.
 */
export class PublishBudget {
  readonly #users = new BucketTable(PUBLISHING, USERS_MAX);

  /** The operations, with a refusal in the place of each that there is no budget for. */
  judge(
    decoded: readonly DecodedOperation[],
    sender: Sender,
    nowMs: number,
  ): readonly DecodedOperation[] {
    const user = userRefOf(sender.tenant, sender.userId);
    return decoded.map((item) => {
      if (item.kind === "refuse" || item.operation.case !== "publishDevice") return item;
      const retryAfterMs = this.#users.take(user, 1, nowMs);
      if (retryAfterMs === 0) return item;
      return { kind: "refuse", code: ErrorCode.DIRECTORY_BUSY, retryAfterMs };
    });
  }
}
