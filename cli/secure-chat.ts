import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { renderUnicodeCompact } from "uqr";
import type { Client } from "../client/client.ts";
import type { SecureChat } from "../client/secure/chat.ts";
import type { SecureClientEvent } from "../client/secure/events.ts";
import { memorySecureIdentity, SecureIdentity } from "../client/secure/identity.ts";
import { memoryPeers } from "../client/secure/known-peers.ts";
import { SecureMessenger } from "../client/secure/messenger.ts";
import type { SafetyNumber } from "../client/secure/peers.ts";
import { filePeers, fileSecureIdentity } from "../client/secure/secret-files.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../gen/posthorn/v1/error_rules.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import type { ChatScreen } from "./chat-screen.ts";
import { errorLine, UsageError } from "./command.ts";
import { eventLine, oneLine, paragraph } from "./event-text.ts";

/** How often it is looked whether the other user has a device by now. */
const LOOK_MS = 2_000;
/** How long a good-bye may take to get to the service. */
const FAREWELL_MS = 2_000;
/** Lines that wait for the chat to open. */
const WAITING_MAX = 100;

export interface SecureChatOptions {
  readonly to: string;
  /** Undefined: the only one that the user has. */
  readonly toDevice: string | undefined;
  readonly deviceId: string;
  /** Where keys are kept, by service and user; undefined: nowhere. */
  readonly keys: string | undefined;
  readonly replaceAccount: boolean;
  /** Seconds after being read until the other side forgets what is said. */
  readonly lifetimeS: number;
}

/** Where the keys of secure chats are, for each service apart: accounts are a service's. */
export function secureKeysFolder([url = ""]: readonly string[]): string {
  return join(homedir(), ".posthorn", "secure", encodeURIComponent(new URL(url).host));
}

export const SECURE_HELP = `\
  --secure           an end-to-end chat between this device and one of USER's: the
                     service reads nothing of it, and keeps nothing that was fetched
  --to-device NAME   which of USER's devices [the only one]
  --lifetime SECONDS the other side forgets what you say so long after reading it [never]
  --replace-account  put this device's account key in the place of the one that the service has
                     for you: your other devices fall out, and everybody is told

In a secure chat, /safety shows the number to compare with the other side, /verify notes that it
was the same, /trust takes another account key than before for USER's, /close ends the chat and
erases its keys on both devices.
`;

/** A secure chat in the terminal. */
export class Talk {
  readonly #client: Client;
  readonly #screen: ChatScreen;
  readonly #options: SecureChatOptions;
  #messenger: SecureMessenger | undefined;
  #chat: SecureChat | undefined;
  /** What the people are comparing, if anything. */
  #shown: SafetyNumber | undefined;
  /** Typed before there was a chat to say it in. */
  #waiting: string[] = [];
  #over = false;

