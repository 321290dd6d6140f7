import { BucketTable } from "../protocol/bucket-table.ts";
import { ruleOf } from "../protocol/token-bucket.ts";
import type { Config } from "./config.ts";
import { AddressBudget } from "./links/address-budget.ts";
import type { Metrics } from "./metrics.ts";
import { OperationBudget } from "./operations/operation-budget.ts";
import type { Caller } from "./services/access.ts";
import { userRefOf } from "./store/store.ts";

/** Users of whose calls something is known. [LIM-2] */
const CALLERS_MAX = 100_000;

/** What users and addresses have left of what a node grants them; known to this node only. [LIM] */
export interface Budgets {
  readonly operations: OperationBudget;
  readonly addresses: AddressBudget;
  /** Takes one of a caller's calls; how long it has to wait where there is none left. [LIM-8] */
  readonly callWaitMs: (caller: Caller) => number;
}

/** @param nowMs a clock that is never set back */
export function budgetsOf({ limits }: Config, metrics: Metrics, nowMs: () => number): Budgets {
  const refused = (kind: string) => metrics.add("posthorn_refusals_total", 1, kind);
  const calls = new BucketTable(ruleOf(limits.calls), CALLERS_MAX);
  return {
    operations: new OperationBudget(limits, refused),
    addresses: new AddressBudget(limits, nowMs, refused),
    callWaitMs: ({ tenant, userId, backendId }) => {
      if (backendId !== undefined) return 0;
      const waitMs = calls.take(userRefOf(tenant, userId), 1, nowMs());
      if (waitMs > 0) refused("calls");
      return waitMs;
    },
  };
}
