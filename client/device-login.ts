import { loginAnswer, signLogin } from "../protocol/envelope/login.ts";
import { type CryptoProvider, HASH_BYTES } from "../protocol/envelope/provider.ts";
import type { Credential, LoginAttempt } from "../protocol/session/welcome.ts";

/**
 * By what a device is known to one service, and the service to it. Whoever has it is the device:
 * keep it as a password is kept.
 */
export interface LoginState {
  /** Of the Ed25519 key of the proofs, 32 bytes. */
  readonly seed: Uint8Array;
  /** What the service answers with, 32 bytes. */
  readonly registrationSecret: Uint8Array;
  /** Whose device it is, as the service has said it; empty until it has taken the registration. */
  readonly account: string;
}

/** Where that is kept, for one device of one service. Durable when it resolves. */
export interface LoginMemory {
  load(): Promise<LoginState | undefined>;
  save(state: LoginState): Promise<void>;
}

/** As long as its process lives, or as whoever gives the state keeps it. */
export function memoryLogin(state?: LoginState): LoginMemory {
  let kept = state;
  return {
    load: async () => kept,
    save: async (fresh) => {
      kept = fresh;
    },
  };
}

/**
 * How a device logs in where no token may leave: by a proof that is good on one link alone, with an
 * answer that only its service can give there. [ENV-55] [ENV-57]
 */
export class DeviceLogin {
  readonly #crypto: CryptoProvider;
  readonly #memory: LoginMemory;
  #state: Promise<LoginState | undefined> | undefined;

  constructor(crypto: CryptoProvider, memory: LoginMemory) {
    this.#crypto = crypto;
    this.#memory = memory;
  }

  /** What registers the device; to be sent with a token. The key is kept before it leaves. */
  async registration(): Promise<NonNullable<Credential["registration"]>> {
    const { seed, registrationSecret } = await this.#loadedOrMade();
    return { loginKey: this.#crypto.ed25519Key(seed).publicKey, registrationSecret };
  }

  /** The service has taken the registration. */
  async registered(account: string): Promise<void> {
    const state = await this.#loadedOrMade();
    if (state.account !== account) await this.#save({ ...state, account });
  }

  /** Whether its service knows the device, which then has an answer to ask for. [ENV-74] */
  async isRegistered(): Promise<boolean> {
    const state = await this.#loaded();
    return state !== undefined && state.account !== "";
  }

  /** A login on a sealed link; undefined before the device is registered. [ENV-35] [ENV-36] */
  async attempt(channelBinding: Uint8Array, deviceId: string): Promise<LoginAttempt | undefined> {
    const state = await this.#loaded();
    if (state === undefined || state.account === "") return undefined;
    const { seed, registrationSecret, account } = state;
    const crypto = this.#crypto;
    const key = crypto.ed25519Key(seed);
    const signature = signLogin(key, { channelBinding, account, deviceId });
    const answerMac = loginAnswer(crypto, { registrationSecret, channelBinding });
    return { proof: { account, deviceId, signature }, answerMac };
  }

  #loaded(): Promise<LoginState | undefined> {
    this.#state ??= this.#memory.load();
    return this.#state;
  }

  async #loadedOrMade(): Promise<LoginState> {
    const state = await this.#loaded();
    if (state !== undefined) return state;
    const drawn = () => globalThis.crypto.getRandomValues(new Uint8Array(HASH_BYTES));
    return await this.#save({ seed: drawn(), registrationSecret: drawn(), account: "" });
  }

  async #save(state: LoginState): Promise<LoginState> {
    await this.#memory.save(state);
    this.#state = Promise.resolve(state);
    return state;
  }
}
