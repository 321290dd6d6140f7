import type { Hint } from "../../protocol/session/hint-queue.ts";
import type { Sender } from "../operations/plan.ts";
import { type UserRef, userRefOf } from "../store/store.ts";

/** A live session of this node, as signals see it. */
export interface SignalMember {
  /** Whose it is: authenticated. */
  readonly sender: Sender;
  /** What its device may want to know. */
  hinted(hints: readonly Hint[]): void;
}

/** Who is attached to this node. */
export class Attendance {
  readonly #members = new Map<UserRef, Set<SignalMember>>();

  get userCount(): number {
    return this.#members.size;
  }

  join(member: SignalMember): void {
    const user = userOf(member);
    const others = this.#members.get(user);
    if (others === undefined) this.#members.set(user, new Set([member]));
    else others.add(member);
  }

  leave(member: SignalMember): void {
    const user = userOf(member);
    const others = this.#members.get(user);
    others?.delete(member);
    if (others?.size === 0) this.#members.delete(user);
  }

  of(user: UserRef): Iterable<SignalMember> {
    return this.#members.get(user) ?? [];
  }
}

export function userOf({ sender }: SignalMember): UserRef {
  return userRefOf(sender.tenant, sender.userId);
}
