import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  CodeGeneratorResponseSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { posthornPlugin } from "./plugin.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const OPTIONS_PROTO = "posthorn/v1/options.proto";

/** A small schema that is not ours and whose field names are also those of locals in codecs. */
const SOUND = `edition = "2023";
package bugle;
import "posthorn/v1/options.proto";
option features.field_presence = IMPLICIT;

// One | frame.
message Frame {
  oneof kind {
    // Says something.
    NoteCall note_call = 2 [(posthorn.v1.frame_rule) = {
      sender: FRAME_SENDER_CLIENT, phases: [FRAME_PHASE_OPEN],
      counter: FRAME_COUNTER_OUTBOX, hot: true
    }];
    // Says one | other thing,
    // then nothing.
    Bye bye = 4 [(posthorn.v1.frame_rule) = {
      sender: FRAME_SENDER_BOTH, phases: [FRAME_PHASE_OPENING, FRAME_PHASE_JOINING]
    }];
  }
}
message NoteCall {
  uint64 seq = 1;
  bytes end = 2;
  repeated Part from = 3;
}
message Part {
  uint32 length = 15;
  fixed32 item = 2;
  Colour p = 3;
}
enum Colour {
  COLOUR_UNSPECIFIED = 0;
  COLOUR_BRASS = 1;
}
message Bye {
  // Not to be told.
  string secret_word = 1 [(posthorn.v1.sensitive) = true];
  map<uint32, Inner> by_number = 2;
  message Inner {
    bytes secret_seal = 1 [(posthorn.v1.sensitive) = true];
    repeated Code codes = 2;
  }
}
// The causes.
enum Code {
  CODE_UNSPECIFIED = 0;
  // Out of "breath".
  CODE_OUT_OF_BREATH = 7 [(posthorn.v1.error_rule) = {
    scope: ERROR_SCOPE_OPERATION, retry: ERROR_RETRY_AFTER_DELAY
  }];
  CODE_CRACKED = 9 [(posthorn.v1.error_rule) = {
    scope: ERROR_SCOPE_PROCESS, retry: ERROR_RETRY_NEVER
  }];
}
// Plays.
service BugleService {
  // Plays once.
  rpc Play(Bye) returns (Part) {
    option (posthorn.v1.access) = { who: ACCESS_WHO_MEMBER, conversation_field: "secret_word" };
  }
  // Listens.
  rpc Listen(Bye) returns (Part) {
    option (posthorn.v1.access) = { who: ACCESS_WHO_USER };
  }
}
`;

const BYE_RULE = `[(posthorn.v1.frame_rule) = {
      sender: FRAME_SENDER_BOTH, phases: [FRAME_PHASE_OPENING, FRAME_PHASE_JOINING]
    }]`;
const CRACKED_RULE = `[(posthorn.v1.error_rule) = {
    scope: ERROR_SCOPE_PROCESS, retry: ERROR_RETRY_NEVER
  }]`;
const ONLY_SHAPES =
  "is hot and must be uint32, uint64, fixed32, bytes, an enum or a repeated message";

interface Unsound {
  /** The requirements that the refused schema would break; none for a codec's own limits. */
  readonly id?: string;
  readonly what: string;
  /** What of the sound schema is replaced by what. */
  readonly change: readonly [string, string];
  readonly refusal: string;
}

