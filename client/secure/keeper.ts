import type { SecureChats } from "../../protocol/secure/chats.ts";
import { idOf } from "../../protocol/secure/handshakes.ts";
import type { SecurePeer } from "../../protocol/secure/peer.ts";
import { decodeUnhandled, encodeUnhandled, type Unhandled } from "./unhandled.ts";
import type { SecureVault, TakenVault } from "./vault.ts";

/** A session that the life before has left. */
export interface KeptChat {
  readonly sessionId: Uint8Array;
  readonly peer: SecurePeer;
}

/** A message that the life before has left. */
export interface KeptMessage {
  readonly id: string;
  readonly said: Unhandled;
}

/** What is kept of the chats. */
type KeepableChats = Pick<SecureChats, "hasChanged" | "takeChanged" | "snapshot" | "restore">;

/** A record of the vault is a session, or a message that is not handled. */
type RecordKind = "chat" | "said";
/** In its name, behind the kind: records are in the order of their names. */
const NUMBER_DIGITS = 16;

/**
 * Keeps in a vault, if there is one, what has to be durable before something leaves: the sessions
 * that have changed, and what was opened in them and is not handled, together. [SEC-69]
 */
export class Keeper {
  readonly #vault: SecureVault | undefined;
  readonly #chats: KeepableChats;
  #taken: TakenVault | undefined;
  /** The records' names, of sessions and of messages. */
  readonly #names = new Map<string, string>();
  #nextNumber = 0;
  /** What the vault does not know yet, besides the sessions. */
  #changes = new Map<string, Uint8Array | undefined>();

  constructor(vault: SecureVault | undefined, chats: KeepableChats) {
    this.#vault = vault;
    this.#chats = chats;
  }

  /**
   * What the life before has kept, once; see {@link SecureVault.take}. Its sessions are among the
   * chats from then on.
   *
   * @param newId for each message
   */
  async take(newId: () => string): Promise<{ chats: KeptChat[]; messages: KeptMessage[] }> {
    this.#taken = await this.#vault?.take();
    const records = [...(this.#taken?.records ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    const kept: { chats: KeptChat[]; messages: KeptMessage[] } = { chats: [], messages: [] };
    for (const [name, record] of records) {
      const number = Number(name.slice(-NUMBER_DIGITS));
      if (Number.isSafeInteger(number)) this.#nextNumber = Math.max(this.#nextNumber, number + 1);
      const chat = kindOf(name) === "chat" ? this.#chats.restore(record) : undefined;
      const said = kindOf(name) === "said" ? decodeUnhandled(record) : undefined;
      record.fill(0);
      if (chat !== undefined) {
        this.#names.set(idOf(chat.sessionId), name);
        kept.chats.push(chat);
      } else if (said !== undefined) {
        const id = newId();
        this.#names.set(id, name);
        kept.messages.push({ id, said });
      } else this.#changes.set(name, undefined);
    }
    return kept;
  }

  /** Whether the vault is behind: nothing may leave before {@link keep}. */
  get isBehind(): boolean {
    return this.#chats.hasChanged || this.#changes.size > 0;
  }

  /** A message was opened: nobody can open it again. */
  opened(id: string, said: Unhandled): void {
    if (this.#taken !== undefined)
      this.#changes.set(this.#nameOf("said", id), encodeUnhandled(said));
  }

  /** The application has it. */
  handled(id: string): void {
    const name = this.#names.get(id);
    if (name === undefined) return;
    this.#changes.get(name)?.fill(0);
    this.#changes.set(name, undefined);
    this.#names.delete(id);
  }

  /**
   * Makes durable what has changed, at once.
   *
   * @throws what the vault throws; what has changed is lost then, and nothing may leave any more
   */
  async keep(): Promise<void> {
    const changed = this.#chats.takeChanged();
    if (this.#taken === undefined) return;
    const changes = this.#changes;
    this.#changes = new Map();
    for (const id of changed) {
      const state = this.#chats.snapshot(id);
      changes.set(this.#nameOf("chat", id), state);
      if (state === undefined) this.#names.delete(id);
    }
    if (changes.size === 0) return;
    try {
      await this.#taken.keep(changes);
    } finally {
      for (const record of changes.values()) record?.fill(0);
    }
  }

  /** The name of a record, which is in the vault or is going to be. */
  #nameOf(kind: RecordKind, id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = `${kind}-${this.#nextNumber.toString().padStart(NUMBER_DIGITS, "0")}`;
    this.#nextNumber += 1;
    this.#names.set(id, name);
    return name;
  }
}

function kindOf(name: string): RecordKind | undefined {
  if (name.startsWith("chat-")) return "chat";
  return name.startsWith("said-") ? "said" : undefined;
}
