import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ACCESS_RULES } from "../../gen/posthorn/v1/access_rules.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { METHOD_BYTES_MAX } from "../../protocol/limits.ts";
import { accessRefusal, type Caller } from "./access.ts";
import type { Memberships } from "./memberships.ts";

const { NO_SIDE_EFFECTS, IDEMPOTENT } = MethodOptions_IdempotencyLevel;

/** What is said of a refusal besides its code. */
export interface RefusalHints {
  readonly retryAfterMs: number;
  readonly nextSeq: number;
}

/** A question has no answer, for a reason that whoever asked is told. */
export class CallRefused extends Error {
  override readonly name = "CallRefused";
  readonly code: ErrorCode;
  /** When the same would be answered, from now on. 0: nothing is said of that. */
  readonly retryAfterMs: number;
  /** STREAM_GAP: the number that is next. Otherwise 0. [BCK-7] */
  readonly nextSeq: number;
  constructor(code: ErrorCode, { retryAfterMs = 0, nextSeq = 0 }: Partial<RefusalHints> = {}) {
    super(errorRule(code).name);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.nextSeq = nextSeq;
  }
}

/** One method, whatever transport its request came by. */
export type Answer<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  caller: Caller,
) => Promise<MessageInitShape<O>>;

/** All methods of a service. @throws CallRefused */
export type Implementation<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<
    infer I,
    infer O
  >
    ? Answer<I, O>
    : never;
};

export interface CallResult {
  /** UNSPECIFIED: there is a response. */
  readonly code: ErrorCode;
  readonly response: Uint8Array;
  /** As {@link CallRefused} says. */
  readonly retryAfterMs: number;
}

/** A method that may be asked, with its access rule before it. */
export interface ServedMethod {
  readonly method: DescMethodUnary;
  /** @throws CallRefused; anything else is a defect or trouble outside */
  ask(request: MessageShape<DescMessage>, caller: Caller): Promise<MessageShape<DescMessage>>;
}

/** The methods that calls may name, by service and name. [RPC-4] [RPC-5] */
export class Services {
  readonly #served = new Map<string, ServedMethod>();
  readonly #memberships: Memberships;
  readonly #waitMs: (caller: Caller) => number;

  /** @param waitMs takes one of a caller's calls, or says how long until there is one */
  constructor(memberships: Memberships, waitMs: (caller: Caller) => number = () => 0) {
    this.#memberships = memberships;
    this.#waitMs = waitMs;
  }

  /** Serves all methods of a service. */
  add<Service extends DescService>(service: Service, methods: Implementation<Service>): this {
    for (const method of service.methods) {
      if (!isUnary(method)) continue;
      if (!isRepeatable(method)) throw new TypeError(`${method.name} has effects`);
      const answer = methods[method.localName as keyof Service["method"]];
      this.#served.set(nameOf(method), this.#servedBy(method, answer as Asked));
    }
    return this;
  }

  /** By package.Service/Method. */
  find(name: string): ServedMethod | undefined {
    return name.length > METHOD_BYTES_MAX ? undefined : this.#served.get(name);
  }

  /** Whether methods of a service are served at all, by package.Service. */
  serves(service: string): boolean {
    return [...this.#served.values()].some(({ method }) => method.parent.typeName === service);
  }

  /** Never rejects with what is not a defect or trouble outside. */
  async answer(name: string, bytes: Uint8Array, caller: Caller): Promise<CallResult> {
    const served = this.find(name);
    if (served === undefined) return refusal(ErrorCode.METHOD_UNKNOWN);
    const { input, output } = served.method;
    let request: MessageShape<DescMessage>;
    try {
      request = fromBinary(input, bytes, { readUnknownFields: false });
    } catch {
      return refusal(ErrorCode.CALL_MALFORMED);
    }
    try {
      const response = await served.ask(request, caller);
      const bytes = toBinary(output, response);
      return { code: ErrorCode.UNSPECIFIED, response: bytes, retryAfterMs: 0 };
    } catch (error) {
      if (error instanceof CallRefused) return refusal(error.code, error.retryAfterMs);
      throw error;
    }
  }

  /** The one way to an implementation: through its caller's budget and its rule. [LIM-8] [SVC-2] */
  #servedBy(method: DescMethodUnary, answer: Asked): ServedMethod {
    const rule = ACCESS_RULES.get(nameOf(method));
    if (rule === undefined) throw new TypeError(`${method.name} has no access rule`);
    const memberships = this.#memberships;
    return {
      method,
      ask: async (request, caller) => {
        const waitMs = this.#waitMs(caller);
        if (waitMs > 0) throw new CallRefused(ErrorCode.TOO_OFTEN, { retryAfterMs: waitMs });
        const refused = await accessRefusal({ rule, request, caller, memberships });
        if (refused !== undefined) throw new CallRefused(refused);
        return create(method.output, await answer(request, caller));
      },
    };
  }
}

type Asked = Answer<DescMessage, DescMessage>;

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/**
 * A call may be asked twice. [RPC-3] What users change are operations; backends have no session to
 * submit them in, and so methods that a repeat does not do again. [BCK-5]
 */
function isRepeatable(method: DescMethod): boolean {
  if (method.idempotency === NO_SIDE_EFFECTS) return true;
  const isOfBackends = ACCESS_RULES.get(nameOf(method))?.who === "backend";
  return isOfBackends && method.idempotency === IDEMPOTENT;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function refusal(code: ErrorCode, retryAfterMs = 0): CallResult {
  return { code, response: new Uint8Array(0), retryAfterMs };
}