const UNSOUND: readonly Unsound[] = [
  {
    id: "[FRM-7]",
    what: "a kind without a rule",
    change: [` ${BYE_RULE}`, ""],
    refusal: "field bugle.Frame.bye has no frame_rule",
  },
  {
    id: "[FRM-7]",
    what: "a rule without a sender",
    change: ["sender: FRAME_SENDER_BOTH, ", ""],
    refusal: "field bugle.Frame.bye has no valid sender in its frame_rule",
  },
  {
    id: "[FRM-8]",
    what: "a rule without phases",
    change: [", phases: [FRAME_PHASE_OPENING, FRAME_PHASE_JOINING]", ""],
    refusal: "field bugle.Frame.bye has no phases in its frame_rule",
  },
  {
    id: "[FRM-8]",
    what: "a phase that is none",
    change: ["FRAME_PHASE_JOINING", "FRAME_PHASE_UNSPECIFIED"],
    refusal: "field bugle.Frame.bye has no valid phases in its frame_rule",
  },
  {
    id: "[FRM-8]",
    what: "a phase twice",
    change: ["FRAME_PHASE_JOINING", "FRAME_PHASE_OPENING"],
    refusal: "field bugle.Frame.bye has a phase twice in its frame_rule",
  },
  {
    id: "[FRM-6]",
    what: "a kind that is no message",
    change: ["Bye bye = 4", "bytes bye = 4"],
    refusal: "field bugle.Frame.bye is a frame kind and must be a message",
  },
  {
    id: "[FRM-6]",
    what: "a frame with a field beside its kinds",
    change: ["message Frame {", "message Frame {\n  bytes trailer = 9;"],
    refusal: "message bugle.Frame has frame rules and must be exactly one oneof",
  },
  {
    id: "[FRM-6]",
    what: "a rule outside the frame",
    change: ["uint32 length = 15", `Colour odd = 4 ${BYE_RULE};\n  uint32 length = 15`],
    refusal: "field bugle.Part.odd has a frame_rule, and so has bugle.Frame",
  },
  {
    id: "[FRM-5]",
    what: "a counted kind without a number",
    change: ["uint64 seq = 1", "uint32 seq = 1"],
    refusal: "field bugle.Frame.note_call consumes a counter and must hold `uint64 seq`",
  },
  {
    id: "[ERR-1]",
    what: "a code without a rule",
    change: [` ${CRACKED_RULE}`, ""],
    refusal: "enum value bugle.Code.CODE_CRACKED has no error_rule",
  },
  {
    id: "[ERR-1]",
    what: "a rule without a scope",
    change: ["scope: ERROR_SCOPE_PROCESS, ", ""],
    refusal: "enum value bugle.Code.CODE_CRACKED has no valid scope in its error_rule",
  },
  {
    id: "[ERR-1]",
    what: "a rule without a retry",
    change: [", retry: ERROR_RETRY_NEVER", ""],
    refusal: "enum value bugle.Code.CODE_CRACKED has no valid retry in its error_rule",
  },
  {
    id: "[ERR-1]",
    what: "a rule for zero",
    change: ["CODE_UNSPECIFIED = 0", `CODE_UNSPECIFIED = 0 ${CRACKED_RULE}`],
    refusal: "enum value bugle.Code.CODE_UNSPECIFIED is no error and takes no error_rule",
  },
  {
    id: "[ERR-1]",
    what: "two names for one code",
    change: [
      "CODE_UNSPECIFIED = 0;",
      `option allow_alias = true;
  CODE_UNSPECIFIED = 0;
  CODE_SPLIT = 9 ${CRACKED_RULE};`,
    ],
    refusal: "enum value bugle.Code.CODE_CRACKED is a second name of its number",
  },
  {
    id: "[ERR-1]",
    what: "a rule outside the codes",
    change: ["COLOUR_BRASS = 1", `COLOUR_BRASS = 1 ${CRACKED_RULE}`],
    refusal: "enum value bugle.Code.CODE_OUT_OF_BREATH has an error_rule, and so has bugle.Colour",
  },
  {
    id: "[SVC-1]",
    what: "a method without an access rule",
    change: ["    option (posthorn.v1.access) = { who: ACCESS_WHO_USER };\n", ""],
    refusal: "rpc bugle.BugleService.Listen has no access rule",
  },
  {
    id: "[SVC-1]",
    what: "an access rule for nobody",
    change: ["ACCESS_WHO_USER", "ACCESS_WHO_UNSPECIFIED"],
    refusal: "rpc bugle.BugleService.Listen has no valid who in its access",
  },
  {
    id: "[SVC-1]",
    what: "an access rule for members of nothing",
    change: [', conversation_field: "secret_word"', ""],
    refusal: "rpc bugle.BugleService.Play has the access rule member without conversation_field",
  },
  {
    id: "[SVC-1]",
    what: "an access rule that names a field for nothing",
    change: ["{ who: ACCESS_WHO_USER }", '{ who: ACCESS_WHO_USER, user_field: "secret_word" }'],
    refusal: "rpc bugle.BugleService.Listen has the access rule user with user_field",
  },
  {
    id: "[SVC-1]",
    what: "an access rule that names no field of the request",
    change: ['conversation_field: "secret_word"', 'conversation_field: "by_number"'],
    refusal: "rpc bugle.BugleService.Play names no string of its request in its conversation_field",
  },
  {
    what: "a hot field of a type without straight-line code",
    change: ["bytes end = 2", "string end = 2"],
    refusal: `field bugle.NoteCall.end ${ONLY_SHAPES}`,
  },
  {
    what: "hot repeated numbers",
    change: ["uint32 length = 15", "repeated uint32 length = 15"],
    refusal: `field bugle.Part.length ${ONLY_SHAPES}`,
  },
  {
    what: "a hot group",
    change: [
      "repeated Part from = 3",
      "repeated Part from = 3 [features.message_encoding = DELIMITED]",
    ],
    refusal: `field bugle.NoteCall.from ${ONLY_SHAPES}`,
  },
  {
    what: "a hot field whose absence means something",
    change: ["fixed32 item = 2", "fixed32 item = 2 [features.field_presence = EXPLICIT]"],
    refusal: "field bugle.Part.item is hot and needs implicit presence, outside a oneof",
  },
  {
    what: "a hot oneof",
    change: ["bytes end = 2;", "oneof rest { bytes end = 2; }"],
    refusal: "field bugle.NoteCall.end is hot and needs implicit presence, outside a oneof",
  },
  {
    what: "a hot field with a tag of two bytes",
    change: ["uint32 length = 15", "uint32 length = 16"],
    refusal: "field bugle.Part.length is hot and needs a number up to 15",
  },
  {
    what: "a hot message that contains itself",
    change: ["Colour p = 3", "repeated NoteCall p = 3"],
    refusal: "message bugle.NoteCall is hot and contains itself",
  },
  {
    what: "two hot messages of one name",
    change: ["uint32 length = 15", "message NoteCall {}\n  repeated NoteCall length = 15"],
    refusal: "message bugle.Part.NoteCall is hot and has the name of another hot message",
  },
];

