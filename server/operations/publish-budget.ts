import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { type UserRef, userRefOf } from "../store/store.ts";
import type { DecodedOperation, Sender } from "./plan.ts";

/** How many certificates of one user are judged at once, and how soon one more. [SEC-100] */
const PUBLISH_COUNT_MAX = 20;
const PUBLISH_EVERY_MS = 10_000;
/** Users of whom something is known, before those who have all of theirs again are forgotten. */
const USERS_MAX = 10_000;

/**
 * Judging a certificate takes milliseconds, in which nobody else is served, and what it changes is
 * told to hundreds. So each user has so many; revoking costs none, and is never refused for it.
 */
export class PublishBudget {
  /** When a user has all of its budget again. */
  readonly #fullMs = new Map<UserRef, number>();

  /** The operations, with a refusal in the place of each that there is no budget for. */
  judge(
    decoded: readonly DecodedOperation[],
    sender: Sender,
    nowMs: number,
  ): readonly DecodedOperation[] {
    return decoded.map((item) => {
      if (item.kind === "refuse" || item.operation.case !== "publishDevice") return item;
      if (this.#take(userRefOf(sender.tenant, sender.userId), nowMs)) return item;
      return { kind: "refuse", code: ErrorCode.DIRECTORY_BUSY };
    });
  }

  #take(user: UserRef, nowMs: number): boolean {
    const fullMs = Math.max(this.#fullMs.get(user) ?? 0, nowMs) + PUBLISH_EVERY_MS;
    if (fullMs > nowMs + PUBLISH_COUNT_MAX * PUBLISH_EVERY_MS) return false;
    // In the order of their use: who used it last is forgotten last.
    this.#fullMs.delete(user);
    this.#fullMs.set(user, fullMs);
    this.#forget(nowMs);
    return true;
  }

  #forget(nowMs: number): void {
    for (const [user, fullMs] of this.#fullMs) {
      if (this.#fullMs.size <= USERS_MAX || fullMs > nowMs) return;
      this.#fullMs.delete(user);
    }
  }
}
