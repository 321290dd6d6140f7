#!/usr/bin/env node
import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import {
  createEcmaScriptPlugin,
  getComments,
  runNodeJs,
  type Schema,
} from "@bufbuild/protoplugin";
import { printHotCodecs } from "./print-codecs.ts";
import { printErrorRules, printFrameRules, printSensitiveFields } from "./print-rules.ts";
import {
  type CommentOf,
  printErrorReference,
  printFrameReference,
  printMessageReference,
  printServiceReference,
} from "./print-spec.ts";
import { errorRules, findRuleOptions, frameRules, reachableMessages } from "./rules.ts";

interface PluginOptions {
  /** "code": TypeScript tables and codecs; "reference": Markdown for the specification. */
  readonly print: "code" | "reference";
}

/** Generates from the rules in the schema what code and specification would otherwise repeat by hand. */
export const posthornPlugin = createEcmaScriptPlugin<PluginOptions>({
  name: "protoc-gen-posthorn",
  version: "v0.1.0",
  parseOptions: (raw) => {
    const options: { print: PluginOptions["print"] } = { print: "code" };
    for (const { key, value } of raw) {
      if (key !== "print" || (value !== "code" && value !== "reference")) {
        throw new Error(`unknown option ${key}=${value}: print=code or print=reference`);
      }
      options.print = value;
    }
    return options;
  },
  generateTs: generate,
});

const FOLDER = "posthorn/v1/";

function generate(schema: Schema<PluginOptions>): void {
  const options = findRuleOptions(schema.allFiles);
  const frame = findMessage(schema, "Frame");
  const codes = schema.files.flatMap((file) => file.enums).find((e) => e.name === "ErrorCode");
  if (options === undefined || frame === undefined || codes === undefined) {
    throw new Error("the schema defines no frame_rule, error_rule and sensitive, Frame, ErrorCode");
  }
  const rules = frameRules(frame, options);
  const errors = errorRules(codes as DescEnum, options, commentOf);
  const emit = (path: string, text: string) => {
    schema.generateFile(path).print(text.trimEnd());
  };
  if (schema.options.print === "code") {
    const messages = reachableMessages([frame]);
    emit(`${FOLDER}frame_rules.ts`, printFrameRules(rules));
    emit(`${FOLDER}error_rules.ts`, printErrorRules(errors));
    emit(`${FOLDER}sensitive_fields.ts`, printSensitiveFields(messages, options));
    emit(`${FOLDER}hot_codecs.ts`, printHotCodecs(rules));
    return;
  }
  emit("frames.md", printFrameReference(rules, commentOf));
  emit("errors.md", printErrorReference(errors));
  const roots = [findMessage(schema, "Operation"), findMessage(schema, "Event")];
  const known = roots.filter((root) => root !== undefined);
  emit("operations-and-events.md", printMessageReference("Operations and events", known, commentOf));
  for (const service of schema.files.flatMap((file) => file.services)) {
    const name = service.name.replace(/Service$/, "").toLowerCase();
    emit(`${name}.md`, printServiceReference(service, commentOf));
  }
}

function findMessage(schema: Schema<PluginOptions>, name: string): DescMessage | undefined {
  return schema.files.flatMap((file) => file.messages).find((message) => message.name === name);
}

const commentOf: CommentOf = (desc) => {
  const lines = (getComments(desc).leading ?? "").split("\n").map((line) => line.trim());
  return lines.join(" ").trim().replaceAll("|", "\\|");
};

if (import.meta.main ?? process.argv[1]?.endsWith("protoc-gen-posthorn.js")) {
  runNodeJs(posthornPlugin);
}