let folder = "";
let schemas: FileDescriptorSet;

// One compiler run for all schemas: each is a folder of its own and valid Protobuf.
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-codegen-"));
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  await mkdir(join(folder, dirname(OPTIONS_PROTO)), { recursive: true });
  await copyFile(join(HERE, "../proto", OPTIONS_PROTO), join(folder, OPTIONS_PROTO));
  await write("sound/bugle.proto", SOUND.replaceAll("bugle", "bugle.sound"));
  await write("bare/bugle.proto", 'edition = "2023";\npackage bugle.bare;\nmessage Frame {}\n');
  for (const [index, { change, what }] of UNSOUND.entries()) {
    const parts = SOUND.split(change[0]);
    assert.equal(parts.length, 2, `"${what}" changes the sound schema in one place`);
    const text = parts.join(change[1]).replace("package bugle;", `package bugle.c${index};`);
    await write(`c${index}/bugle.proto`, text);
  }
  const buf = join(HERE, "../node_modules/@bufbuild/buf/bin/buf");
  const args = [buf, "build", folder, "--as-file-descriptor-set", "-o", "-#format=binpb"];
  const built = spawnSync(process.execPath, args, { maxBuffer: 2 ** 26 });
  assert.equal(built.status, 0, built.stderr.toString());
  schemas = fromBinary(FileDescriptorSetSchema, built.stdout);
});

