import { decodeKept, encodeKept, type KeptState, type Unhandled } from "./kept-state.ts";
import type { SecureVault, TakenVault } from "./vault.ts";

/** Keeps in a vault, if there is one, what has to be durable before something leaves. [SEC-69] */
export class Keeper {
  readonly #vault: SecureVault | undefined;
  readonly #snapshot: () => Uint8Array;
  #taken: TakenVault | undefined;
  /** By their ids, in the order in which they came. */
  readonly #unhandled = new Map<string, Unhandled>();
  /** The chats are in another state than the vault. */
  #isStale = false;

  /** @param snapshot of the chats as they are */
  constructor(vault: SecureVault | undefined, snapshot: () => Uint8Array) {
    this.#vault = vault;
    this.#snapshot = snapshot;
  }

  /** What the life before has kept, once; see {@link SecureVault.take}. */
  async take(): Promise<KeptState | undefined> {
    this.#taken = await this.#vault?.take();
    const state = this.#taken?.state;
    const kept = state && decodeKept(state);
    state?.fill(0);
    return kept;
  }

  /** The chats are in another state. */
  changed(): void {
    this.#isStale = true;
  }

  /** A message was opened: nobody can open it again. */
  opened(id: string, said: Unhandled): void {
    this.#unhandled.set(id, said);
  }

  /** The application has it. */
  handled(id: string): void {
    if (this.#unhandled.delete(id)) this.#isStale = true;
  }

  /** Makes durable what has changed. @throws what the vault throws */
  async keep(): Promise<void> {
    if (this.#taken === undefined || !this.#isStale) return;
    this.#isStale = false;
    const unhandled = [...this.#unhandled.values()];
    const state = encodeKept({ chats: this.#snapshot(), unhandled });
    try {
      await this.#taken.keep(state);
    } finally {
      state.fill(0);
    }
  }
}