  constructor(client: Client, screen: ChatScreen, options: SecureChatOptions) {
    this.#client = client;
    this.#screen = screen;
    this.#options = options;
    screen.onLine((line) => this.#line(line));
  }

  /** Until the client is closed. */
  async run(): Promise<void> {
    const messenger = await this.#open();
    this.#messenger = messenger;
    const { replaceAccount } = this.#options;
    const asked = messenger
      .publish({ replaceAccount })
      .then(() => this.#ask())
      .catch((error: unknown) => this.#failed(error));
    for await (const event of messenger.events()) this.#show(event);
    this.#over = true;
    await asked;
  }

  /** Tells the other side, and gives that a moment to leave. */
  async end(): Promise<void> {
    this.#over = true;
    await this.#messenger?.close();
    const endMs = performance.now() + FAREWELL_MS;
    while (this.#client.status.unsettledCount > 0 && performance.now() < endMs) {
      await setTimeout(20);
    }
  }

  async #open(): Promise<SecureMessenger> {
    const userId = await userOf(this.#client);
    const { keys, deviceId } = this.#options;
    const name = { userId, deviceId };
    const crypto = NATIVE_CRYPTO;
    if (keys === undefined) {
      const identity = await SecureIdentity.open(crypto, memorySecureIdentity(), name);
      return await SecureMessenger.open(this.#client, { crypto, identity, peers: memoryPeers() });
    }
    const folder = join(keys, userId);
    const memory = fileSecureIdentity(
      join(folder, "devices", `${deviceId}.json`),
      join(folder, "account.json"),
    );
    const identity = await SecureIdentity.open(crypto, memory, name);
    const peers = filePeers(join(folder, "peers.json"));
    return await SecureMessenger.open(this.#client, { crypto, identity, peers });
  }

  get #shownNumber(): SafetyNumber {
    if (this.#shown === undefined) throw new UsageError("nothing was shown to compare: /safety");
    return this.#shown;
  }

  get #ready(): SecureMessenger {
    if (this.#messenger === undefined) throw new UsageError("there is no service yet");
    return this.#messenger;
  }

  #line(text: string): void {
    const work = this.#obey(text.trim());
    work.catch((error: unknown) => this.#screen.print(`-- ${errorLine(error)} --`));
  }

  async #obey(text: string): Promise<void> {
    const { lifetimeS } = this.#options;
    switch (text) {
      case "":
        return this.#screen.refresh();
      case "/safety":
        return await this.#showSafety();
      case "/verify":
        return await this.#ready.verify(this.#shownNumber);
      case "/trust":
        await this.#ready.trust(this.#shownNumber);
        return await this.#ask();
      case "/close":
        return await this.#chat?.close();
    }
    if (text.startsWith("/")) throw new UsageError(`${text.split(" ")[0]} is no command here`);
    if (this.#chat?.isOpen) {
      await this.#chat.send(text, { lifetimeS });
    } else if (this.#waiting.length < WAITING_MAX) {
      this.#waiting.push(text);
      if (this.#messenger !== undefined && !this.#isUnderWay) await this.#ask();
    } else throw new UsageError("the chat is not open, and too much waits for it");
  }

  /** Asks the other device, as soon as there is one. */
  async #ask(): Promise<void> {
    const { to, toDevice } = this.#options;
    let told = false;
    for (;;) {
      if (this.#over || this.#isUnderWay) return;
      const found = await this.#ready.devicesOf(to);
      if (this.#over || this.#isUnderWay) return;
      if (found?.trust === "changed") return this.#tellChanged();
      const devices = (found?.devices ?? []).map(({ deviceId }) => deviceId);
      const [deviceId] = toDevice === undefined ? devices : devices.filter((id) => id === toDevice);
      if (toDevice === undefined && devices.length > 1) {
        throw new UsageError(`${to} has ${devices.join(", ")}: say --to-device`);
      }
      if (deviceId !== undefined) {
        this.#chat = this.#ready.secureChat({ userId: to, deviceId });
        return;
      }
      if (!told) this.#screen.print(`-- ${to} has no such device for secure chats yet --`);
      told = true;
      await setTimeout(LOOK_MS);
    }
  }

  get #isUnderWay(): boolean {
    return this.#chat !== undefined && this.#chat.state !== "closed";
  }

  #show(event: SecureClientEvent): void {
    switch (event.kind) {
      case "secure-message": {
        const { chat, content, lifetimeS } = event;
        const time = new Date(event.sentMs).toTimeString().slice(0, 8);
        const text = typeof content === "string" ? paragraph(content) : "(binary)";
        const ends = lifetimeS === 0 ? "" : ` (for ${lifetimeS} s)`;
        return this.#screen.print(`${time} ${chat.peer.userId}: ${text}${ends}`);
      }
      case "secure-chat":
        return this.#changed(event.chat);
      case "secure-identity-changed":
        if (event.userId === this.#options.to) this.#tellChanged();
        return;
      case "secure-expired":
        return this.#screen.print("-- the time of a message above is over --");
      case "secure-refused": {
        const { from, code } = event;
        const who = `${oneLine(from.userId)}/${oneLine(from.deviceId)}`;
        return this.#screen.print(`-- a packet of ${who} was not taken: ${nameOf(code)} --`);
      }
      default: {
        const line = eventLine(event);
        if (line !== undefined) this.#screen.print(line);
      }
    }
  }

  #changed(chat: SecureChat): void {
    const { userId, deviceId } = chat.peer;
    const who = `${userId}/${deviceId}`;
    if (userId !== this.#options.to) {
      if (chat.isOpen) this.#screen.print(`-- a secure chat with ${who} is open elsewhere --`);
      return;
    }
    switch (chat.state) {
      case "asking":
        return;
      case "offered":
        return this.#screen.print(`-- ${who} is asked for a secure chat --`);
      case "accepted":
        return this.#screen.print(`-- ${who} asks for a secure chat --`);
      case "confirmed":
      case "verified":
        return this.#opened(chat);
      case "closed": {
        const isOurs = this.#chat === chat;
        if (isOurs) this.#chat = undefined;
        const why = chat.code === undefined ? "" : `: ${nameOf(chat.code)}`;
        if (isOurs) this.#screen.print(`-- the secure chat with ${who} is over${why} --`);
      }
    }
  }

  #opened(chat: SecureChat): void {
    this.#chat = chat;
    const { userId, deviceId } = chat.peer;
    this.#screen.print(`-- secure chat with ${userId}/${deviceId}, ${chat.trust} --`);
    const work = chat.state === "verified" ? Promise.resolve() : this.#showSafety();
    work
      .then(async () => {
        for (let text = this.#waiting.shift(); text !== undefined; text = this.#waiting.shift()) {
          await chat.send(text, { lifetimeS: this.#options.lifetimeS });
        }
      })
      .catch((error: unknown) => this.#screen.print(`-- not sent: ${errorLine(error)} --`));
  }

  async #showSafety(): Promise<void> {
    this.#shown = await this.#ready.safetyNumber(this.#options.to);
    const { digits, code } = this.#shown;
    this.#screen.print(`-- safety number, to be compared with the other side (/verify):`);
    const groups = digits.split(" ");
    for (let at = 0; at < groups.length; at += 6) {
      this.#screen.print(`     ${groups.slice(at, at + 6).join(" ")}`);
    }
    if (this.#screen.isTerminal) this.#screen.print(renderUnicodeCompact([...code]));
  }

  #tellChanged(): void {
    const { to } = this.#options;
    this.#screen.print(
      `-- ${to} HAS ANOTHER ACCOUNT KEY THAN BEFORE: a new phone, or somebody in between. ` +
        "Ask; then /trust --",
    );
    this.#showSafety().catch((error: unknown) => this.#screen.print(`-- ${errorLine(error)} --`));
  }

  #failed(error: unknown): void {
    if (this.#over) return;
    this.#screen.print(`-- ${errorLine(error)} --`);
    const { code } = error as { readonly code?: unknown };
    if (code !== ErrorCode.PEER_IDENTITY_CHANGED) return;
    this.#screen.print("-- the service has another account key for you: --replace-account --");
  }
}

function nameOf(code: ErrorCode): string {
  return errorRule(code).name;
}

/** Who the service says we are, once it has. */
async function userOf(client: Client): Promise<string> {
  const known = () => client.status.userId;
  if (known() === undefined) {
    await new Promise<void>((resolve) => {
      const stop = client.onStatus(({ userId, state }) => {
        if (userId === undefined && state !== "closed") return;
        stop();
        resolve();
      });
    });
  }
  return known() ?? "";
}