after(() => rm(folder, { recursive: true, force: true }));

test("[FRM-7] [FRM-8] a sound schema becomes tables that say what its options say", async () => {
  const { FRAME_RULES, FRAME_RULES_BY_NUMBER } = await imported("frame_rules");
  const noteCall = {
    kind: "noteCall",
    number: 2,
    sender: "client",
    phases: ["open"],
    counter: "outbox",
    hot: true,
  };
  const bye = {
    kind: "bye",
    number: 4,
    sender: "both",
    phases: ["opening", "joining"],
    counter: "none",
    hot: false,
  };
  assert.deepEqual(FRAME_RULES, { noteCall, bye });
  assert.deepEqual(Array.from(FRAME_RULES_BY_NUMBER as []), [
    undefined,
    undefined,
    noteCall,
    undefined,
    bye,
  ]);
});

test("[ERR-1] [ERR-3] error codes become rules, and an unknown one has a rule too", async () => {
  const { ERROR_RULES, errorRule } = await imported("error_rules");
  const outOfBreath = {
    code: 7,
    name: "OUT_OF_BREATH",
    scope: "operation",
    retry: "after-delay",
    temporary: true,
    meaning: 'Out of "breath".',
  };
  assert.deepEqual([...ERROR_RULES.keys()], [7, 9]);
  assert.deepEqual(errorRule(7), outOfBreath);
  assert.equal(errorRule(9).temporary, false);
  const { scope, retry, temporary, name } = errorRule(8);
  assert.deepEqual([scope, retry, temporary, name], ["session", "after-delay", true, "UNKNOWN_8"]);
});

test("[AUT-5] sensitive members are listed, also those of messages in messages", async () => {
  const { SENSITIVE_FIELDS } = await imported("sensitive_fields");
  assert.deepEqual(SENSITIVE_FIELDS, ["secretSeal", "secretWord"]);
});

test("[SVC-1] methods have rules of who may ask them", async () => {
  const { ACCESS_RULES } = await imported("access_rules");
  assert.deepEqual(
    [...ACCESS_RULES],
    [
      ["bugle.sound.BugleService/Play", { who: "member", conversationField: "secretWord" }],
      ["bugle.sound.BugleService/Listen", { who: "user" }],
    ],
  );
});

test("[FRM-5] codecs of any hot message agree with protobuf-es", async () => {
  const { HOT_CODECS } = await imported("hot_codecs");
  const { size, write, read } = HOT_CODECS.noteCall;
  const parts = [
    { length: 0xffff_ffff, item: 0x8000_0001, p: 1 },
    { length: 0, item: 0, p: 0 },
    { length: 0, item: 3, p: 0x7fff_ffff },
  ];
  const plain = { seq: Number.MAX_SAFE_INTEGER, end: Uint8Array.of(1, 2), from: parts };
  const schema = createFileRegistry(schemas).getMessage("bugle.sound.NoteCall");
  assert(schema !== undefined);
  const message = create(schema, { ...plain, seq: BigInt(plain.seq) } as never);
  const bytes = toBinary(schema, message);
  const into = new Uint8Array(size(plain));
  assert.equal(write(plain, into, 0), bytes.length);
  assert.deepEqual(into, bytes);
  assert.deepEqual(read(bytes, 0, bytes.length), plain);
});

