/** One measurement; `limit` is the bare limit of the same run that it is to be read against. */
export interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit?: { readonly name: string; readonly value: number; readonly ratio: number };
}

export interface JobOptions {
  /** How long each rate is measured. */
  readonly measureMs: number;
  /** How many idle sessions are held. */
  readonly idleCount: number;
  readonly report: (result: Result) => void;
}

/** What one word after `npm run bench --` measures. */
export interface Job {
  /** For the help. */
  readonly about: string;
  /** How long each rate is measured unless told otherwise. */
  readonly seconds: number;
  readonly run: (options: JobOptions) => Promise<void>;
}
