import { create, type DescMessage } from "@bufbuild/protobuf";
import { CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt";
import {
  createEcmaScriptPlugin,
  getComments,
  type Plugin,
  type Schema,
} from "@bufbuild/protoplugin";
import type { CommentOf } from "./comments.ts";
import { hotMessages } from "./hot-messages.ts";
import { printHotCodecs } from "./print-codecs.ts";
import {
  printAccessRules,
  printErrorRules,
  printFrameRules,
  printSensitiveFields,
} from "./print-rules.ts";
import {
  printErrorReference,
  printFrameReference,
  printMessageReference,
  printServiceReference,
} from "./print-spec.ts";
import { Refusal } from "./refusal.ts";
import { accessTable, errorTable, findRuleOptions, frameTable, messagesOf } from "./rules.ts";

interface PluginOptions {
  /** "code": TypeScript tables and codecs; "reference": Markdown for the specification. */
  readonly print: "code" | "reference";
}

const generator = createEcmaScriptPlugin<PluginOptions>({
  name: "protoc-gen-posthorn",
  version: "v0.1.0",
  parseOptions: (raw) => {
    let print: PluginOptions["print"] = "code";
    for (const { key, value } of raw) {
      if (key !== "print" || (value !== "code" && value !== "reference")) {
        throw new Error(`unknown option ${key}=${value}: print=code or print=reference`);
      }
      print = value;
    }
    return { print };
  },
  generateTs: generate,
});

/**
 * Generates from the rules in a schema what code and specification would otherwise repeat by hand.
 *
 * Takes any schema whose frame and error codes carry the options of posthorn/v1/options.proto, all
 * of it in one request. A schema that breaks their rules is answered with a text for its author.
 */
export const posthornPlugin: Plugin = {
  ...generator,
  run: (request) => {
    try {
      return generator.run(request);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      return create(CodeGeneratorResponseSchema, { error: thrown.message });
    }
  },
};

function generate(schema: Schema<PluginOptions>): void {
  const options = findRuleOptions(schema.allFiles);
  const messages = messagesOf(schema.files);
  const frames = frameTable(messages, options);
  const hot = hotMessages(frames.rules);
  const errors = errorTable(
    [...schema.files.flatMap((file) => file.enums), ...messages.flatMap((m) => m.nestedEnums)],
    options,
  );
  const services = schema.files.flatMap((file) => file.services);
  const access = accessTable(services, options);
  const emit = (path: string, text: string) => {
    schema.generateFile(path).print(text.trimEnd());
  };
  if (schema.options.print === "code") {
    const folder = frames.frame.file.name.replace(/[^/]*$/, "");
    emit(`${folder}frame_rules.ts`, printFrameRules(frames.rules));
    emit(`${folder}error_rules.ts`, printErrorRules(errors.rules, commentOf));
    emit(`${folder}access_rules.ts`, printAccessRules(access));
    emit(`${folder}sensitive_fields.ts`, printSensitiveFields(messages, options));
    emit(`${folder}hot_codecs.ts`, printHotCodecs(frames.rules, hot));
    return;
  }
  const source = { commentOf, options, errors, access };
  emit("frames.md", printFrameReference(frames, source));
  emit("errors.md", printErrorReference(source));
  const contents = ["Operation", "Event"].flatMap((name) => named(messages, name));
  if (contents.length > 0) {
    const title = "Operations and events";
    emit("operations-and-events.md", printMessageReference(title, contents, source));
  }
  const sealed = schema.files.find(({ name }) => name.endsWith("/envelope"))?.messages ?? [];
  if (sealed.length > 0) {
    emit("envelope.md", printMessageReference("Envelope reference", sealed, source));
  }
  for (const service of services) {
    const name = service.name.replace(/Service$/, "").toLowerCase();
    emit(`${name}.md`, printServiceReference(service, source));
  }
}

function named(messages: readonly DescMessage[], name: string): DescMessage[] {
  return messages.filter((message) => message.name === name);
}

const commentOf: CommentOf = (desc) => {
  const lines = (getComments(desc).leading ?? "").split("\n").map((line) => line.trim());
  return lines.join("\n").trim();
};