test("[FRM-7] [FRM-8] [ERR-1] the reference says the same as the tables", () => {
  const pages = generated("sound", "print=reference");
  assert.deepEqual([...pages.keys()].sort(), ["bugle.md", "errors.md", "frames.md"]);
  const has = (page: string, line: string) => {
    assert(pages.get(page)?.split("\n").includes(line), `${line} in\n${pages.get(page)}`);
  };
  has("frames.md", "One | frame.");
  has("frames.md", "| 2 | [`note_call`](#notecall) | client | open | outbox | Says something. |");
  const bye = "Says one \\| other thing, then nothing.";
  has("frames.md", `| 4 | [\`bye\`](#bye) | both | opening, joining |  | ${bye} |`);
  has("frames.md", "| 3 | `from` | repeated [Part](#part) |  |");
  has("frames.md", "| 3 | `p` | [Colour](#colour) |  |");
  has("frames.md", "| 1 | `COLOUR_BRASS` |  |");
  has("frames.md", "| 1 | `secret_word` | string | Not to be told. Never logged. |");
  has("frames.md", "| 2 | `by_number` | map of uint32 to [Inner](#inner) |  |");
  has("frames.md", "| 2 | `codes` | repeated [Code](errors.md) |  |");
  has("errors.md", "The causes.");
  has("errors.md", '| 7 | `OUT_OF_BREATH` | operation | after-delay | Out of "breath". |');
  const play = "`/bugle.sound.BugleService/Play`";
  const member = "member of `secret_word`";
  has("bugle.md", `| ${play} | [Bye](#bye) | [Part](#part) | ${member} | Plays once. |`);
});

for (const [index, { id, what, refusal }] of UNSOUND.entries()) {
  test(`${id ?? "codecs:"} refuses ${what}`, () => {
    const response = posthornPlugin.run(requestFor(`c${index}`, "print=code"));
    assert.equal(response.error, refusal.replaceAll("bugle.", `bugle.c${index}.`));
    assert.deepEqual(response.file, []);
  });
}

test("refuses a schema without our options", () => {
  const { error } = posthornPlugin.run(requestFor("bare", "print=code"));
  assert.equal(error, "the schema does not import the option posthorn.v1.frame_rule");
});

test("refuses an option that it does not know", () => {
  assert.throws(() => posthornPlugin.run(requestFor("sound", "print=poems")), {
    name: "PluginOptionError",
  });
});

test("runs as a compiler plugin: request in, response out, a refusal is a response", () => {
  const refused = runAsProgram(requestFor("c0", "print=code"));
  assert.equal(refused.error, UNSOUND[0]?.refusal.replace("bugle.", "bugle.c0."));
  const request = requestFor("sound", "print=reference");
  assert.deepEqual(runAsProgram(request), posthornPlugin.run(request));
});

test("the plugin's version is the package's", async () => {
  const text = await readFile(join(HERE, "../package.json"), "utf8");
  assert.equal(posthornPlugin.version, `v${JSON.parse(text).version}`);
});

function requestFor(schema: string, print: string): CodeGeneratorRequest {
  const path = `${schema}/bugle.proto`;
  const imports = schema === "bare" ? [] : ["google/protobuf/descriptor.proto", OPTIONS_PROTO];
  return create(CodeGeneratorRequestSchema, {
    fileToGenerate: [path],
    parameter: `target=ts,${print}`,
    protoFile: [...imports, path].map((name) => {
      const file = schemas.file.find((candidate) => candidate.name === name);
      if (file === undefined) throw new Error(`${name} was not built`);
      return file;
    }),
  });
}

function generated(schema: string, print: string): Map<string, string> {
  const { error, file } = posthornPlugin.run(requestFor(schema, print));
  assert.equal(error, "");
  return new Map(file.map(({ name, content }) => [name, content]));
}

/** Runs one of the sound schema's modules. */
async function imported(name: string) {
  const text = generated("sound", "print=code").get(`sound/${name}.ts`);
  assert(text !== undefined);
  const path = join(folder, `${name}.mts`);
  await writeFile(path, text);
  return import(pathToFileURL(path).href);
}

function runAsProgram(request: CodeGeneratorRequest): CodeGeneratorResponse {
  const input = toBinary(CodeGeneratorRequestSchema, request);
  const args = [join(HERE, "protoc-gen-posthorn.ts")];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { input });
  assert.equal(status, 0, stderr.toString());
  return fromBinary(CodeGeneratorResponseSchema, stdout);
}
