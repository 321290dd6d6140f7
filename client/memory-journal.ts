import { assert } from "../protocol/violation.ts";
import { EMPTY_JOURNAL, type Journal, type JournalState, journalFault } from "./journal.ts";

/** A journal that lives as long as its process: for tests and devices that are thrown away. */
export interface MemoryJournal extends Journal {
  /** What a next life would load: `memoryJournal(state)` begins it, with this state or an older. */
  readonly state: JournalState;
}

/** Also the plainest journal, which the others are held equal to. */
export function memoryJournal(from: JournalState = EMPTY_JOURNAL): MemoryJournal {
  let state = EMPTY_JOURNAL;
  let closed = false;
  const become = (changed: JournalState): void => {
    if (closed) throw new TypeError("the journal is closed");
    const fault = journalFault(changed);
    assert(fault === undefined, `no journal can hold this: ${fault}`);
    state = changed;
  };
  become(from);
  return {
    get state() {
      return state;
    },
    load: async () => {
      become(state);
      return state;
    },
    append: async ({ seq, operation }) =>
      become({ ...state, next: seq + 1, pending: [...state.pending, { seq, operation }] }),
    install: async (installed) => become(installed),
    settle: async (resultsThrough) => {
      const pending = state.pending.filter(({ seq }) => seq > resultsThrough);
      become({ ...state, resultsThrough, pending });
    },
    advance: async (cursor) => become({ ...state, cursor }),
    close: async () => {
      closed = true;
    },
  };
}
