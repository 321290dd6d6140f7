/** The limits of the server that is fuzzed: small, so that they are met. Bytes and milliseconds. */
export const LIMITS = {
  frameBytes: 128 * 1024,
  /** Of the specification. [FRM-4] */
  openingFrameBytes: 16 * 1024,
  contentBytes: 4 * 1024,
  submitWindowCount: 16,
  submitWindowBytes: 128 * 1024,
  /** Yet long for a machine with other work to do. */
  frameMs: 1_000,
  handshakeMs: 2_000,
  sendBytesMax: 4_096,
  pollBytesMax: 1_024,
  bufferBytesMax: 128 * 1024,
  holdMs: 200,
  idleMs: 600,
} as const;
