import type { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { WINDOW_BYTES_DEFAULT, WINDOW_COUNT_DEFAULT } from "../protocol/limits.ts";
import type { LinkKind, LinkTrust } from "../protocol/link.ts";
import type { ClientSessionOptions } from "../protocol/session/client.ts";
import type { FlowWindow } from "../protocol/session/flow.ts";
import type { LinkTimers } from "../protocol/session/timers.ts";
import type { BackoffLimits } from "./backoff.ts";
import type { DeviceLogin } from "./device-login.ts";
import type { Dialer } from "./dialer.ts";
import type { Journal } from "./journal.ts";
import type { Verdicts } from "./race.ts";

export interface ClientOptions {
  /** Where and how to reach the service, in order of preference. */
  readonly dialers: readonly Dialer[];
  readonly deviceId: string;
  /**
   * The credential, or how to get a fresh one for each attach. Empty where the service runs open.
   * It leaves on TLS, on clear links within this machine and on such as are sealed to a pinned
   * service; LINK_NOT_TRUSTED otherwise, unless there is a login. [ENV-32]
   */
  readonly token?: string | (() => string | Promise<string>);
  /**
   * How the device logs in on other sealed links, once it has been on one where its token may
   * leave. From then on it attaches nowhere with neither. [ENV-57] [ENV-74]
   */
  readonly login?: DeviceLogin;
  /** Who the user is, where the service runs without authentication. */
  readonly userId?: string;
  /** The device's durable outbox and cursor. */
  readonly journal: Journal;
  /** Where a device without a cursor begins; "earliest" unless said otherwise. */
  readonly start?: "earliest" | "latest";
  /** How many deliveries the application may leave unhandled. */
  readonly deliveryWindow?: FlowWindow;
  /**
   * While more events than this are missing, the service may tell the numbers of messages without
   * what they say: the application is handed {@link IndexedEvent}s, and asks for what it shows. It
   * is not unless this is set.
   */
  readonly indexAbove?: number;
  readonly timers?: LinkTimers;
  readonly backoff?: BackoffLimits;
  /** From a link's opening to Welcome. */
  readonly handshakeMs?: number;
  /** Name and version of the program, for the service's logs. */
  readonly agent?: string;
  readonly verdicts?: Verdicts;
  /** How often a better transport than the one in use is tried. 0: never. */
  readonly upgradeMs?: number;
}

/** Where a client stands; what a status line shows. */
export interface ClientStatus {
  readonly state: "connecting" | "open" | "waiting" | "closed";
  /** The transport in use, or undefined. */
  readonly link: LinkKind | undefined;
  /** How far it may be trusted when it is sealed by the envelope. [ENV-32] */
  readonly trust: LinkTrust | undefined;
  readonly roundTripMs: number | undefined;
  readonly unsettledCount: number;
  /** The authenticated user, once known. */
  readonly userId: string | undefined;
  /** The last error, until the session is open again. */
  readonly error: ErrorCode | undefined;
}

const HANDSHAKE_MS = 10_000;

/** The credential for one attach. @throws what the application's function throws */
export async function tokenOf({ token = "" }: ClientOptions): Promise<string> {
  return typeof token === "string" ? token : await token();
}

/** What the session machine is to know of the options. */
export function sessionOptions(options: ClientOptions): ClientSessionOptions {
  const { deviceId, userId = "", agent = "", start = "earliest" } = options;
  const window = { count: WINDOW_COUNT_DEFAULT, bytes: WINDOW_BYTES_DEFAULT };
  const timers = options.timers ?? { keepaliveMs: 0, idleMs: 0, ageMs: 0 };
  const deliveryWindow = options.deliveryWindow ?? window;
  const handshakeMs = options.handshakeMs ?? HANDSHAKE_MS;
  const { indexAbove } = options;
  return { deviceId, userId, agent, start, deliveryWindow, indexAbove, timers, handshakeMs };
}
