import type { Drain, Welcome } from "../../gen/posthorn/v1/session_pb.ts";
import type { Plain } from "../plain.ts";
import type { Violation } from "../violation.ts";
import type { CallAnswer } from "./calls.ts";
import type { Arrival } from "./delivery-inbox.ts";
import type { Hint } from "./hint-queue.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { TimelineCursor } from "./resume.ts";
import type { Settlement } from "./settlement.ts";

/** What the journal holds: a device's whole state between lives. */
export interface DeviceState {
  readonly outboxEpoch: number;
  readonly resultsThrough: number;
  readonly next: number;
  readonly pending: readonly { readonly seq: number; readonly operation: Uint8Array }[];
  readonly cursor: TimelineCursor;
}

export type WelcomePlain = Plain<Welcome>;

/** What the driver has to do, in order. Journal effects are confirmed one by one, in order. */
export type ClientEffect =
  /** Make the submit durable, then call `appended`. */
  | { readonly kind: "append"; readonly entry: OutboxEntry }
  /** Make the whole state durable at once, tell the application, then call `installed`. */
  | {
      readonly kind: "install";
      readonly state: DeviceState;
      readonly welcome: WelcomePlain;
      readonly settlements: readonly Settlement[];
      /** The cursor moved: forget deliveries that the application has not handled. [RES-6] */
      readonly cursorMoved: boolean;
    }
  /** Ready is sent: the session is open. */
  | { readonly kind: "opened" }
  /**
   * Hand these to the application; call `handled` when it has handled them, `applied` when that is
   * durable.
   */
  | Arrival
  /** Make the results durable, tell the application, then call `settled`. */
  | {
      readonly kind: "settle";
      readonly resultsThrough: number;
      readonly settlements: readonly Settlement[];
    }
  /** Tell who asked. */
  | { readonly kind: "answer"; readonly answer: CallAnswer }
  /** Tell the application: nothing of it is kept, and nothing acknowledged. [SIG-2] */
  | { readonly kind: "hints"; readonly hints: readonly Hint[] }
  | { readonly kind: "write"; readonly bytes: Uint8Array }
  | { readonly kind: "drain"; readonly notice: Plain<Drain> }
  /** The link is to be closed; `by` says who said so. */
  | { readonly kind: "close"; readonly because: Violation; readonly by: "us" | "peer" };
