import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";

// Reads the rules that stand as options in the schema. The options' own descriptors are found in the request, by full
// name, so that the generator depends on no generated code and serves any schema that uses them.

export interface FrameRuleOption {
  readonly kind: string;
  readonly number: number;
  readonly sender: string;
  readonly phases: readonly string[];
  readonly counter: string;
  readonly hot: boolean;
  readonly message: DescMessage;
  readonly field: DescField;
}

export interface ErrorRuleOption {
  readonly name: string;
  readonly number: number;
  readonly scope: string;
  readonly retry: string;
  readonly comment: string;
}

/** The three options, as found in a set of files; undefined when the schema does not define them. */
export interface RuleOptions {
  readonly frameRule: DescExtension;
  readonly errorRule: DescExtension;
  readonly sensitive: DescExtension;
}

export function findRuleOptions(files: readonly DescFile[]): RuleOptions | undefined {
  const find = (name: string) =>
    files.flatMap((file) => file.extensions).find((candidate) => candidate.name === name);
  const [frameRule, errorRule, sensitive] = ["frame_rule", "error_rule", "sensitive"].map(find);
  if (!frameRule || !errorRule || !sensitive) return undefined;
  return { frameRule, errorRule, sensitive };
}

/** The rules of all kinds of a frame message. Throws when a kind has none, or one that says nothing. */
export function frameRules(frame: DescMessage, options: RuleOptions): FrameRuleOption[] {
  const oneof = frame.oneofs[0];
  if (oneof === undefined || oneof.fields.length !== frame.fields.length) {
    throw new Error(`${frame.typeName} must be a single oneof`);
  }
  return oneof.fields.map((field) => frameRuleOf(field, options));
}

function frameRuleOf(field: DescField, options: RuleOptions): FrameRuleOption {
  if (field.message === undefined || field.fieldKind !== "message") {
    throw new Error(`${field}: a frame kind must be a message`);
  }
  if (!hasOption(field, options.frameRule)) throw new Error(`${field}: frame_rule is missing`);
  const rule = getOption(field, options.frameRule) as unknown as {
    sender: number;
    phases: number[];
    counter: number;
    hot: boolean;
  };
  const enums = enumsOf(options.frameRule);
  if (rule.sender === 0) throw new Error(`${field}: frame_rule has no sender`);
  if (rule.phases.length === 0 || rule.phases.includes(0)) {
    throw new Error(`${field}: frame_rule has no phases`);
  }
  return {
    kind: field.localName,
    number: field.number,
    sender: shortName(enums, "sender", rule.sender),
    phases: rule.phases.map((phase) => shortName(enums, "phases", phase)),
    counter: rule.counter === 0 ? "none" : shortName(enums, "counter", rule.counter),
    hot: rule.hot,
    message: field.message,
    field,
  };
}

/** The rules of all codes of an error enum but zero. Throws when a code has none. */
export function errorRules(
  codes: DescEnum,
  options: RuleOptions,
  commentOf: (value: DescEnum["values"][number]) => string,
): ErrorRuleOption[] {
  const enums = enumsOf(options.errorRule);
  return codes.values
    .filter((value) => value.number !== 0)
    .map((value) => {
      if (!hasOption(value, options.errorRule)) throw new Error(`${value}: error_rule is missing`);
      const rule = getOption(value, options.errorRule) as unknown as {
        scope: number;
        retry: number;
      };
      if (rule.scope === 0 || rule.retry === 0) {
        throw new Error(`${value}: error_rule has no scope or no retry`);
      }
      return {
        name: value.localName,
        number: value.number,
        scope: shortName(enums, "scope", rule.scope),
        retry: shortName(enums, "retry", rule.retry),
        comment: commentOf(value),
      };
    });
}

function enumsOf(extension: DescExtension): ReadonlyMap<string, DescEnum> {
  const fields = extension.message?.fields ?? [];
  return new Map(fields.flatMap((field) => (field.enum ? [[field.localName, field.enum]] : [])));
}

/** FRAME_SENDER_CLIENT becomes "client", ERROR_RETRY_AFTER_DELAY "after-delay". */
function shortName(enums: ReadonlyMap<string, DescEnum>, member: string, number: number): string {
  const value = enums.get(member)?.value[number];
  if (value === undefined) throw new Error(`${member}: ${number} is no value of its enum`);
  return value.localName.toLowerCase().replaceAll("_", "-");
}

/** All messages reachable from a message, itself first, each once. */
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
