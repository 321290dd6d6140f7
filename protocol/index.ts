// The sans-I/O machines, for drivers, fuzzers and simulators.
export { PipeReceiver, PipeSender } from "./byte-pipe.ts";
export { crc32 } from "./crc32.ts";
export { Delimiter } from "./delimit.ts";
export { decodeFrame, encodeFrame, type Frame, FrameWriter, isViolation } from "./frames.ts";
export type { DialledLink, Link, LinkHandler, LinkKind } from "./link.ts";
export { type ClientEffect, ClientSession } from "./session/client.ts";
export { type ServerEffect, ServerSession } from "./session/server.ts";
export { PREFACE, sniff } from "./sniff.ts";
export type { Violation } from "./violation.ts";
