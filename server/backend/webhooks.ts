import { Webhook, type WebhookContext } from "./webhook.ts";
import type { WebhookSettings } from "./webhook-file.ts";

/** The webhooks of a node, from its start to its end. */
export class Webhooks {
  readonly #webhooks: readonly Webhook[];

  constructor(settings: readonly WebhookSettings[], context: WebhookContext) {
    this.#webhooks = settings.map((one) => new Webhook(one, context));
  }

  /** Resolves when no request is under way any more. What was not answered goes again. [BCK-17] */
  async stop(): Promise<void> {
    await Promise.all(this.#webhooks.map((webhook) => webhook.stop()));
  }
}
