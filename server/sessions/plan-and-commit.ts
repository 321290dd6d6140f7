import type { OperationBudget } from "../operations/operation-budget.ts";
import {
  type DecodedOperation,
  type OperationRules,
  planOperations,
  readsOf,
  type Sender,
} from "../operations/plan.ts";
import type { PublishBudget } from "../operations/publish-budget.ts";
import type { SignalBoard } from "../signals/board.ts";
import type { Plan } from "../store/plans.ts";
import type {
  CommitOutcome,
  PlannedSubmit,
  PlanningState,
  Store,
  SubmitBatch,
} from "../store/store.ts";
import type { Hub } from "./hub.ts";

/**
 * A plan's precondition fails when somebody changed a document between reading and committing. A
 * store that plans anew within the commit needs one attempt, however much others commit. [CNV-88]
 */
export const PLANNING_ATTEMPTS_MAX = 32;

export interface CommitContext {
  readonly store: Pick<Store, "loadForPlanning" | "commit">;
  readonly publishing: PublishBudget;
  /** What users may submit in a time. Undefined: without limit. [LIM-4] */
  readonly budget?: Pick<OperationBudget, "judge"> | undefined;
  /** Whom to tell what is told in passing. */
  readonly signals: Pick<SignalBoard, "committed">;
  readonly rules: OperationRules;
  readonly nowMs: number;
}

/** Operations of one stream, contiguous and in order. */
export interface PlannedBatch {
  /** As whom they are done. */
  readonly sender: Sender;
  /** Whose numbers they have. */
  readonly position: Pick<SubmitBatch, "device" | "generation" | "outboxEpoch">;
  readonly submits: readonly DecodedSubmit[];
}

export interface DecodedSubmit {
  readonly seq: number;
  /** Of the bytes that a repeat has to have too. [SEQ-5] */
  readonly digest: number;
  /** How many bytes those are. */
  readonly bytes: number;
  readonly decoded: DecodedOperation;
}

/** What a batch came to, and what was last planned of it. */
export interface Planned {
  readonly outcome: CommitOutcome;
  readonly planned: readonly PlannedSubmit[];
}

/**
 * Has operations done, or refused, once: plans them on what is so now, and again when something
 * that a plan relied on was changed before the commit. The one way from an operation to the store,
 * whoever submits.
 */
export async function planAndCommit(
  { store, publishing, budget, signals, rules, nowMs }: CommitContext,
  { sender, position, submits }: PlannedBatch,
): Promise<Planned> {
  const named = submits.map(({ decoded }) => decoded);
  const sizes = submits.map(({ bytes }) => bytes);
  const afforded = budget?.judge(named, sizes, sender, nowMs) ?? named;
  const judged = publishing.judge(afforded, sender, nowMs);
  const reads = readsOf(judged, sender, rules);
  let planned: readonly PlannedSubmit[] = [];
  const plan = (state: PlanningState, fresh: readonly unknown[] = submits) => {
    const first = submits.length - fresh.length;
    const plans = planOperations(judged.slice(first), sender, state, rules);
    planned = submits.slice(first).map(({ seq, digest }, index) => {
      return { seq, digest, plan: plans[index] as Plan };
    });
    return planned;
  };
  let outcome: CommitOutcome = { kind: "stale" };
  for (let attempt = 0; attempt < PLANNING_ATTEMPTS_MAX; attempt += 1) {
    const state = await store.loadForPlanning(reads);
    const batch = { ...position, submits: plan(state), replanning: { reads, plan } };
    outcome = await store.commit(batch);
    if (outcome.kind !== "stale") break;
  }
  if (outcome.kind === "committed") signals.committed(sender, judged);
  return { outcome, planned };
}

/** Ends the sessions of devices that a committed batch has ended. [DEV-5] */
export function endDevices(
  hub: Pick<Hub, "endDevice">,
  planned: readonly PlannedSubmit[],
  through: number,
): void {
  for (const { seq, plan } of planned) {
    if (plan.kind === "refuse" || seq > through) continue;
    for (const device of plan.ends ?? []) hub.endDevice(device);
  }
}
