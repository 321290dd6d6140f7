/** A planted bug: replaced in memory while Node loads the file, never in what is shipped. */
export interface Mutant {
  readonly name: string;
  /** What it does wrong, with the requirement it breaks. */
  readonly title: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The property that must kill it, or the test file: its path. */
  readonly killedBy: string;
}
