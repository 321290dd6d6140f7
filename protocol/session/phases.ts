import type { FramePhase } from "../../gen/posthorn/v1/frame_rules.ts";
import { assert } from "../violation.ts";

/**
 * Where a device's session stands. "installing": Welcome is with the journal. A machine moves only
 * by these tables, which also print the state diagrams of the specification.
 */
export type ClientPhase = "detached" | "opening" | "installing" | "open";

/**
 * Where an attachment stands. "preparing": Hello is with authentication and the store; "joining":
 * Welcome is out; "attaching": Ready is with the store.
 */
export type ServerPhase = "opening" | "preparing" | "joining" | "attaching" | "open" | "closed";

export type ClientFact = "linked" | "welcomed" | "installed" | "ended";
export type ServerFact = "helloed" | "prepared" | "readied" | "attached" | "ended";

/** What happened, and from which phase to which it then leads; from any other it is a defect. */
type Transitions<Phase extends string, Fact extends string> = Readonly<
  Record<Fact, Readonly<Partial<Record<Phase, Phase>>>>
>;

/** The device's half. "ended": the link died, or either side closed it. */
export const CLIENT_TRANSITIONS: Transitions<ClientPhase, ClientFact> = {
  linked: { detached: "opening" },
  welcomed: { opening: "installing" },
  installed: { installing: "open" },
  ended: { opening: "detached", installing: "detached", open: "detached" },
};

/** What a phase of the device's half is to the frame rules. [FRM-8] */
export const CLIENT_FRAME_PHASES: Readonly<Record<ClientPhase, FramePhase>> = {
  detached: "opening",
  opening: "opening",
  installing: "joining",
  open: "open",
};

/** The service's half of one link. It ends with the link; what outlives it is in the store. */
export const SERVER_TRANSITIONS: Transitions<ServerPhase, ServerFact> = {
  helloed: { opening: "preparing" },
  prepared: { preparing: "joining" },
  readied: { joining: "attaching" },
  attached: { attaching: "open" },
  ended: {
    opening: "closed",
    preparing: "closed",
    joining: "closed",
    attaching: "closed",
    open: "closed",
  },
};

/** The phase that a fact leads to. @throws Defect when the table has no such transition */
export function after<Phase extends string, Fact extends string>(
  transitions: Transitions<Phase, Fact>,
  phase: Phase,
  fact: Fact,
): Phase {
  const next = transitions[fact][phase];
  assert(next !== undefined, `${fact} while ${phase}`);
  return next;
}
