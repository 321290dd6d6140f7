import type { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import type { SendResult } from "../results.ts";
import type { PeerTrust } from "./known-peers.ts";

/** Where a secure chat stands. */
export type SecureChatState =
  /** The other device's keys are being asked for. */
  | "asking"
  /** Our offer waits for the other device. */
  | "offered"
  /** We have agreed to an offer, and wait for its confirm. */
  | "accepted"
  /** Both devices have the same keys: messages go. */
  | "confirmed"
  /** The same, and the people have compared their safety number. */
  | "verified"
  /** Over: its keys are erased on this device. */
  | "closed";

/** What a chat asks of what drives it. */
export interface SecureChatDriver {
  send(chat: SecureChat, content: SecureSaying): Promise<SendResult>;
  close(chat: SecureChat): Promise<void>;
}

/** What is said, and for how long. */
export interface SecureSaying {
  /** Text, or bytes of the application's own meaning. Not empty. */
  readonly content: string | Uint8Array;
  /** Seconds after being read until the other side forgets it. 0: it does not. */
  readonly lifetimeS: number;
}

/** Where a chat is, and why. */
export interface SecureChatChange {
  readonly state: SecureChatState;
  readonly trust: PeerTrust | undefined;
  /** Why it is closed. */
  readonly code: ErrorCode | undefined;
}

/** A secure chat with one device, from the asking to the end. */
export class SecureChat {
  /** 16 bytes. */
  readonly sessionId: Uint8Array;
  readonly peer: DeviceAddress;
  /** Whether this device asked. */
  readonly isOurs: boolean;
  readonly #driver: SecureChatDriver;
  #change: SecureChatChange = { state: "asking", trust: undefined, code: undefined };
  readonly #waiting = new Set<() => void>();

  constructor(
    driver: SecureChatDriver,
    of: Pick<SecureChat, "sessionId" | "peer" | "isOurs"> & { readonly state: SecureChatState },
  ) {
    this.#driver = driver;
    this.sessionId = of.sessionId;
    this.peer = of.peer;
    this.isOurs = of.isOurs;
    this.#change = { ...this.#change, state: of.state };
  }

  get state(): SecureChatState {
    return this.#change.state;
  }

  /** How far the other user's account is known; undefined before its directory was read. */
  get trust(): PeerTrust | undefined {
    return this.#change.trust;
  }

  /** Why it is closed; GOODBYE: somebody closed it. */
  get code(): ErrorCode | undefined {
    return this.#change.code;
  }

  get isOpen(): boolean {
    return this.state === "confirmed" || this.state === "verified";
  }

  /** Resolves once messages may go, or once the chat is closed; look at `state`. */
  async settled(): Promise<void> {
    while (!this.isOpen && this.state !== "closed") {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /**
   * Seals a message and sends it.
   *
   * @returns when it is durable at the service, which keeps it until the other device has it, but
   *   no longer than the session may live
   * @throws RefusedError SECURE_NOT_OPEN in another state, MESSAGE_TOO_LARGE, or the service's code
   */
  send(
    content: string | Uint8Array,
    { lifetimeS = 0 }: { readonly lifetimeS?: number } = {},
  ): Promise<SendResult> {
    return this.#driver.send(this, { content, lifetimeS });
  }

  /** Ends the chat on both devices. What was sealed in it can be opened by nobody from then on. */
  close(): Promise<void> {
    return this.#driver.close(this);
  }

  /** For what drives it. */
  changed(change: Partial<SecureChatChange>): void {
    this.#change = { ...this.#change, ...change };
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
