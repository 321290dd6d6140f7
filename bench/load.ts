import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Dialer } from "../client/dialer.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { OperationSchema } from "../gen/posthorn/v1/operation_pb.ts";
import type { DialledLink, LinkHandler } from "../protocol/link.ts";
import { ClientSession } from "../protocol/session/client.ts";

const EMPTY = {
  outboxEpoch: 0,
  resultsThrough: 0,
  next: 1,
  pending: [],
  cursor: { epoch: 0, seq: 0 },
};

/**
 * The real client machine on a real link, with a journal that forgets: what a load generator can be
 * without lying.
 */
export class LoadDevice implements LinkHandler {
  readonly userId: string;
  readonly deviceId: string;
  readonly #session: ClientSession;
  #link: DialledLink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #epoch = 0;
  #opened: () => void = () => {};
  onDelivered: (event: Uint8Array) => void = () => {};
  onSettled: (count: number) => void = () => {};
  onAnswered: (response: Uint8Array) => void = () => {};
  /** A conversation's log has grown to this number. */
  onHead: (head: number) => void = () => {};

  constructor(userId: string, deviceId: string) {
    this.userId = userId;
    this.deviceId = deviceId;
    const options = {
      userId,
      deviceId,
      agent: "bench",
      start: "latest",
      deliveryWindow: { count: 1024, bytes: 4 * 1024 * 1024 },
      timers: { keepaliveMs: 0, idleMs: 0, ageMs: 0 },
      handshakeMs: 60_000,
    } as const;
    this.#session = new ClientSession(options, EMPTY);
  }

  async attach(dialer: Dialer): Promise<void> {
    const link = await dialer.dial(new AbortController().signal);
    this.#link = link;
    const opened = new Promise<void>((resolve) => {
      this.#opened = resolve;
    });
    link.start(this);
    this.#session.linked({ token: "" }, Date.now());
    this.pump();
    await opened;
    this.#timer = setInterval(() => {
      this.#session.elapsed(Date.now());
      this.pump();
    }, 100);
  }

  submit(operation: Uint8Array): void {
    this.#session.submit(operation);
  }

  /** Asks the service; {@link onAnswered} follows. */
  call(method: string, request: Uint8Array): void {
    this.#session.calls.ask({ method, request });
    this.pump();
  }

  pump(): void {
    for (let again = true; again; ) {
      again = false;
      for (const effect of this.#session.effects(Date.now())) {
        if (this.#obey(effect)) again = true;
      }
    }
  }

  received(bytes: Uint8Array): void {
    this.#session.received(bytes, Date.now());
    this.pump();
  }

  drained(): void {}

  closed(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#link?.close(ErrorCode.GOODBYE);
  }

  #obey(effect: ReturnType<ClientSession["effects"]>[number]): boolean {
    switch (effect.kind) {
      case "append":
        this.#session.appended();
        return true;
      case "install":
        this.#epoch = effect.state.cursor.epoch;
        this.#session.installed(Date.now());
        return true;
      case "opened":
        this.#opened();
        return false;
      case "deliver": {
        const { deliveries } = effect;
        for (const { event } of deliveries) this.onDelivered(event);
        const seq = (deliveries.at(-1) as { seq: number }).seq;
        this.#session.applied({ epoch: this.#epoch, seq }, Date.now());
        return true;
      }
      case "settle":
        this.#session.settled(effect.resultsThrough, Date.now());
        this.onSettled(effect.settlements.length);
        return true;
      case "answer":
        if (effect.answer.code !== ErrorCode.UNSPECIFIED) throw new Error("a call was refused");
        this.onAnswered(effect.answer.response);
        return true;
      case "hints":
        for (const hint of effect.hints) {
          if (hint.kind === "head") this.onHead(Number(hint.value.head));
        }
        return true;
      case "write":
        this.#link?.write(effect.bytes);
        return false;
      default:
        return false;
    }
  }
}

export function operationOf(
  kind: NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>,
): Uint8Array {
  return toBinary(OperationSchema, create(OperationSchema, { kind }));
}

/** A message of 128 bytes whose first eight are the time it was made. */
export function operationTo(toUserId: string): Uint8Array {
  return operationOf({ case: "sendDirect", value: { toUserId, content: timedContent() } });
}

/** The same, into a conversation. */
export function operationIn(conversationId: string): Uint8Array {
  const value = { conversationId, content: timedContent() };
  return operationOf({ case: "sendMessage", value });
}

function timedContent() {
  const value = new Uint8Array(128);
  new DataView(value.buffer).setFloat64(0, performance.now());
  return { kind: { case: "custom" as const, value } };
}

/** How long ago an event's message was made. The body ends the event. */
export function ageMs(event: Uint8Array): number {
  const at = event.length - 128;
  return performance.now() - new DataView(event.buffer, event.byteOffset + at).getFloat64(0);
}
