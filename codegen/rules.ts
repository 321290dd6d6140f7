import {
  type DescEnum,
  type DescEnumValue,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { refuse } from "./refusal.ts";

// Reads the rules that stand as options in the schema. The options' own descriptors are found in
// the request, by full name, so that the generator depends on no generated code.

/** The options of posthorn/v1/options.proto, as found in a request. */
export interface RuleOptions {
  readonly frameRule: DescExtension;
  readonly errorRule: DescExtension;
  readonly sensitive: DescExtension;
  readonly access: DescExtension;
}

/** The frame message of a schema and the rules of its kinds, in the order of the schema. */
export interface FrameTable {
  readonly frame: DescMessage;
  readonly rules: readonly FrameRuleOption[];
}

export interface FrameRuleOption {
  /** The oneof's case name in protobuf-es, such as submitAck. */
  readonly kind: string;
  readonly number: number;
  readonly sender: string;
  readonly phases: readonly string[];
  readonly counter: string;
  readonly hot: boolean;
  readonly field: DescField;
  readonly message: DescMessage;
}

/** The error codes of a schema and the rules of all but zero, in the order of the schema. */
export interface ErrorTable {
  readonly codes: DescEnum;
  readonly rules: readonly ErrorRuleOption[];
}

export interface ErrorRuleOption {
  readonly name: string;
  readonly number: number;
  readonly scope: string;
  readonly retry: string;
  readonly value: DescEnumValue;
}

/** Finds the options. Refuses a request that does not hold posthorn/v1/options.proto. */
export function findRuleOptions(files: readonly DescFile[]): RuleOptions {
  const extensions = files.flatMap((file) => file.extensions);
  const find = (name: string): DescExtension => {
    const found = extensions.find(({ typeName }) => typeName === `posthorn.v1.${name}`);
    return found ?? refuse("the schema", `does not import the option posthorn.v1.${name}`);
  };
  return {
    frameRule: find("frame_rule"),
    errorRule: find("error_rule"),
    sensitive: find("sensitive"),
    access: find("access"),
  };
}

/**
 * The frame message: the one whose fields have frame rules. Refuses a second one, a kind without a
 * rule, and a rule that does not say who sends, when, or what is counted.
 */
export function frameTable(messages: readonly DescMessage[], options: RuleOptions): FrameTable {
  const ruled = messages
    .flatMap((message) => message.fields)
    .filter((field) => hasOption(field, options.frameRule));
  const frame = ruled[0]?.parent ?? refuse("the schema", "has no field with a frame_rule");
  const stray = ruled.find((field) => field.parent !== frame);
  if (stray !== undefined) refuse(stray, `has a frame_rule, and so has ${frame.typeName}`);
  if (frame.oneofs.length !== 1 || frame.oneofs[0]?.fields.length !== frame.fields.length) {
    refuse(frame, "has frame rules and must be exactly one oneof");
  }
  return { frame, rules: frame.fields.map((field) => frameRuleOf(field, options)) };
}

function frameRuleOf(field: DescField, options: RuleOptions): FrameRuleOption {
  if (field.fieldKind !== "message") return refuse(field, "is a frame kind and must be a message");
  if (!hasOption(field, options.frameRule)) refuse(field, "has no frame_rule");
  const rule = getOption(field, options.frameRule) as unknown as {
    readonly sender: number;
    readonly phases: readonly number[];
    readonly counter: number;
    readonly hot: boolean;
  };
  const nameIn = enumNames(options.frameRule, field);
  if (rule.phases.length === 0) refuse(field, "has no phases in its frame_rule");
  if (new Set(rule.phases).size !== rule.phases.length) {
    refuse(field, "has a phase twice in its frame_rule");
  }
  const counted = rule.counter !== 0;
  const isSeq = (member: DescField) =>
    member.localName === "seq" && member.scalar === ScalarType.UINT64;
  if (counted && !field.message.fields.some(isSeq)) {
    refuse(field, "consumes a counter and must hold `uint64 seq`");
  }
  return {
    kind: field.localName,
    number: field.number,
    sender: nameIn("sender", rule.sender),
    phases: rule.phases.map((phase) => nameIn("phases", phase)),
    counter: counted ? nameIn("counter", rule.counter) : "none",
    hot: rule.hot,
    field,
    message: field.message,
  };
}

/**
 * The error codes: the enum whose values have error rules. Refuses a second one, a code without a
 * rule, a rule for zero, a rule that says nothing, and two names for one number.
 */
export function errorTable(enums: readonly DescEnum[], options: RuleOptions): ErrorTable {
  const ruled = enums
    .flatMap((candidate) => candidate.values)
    .filter((value) => hasOption(value, options.errorRule));
  const codes = ruled[0]?.parent ?? refuse("the schema", "has no enum value with an error_rule");
  const stray = ruled.find((value) => value.parent !== codes);
  if (stray !== undefined) refuse(stray, `has an error_rule, and so has ${codes.typeName}`);
  const rules: ErrorRuleOption[] = [];
  for (const value of codes.values) {
    if (value.number === 0) {
      if (hasOption(value, options.errorRule)) refuse(value, "is no error and takes no error_rule");
      continue;
    }
    if (codes.value[value.number] !== value) refuse(value, "is a second name of its number");
    rules.push(errorRuleOf(value, options));
  }
  return { codes, rules };
}

function errorRuleOf(value: DescEnumValue, options: RuleOptions): ErrorRuleOption {
  if (!hasOption(value, options.errorRule)) refuse(value, "has no error_rule");
  const rule = getOption(value, options.errorRule) as unknown as {
    readonly scope: number;
    readonly retry: number;
  };
  const nameIn = enumNames(options.errorRule, value);
  return {
    name: value.localName,
    number: value.number,
    scope: nameIn("scope", rule.scope),
    retry: nameIn("retry", rule.retry),
    value,
  };
}

/** Who may ask a method, as its option says. */
export interface AccessRuleOption {
  readonly method: DescMethod;
  readonly who: string;
  /** The request's field that names the conversation. */
  readonly conversation: DescField | undefined;
  /** The request's field that names the user. */
  readonly user: DescField | undefined;
}

/**
 * The rules of all methods, in the order of the schema. Refuses a method without a rule, and a rule
 * that names a field that it does not need, or none where it needs one.
 */
export function accessTable(
  services: readonly DescService[],
  options: RuleOptions,
): readonly AccessRuleOption[] {
  return services
    .flatMap(({ methods }) => methods)
    .map((method) => accessRuleOf(method, options.access));
}

/** Whose rule names a conversation, and whose a user. */
const CONVERSATION_RULES = ["member", "admin"];
const USER_RULES = ["self"];

function accessRuleOf(method: DescMethod, access: DescExtension): AccessRuleOption {
  if (!hasOption(method, access)) refuse(method, "has no access rule");
  const rule = getOption(method, access) as unknown as {
    readonly who: number;
    readonly conversationField: string;
    readonly userField: string;
  };
  const who = enumNames(access, method)("who", rule.who);
  const named = (name: string, member: string, needing: readonly string[]) => {
    if (needing.includes(who) === (name === "")) {
      refuse(method, `has the access rule ${who} ${name === "" ? "without" : "with"} ${member}`);
    }
    if (name === "") return undefined;
    const field = method.input.fields.find((one) => one.name === name);
    const isText = field?.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
    return isText ? field : refuse(method, `names no string of its request in its ${member}`);
  };
  return {
    method,
    who,
    conversation: named(rule.conversationField, "conversation_field", CONVERSATION_RULES),
    user: named(rule.userField, "user_field", USER_RULES),
  };
}

/** FRAME_SENDER_CLIENT becomes "client", ERROR_RETRY_AFTER_DELAY "after-delay"; refuses zero. */
function enumNames(
  rule: DescExtension,
  bearer: DescField | DescEnumValue | DescMethod,
): (member: string, number: number) => string {
  return (member, number) => {
    const field = rule.message?.fields.find(({ localName }) => localName === member);
    const value = number === 0 ? undefined : field?.enum?.value[number];
    if (value === undefined) return refuse(bearer, `has no valid ${member} in its ${rule.name}`);
    return value.localName.toLowerCase().replaceAll("_", "-");
  };
}

/** All messages reachable from some, those first, each once, in the order of the schema. */
export function reachableMessages(from: readonly DescMessage[]): DescMessage[] {
  const found = new Set<DescMessage>();
  const visit = (message: DescMessage) => {
    if (found.has(message)) return;
    found.add(message);
    for (const field of message.fields) if (field.message) visit(field.message);
  };
  for (const message of from) visit(message);
  return [...found];
}

/** All messages of files, those inside others included. */
export function messagesOf(files: readonly DescFile[]): DescMessage[] {
  const within = (message: DescMessage): DescMessage[] => [
    message,
    ...message.nestedMessages.flatMap(within),
  ];
  return files.flatMap((file) => file.messages).flatMap(within);
}
