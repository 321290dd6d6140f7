import type { Journal, JournalState } from "./journal.ts";

export const EMPTY_JOURNAL: JournalState = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};

/** A journal that lives as long as its process: for tests and devices that are thrown away. */
export interface MemoryJournal extends Journal {
  /** What a next life would load. */
  readonly state: JournalState;
}

export function memoryJournal(from: JournalState = EMPTY_JOURNAL): MemoryJournal {
  let state = from;
  return {
    get state() {
      return state;
    },
    load: async () => state,
    append: async ({ seq, operation }) => {
      state = { ...state, next: seq + 1, pending: [...state.pending, { seq, operation }] };
    },
    install: async (installed) => {
      state = installed;
    },
    settle: async (resultsThrough) => {
      const pending = state.pending.filter(({ seq }) => seq > resultsThrough);
      state = { ...state, resultsThrough, pending };
    },
    advance: async (cursor) => {
      state = { ...state, cursor };
    },
    close: async () => {},
  };
}
