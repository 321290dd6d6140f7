import { drawSeeds } from "../../client/secure/identity.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { SecureChatsEffect } from "../../protocol/secure/chat-effects.ts";
import { SecureChats, type SecureChatsResult } from "../../protocol/secure/chats.ts";
import { CHATS_ENTROPY_BYTES } from "../../protocol/secure/entropy.ts";
import type { SecureContentPlain } from "../../protocol/secure/established.ts";
import { certify, SecureSigner } from "../../protocol/secure/identity.ts";
import type { DeviceAddress, DirectoryAnswer } from "../../protocol/secure/peer.ts";
import { assert } from "../../protocol/violation.ts";
import { type Party, sameDevice } from "./evil-scene.ts";
import type { EvilService } from "./evil-service.ts";

const PARAMETERS = { rekeyMessages: 32, rekeyS: 600, lifetimeS: 604_800, franking: false };

/** A device that is not who it says it is, towards one victim. */
class Mask {
  /** Whom it says to be. */
  readonly as: DeviceAddress;
  readonly victim: DeviceAddress;
  readonly answer: DirectoryAnswer;
  readonly chats: SecureChats;
  sessionId: Uint8Array | undefined;

  constructor(as: DeviceAddress, victim: DeviceAddress) {
    this.as = as;
    this.victim = victim;
    const [account, signer] = [drawSigner(), drawSigner()];
    const device = { ...as, keys: signer.keys };
    const input = { device, createdMs: Date.now(), expiresMs: 0 };
    const devices = [certify(NATIVE_CRYPTO, account, input)];
    this.answer = { accountKey: account.keys, devices, continuity: "known" };
    this.chats = new SecureChats(NATIVE_CRYPTO, { ...as, signer, parameters: PARAMETERS });
  }
}

/**
 * The service sits in between two devices, with keys of its own for each of them: lists them to the
 * other, answers and makes offers, and passes on what it has read.
 */
export class Impersonation {
  /** What was said, in the order in which it came by. */
  readonly read: string[] = [];
  readonly #service: EvilService;
  readonly #masks: readonly [Mask, Mask];
  readonly #answers: ReadonlyMap<string, DirectoryAnswer>;

  static async begin(service: EvilService, ann: Party, bob: Party): Promise<Impersonation> {
    const answers = new Map<string, DirectoryAnswer>();
    for (const { address, device } of [ann, bob]) {
      const { accountKey } = device.identity;
      const certificate = await device.identity.certificate(Date.now());
      assert(accountKey !== undefined && certificate !== undefined, "a device with an account");
      answers.set(address.userId, { accountKey, devices: [certificate], continuity: "known" });
    }
    return new Impersonation(service, [ann.address, bob.address], answers);
  }

  private constructor(
    service: EvilService,
    [ann, bob]: readonly [DeviceAddress, DeviceAddress],
    answers: ReadonlyMap<string, DirectoryAnswer>,
  ) {
    this.#service = service;
    this.#answers = answers;
    this.#masks = [new Mask(bob, ann), new Mask(ann, bob)];
    service.directory = (said, about, asker) => {
      const mask = this.#masks.find(
        ({ as, victim }) => as.userId === about && sameDevice(victim, asker),
      );
      return mask === undefined ? said : { ...said, ...mask.answer };
    };
    service.packets = (packet) => {
      const { from, to, bytes } = packet;
      const mask = this.#masks.find(
        ({ as, victim }) => sameDevice(as, to) && sameDevice(victim, from),
      );
      if (mask === undefined) return packet;
      this.#obey(mask, mask.chats.received(bytes, from, moment()));
      return undefined;
    };
  }

  /** Asks the second of the two for a chat, in the name of the first. */
  offer(): void {
    const [, mask] = this.#masks;
    const terms = { parameters: PARAMETERS, ttlS: 60 };
    this.#done(mask, mask.chats.offer(mask.victim, terms, moment()));
  }

  #obey(mask: Mask, effects: readonly SecureChatsEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "look-up") {
        const { userId } = effect;
        this.#obey(mask, mask.chats.resolved(userId, this.#answers.get(userId), moment()));
      } else if (effect.kind === "send") {
        void this.#service.inject(effect.to, { from: mask.as, bytes: effect.packet });
      } else if (effect.kind === "open") {
        mask.sessionId = effect.sessionId;
        if (mask === this.#masks[0]) this.offer();
      } else if (effect.kind === "deliver") {
        this.read.push(`${effect.content.kind.value}`);
        this.#passOn(mask, effect.content);
      }
    }
  }

  #passOn(from: Mask, content: SecureContentPlain): void {
    const mask = this.#masks.find((other) => other !== from);
    if (mask?.sessionId === undefined) return;
    this.#done(mask, mask.chats.send(mask.sessionId, content, moment()));
  }

  #done(mask: Mask, result: SecureChatsResult): void {
    assert(result.kind === "done", "the machine does it");
    this.#obey(mask, result.effects);
  }
}

function drawSigner(): SecureSigner {
  const { ed25519, mlDsa65 } = drawSeeds();
  return new SecureSigner(NATIVE_CRYPTO.ed25519Key(ed25519), NATIVE_CRYPTO.mlDsa65Key(mlDsa65));
}

function moment() {
  const entropy = globalThis.crypto.getRandomValues(new Uint8Array(CHATS_ENTROPY_BYTES));
  return { nowMs: Date.now(), entropy };
}
