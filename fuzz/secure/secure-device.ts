import { setTimeout } from "node:timers/promises";
import { type Client, connect } from "../../client/client.ts";
import type { Dialer } from "../../client/dialer.ts";
import type { Journal } from "../../client/journal.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import type { SecureClientEvent } from "../../client/secure/events.ts";
import { memorySecureIdentity, SecureIdentity } from "../../client/secure/identity.ts";
import { memoryPeers, type PeerMemory } from "../../client/secure/known-peers.ts";
import { SecureMessenger } from "../../client/secure/messenger.ts";
import type { SecureMessengerOptions } from "../../client/secure/options.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";

const BACKOFF = { baseMs: 10, capMs: 20 };
/** How long anything may take that is waited for. */
const PATIENCE_MS = 10_000;

export interface SecureDeviceOptions extends Partial<SecureMessengerOptions> {
  readonly userId: string;
  readonly deviceId: string;
  readonly dialers: readonly Dialer[];
  readonly crypto?: CryptoProvider;
  /** A new one unless it is given. */
  readonly journal?: Journal;
  /** Puts this device's account key in the place of another one. */
  readonly replaceAccount?: boolean;
}

/** A device with secure chats, whose events are all taken as they come. */
export class SecureDevice {
  readonly client: Client;
  readonly identity: SecureIdentity;
  readonly messenger: SecureMessenger;
  readonly peers: PeerMemory;
  /** Everything that happened, in order. */
  readonly events: SecureClientEvent[] = [];
  /** Why there are no more events. */
  failure: unknown;
  /** The texts that came. */
  readonly texts: string[] = [];
  /** The message that was handed out last. */
  inHand: string | undefined;
  #isPaused = false;
  readonly #taking: Promise<void>;

  static async open(options: SecureDeviceOptions): Promise<SecureDevice> {
    const { userId, deviceId, dialers, crypto = NATIVE_CRYPTO } = options;
    const identity =
      options.identity ??
      (await SecureIdentity.open(crypto, memorySecureIdentity(), { userId, deviceId }));
    const journal = options.journal ?? memoryJournal();
    const client = await connect({ dialers, userId, deviceId, journal, backoff: BACKOFF });
    const peers = options.peers ?? memoryPeers();
    const messenger = await SecureMessenger.open(client, { ...options, crypto, identity, peers });
    const device = new SecureDevice(client, { messenger, identity, peers });
    try {
      await device.messenger.publish({ replaceAccount: options.replaceAccount ?? false });
    } catch (error) {
      await device.close();
      throw error;
    }
    return device;
  }

  private constructor(
    client: Client,
    parts: Pick<SecureDevice, "messenger" | "identity" | "peers">,
  ) {
    this.client = client;
    this.identity = parts.identity;
    this.peers = parts.peers;
    this.messenger = parts.messenger;
    this.#taking = this.#take();
  }

  async #take(): Promise<void> {
    try {
      for await (const event of this.messenger.events()) {
        this.events.push(event);
        if (event.kind !== "secure-message") continue;
        this.inHand = String(event.content);
        // As an application that has it, and has not kept it yet.
        if (this.#isPaused) return;
        this.texts.push(this.inHand);
      }
    } catch (error) {
      this.failure = error;
    }
  }

  /** Waits until something is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!isSo()) {
      if (performance.now() > endMs) throw new Error(`${this.identity.device.deviceId}: ${what}`);
      await setTimeout(2);
    }
  }

  /** Takes the next message in hand, and does not get any further. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes away without a word, as a process does. */
  async vanish(): Promise<void> {
    await this.messenger.stop();
    await this.client.close();
    await this.#taking;
  }

  async close(): Promise<void> {
    await this.messenger.close();
    await this.client.close();
    await this.#taking;
  }
}
