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
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { METHOD_BYTES_MAX } from "../../protocol/limits.ts";

const NO_SIDE_EFFECTS = MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;

/** Who asks: authenticated, never taken from what the request says (P26). */
export interface Caller {
  readonly tenant: string;
  readonly userId: string;
  readonly deviceId: string;
}

/** A question has no answer, for a reason that whoever asked is told. */
export class CallRefused extends Error {
  override readonly name = "CallRefused";
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(errorRule(code).name);
    this.code = code;
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
}

type Served = (request: Uint8Array, caller: Caller) => Promise<CallResult>;

/** The methods that calls may name, by service and name. [RPC-4] [RPC-5] */
export class Services {
  readonly #served = new Map<string, Served>();

  /** Serves all methods of a service. */
  add<Service extends DescService>(service: Service, methods: Implementation<Service>): this {
    for (const method of service.methods) {
      if (!isUnary(method)) continue;
      // A call may be asked twice. [RPC-3]
      if (method.idempotency !== NO_SIDE_EFFECTS) throw new TypeError(`${method.name} has effects`);
      const answer = methods[method.localName as keyof Service["method"]];
      this.#served.set(`${service.typeName}/${method.name}`, servedBy(method, answer as Asked));
    }
    return this;
  }

  /** Never rejects with what is not a defect or trouble outside. */
  async answer(method: string, request: Uint8Array, caller: Caller): Promise<CallResult> {
    const served = method.length > METHOD_BYTES_MAX ? undefined : this.#served.get(method);
    if (served === undefined) return refusal(ErrorCode.METHOD_UNKNOWN);
    return await served(request, caller);
  }
}

type Asked = Answer<DescMessage, DescMessage>;

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function servedBy(method: DescMethodUnary, answer: Asked): Served {
  return async (bytes, caller) => {
    let request: MessageShape<DescMessage>;
    try {
      request = fromBinary(method.input, bytes, { readUnknownFields: false });
    } catch {
      return refusal(ErrorCode.CALL_MALFORMED);
    }
    try {
      const response = create(method.output, await answer(request, caller));
      return { code: ErrorCode.UNSPECIFIED, response: toBinary(method.output, response) };
    } catch (error) {
      if (error instanceof CallRefused) return refusal(error.code);
      throw error;
    }
  };
}

function refusal(code: ErrorCode): CallResult {
  return { code, response: new Uint8Array(0) };
}
