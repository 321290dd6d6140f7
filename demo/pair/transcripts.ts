/** What a device sent and was shown. */
export interface Spoken {
  readonly userId: string;
  readonly name: string;
  /** What was accepted, in the order in which it was sent. */
  readonly accepted: readonly string[];
  readonly transcript: readonly {
    readonly from: string;
    readonly text: string;
    readonly seq: number;
  }[];
}

export interface Verdict {
  readonly delivered: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly misordered: number;
}

/**
 * Compares every device's transcript with what every device sent: nothing lost, nothing twice, all
 * in order.
 */
export function judgeTranscripts(devices: readonly Spoken[]): Verdict {
  let [delivered, lost, duplicated, misordered] = [0, 0, 0, 0];
  for (const reader of devices) {
    delivered += reader.transcript.length;
    // One conversation: its numbers are 1, 2, 3 on every device.
    reader.transcript.forEach(({ seq }, index) => {
      if (seq !== index + 1) misordered += 1;
    });
    for (const writer of devices) {
      const from = `${writer.userId}/${writer.name}`;
      const seen = reader.transcript.filter((entry) => entry.from === from);
      const counts = new Map<string, number>();
      for (const { text } of seen) counts.set(text, (counts.get(text) ?? 0) + 1);
      const wanted = new Map<string, number>();
      for (const text of writer.accepted) wanted.set(text, (wanted.get(text) ?? 0) + 1);
      for (const text of new Set([...counts.keys(), ...wanted.keys()])) {
        const surplus = (counts.get(text) ?? 0) - (wanted.get(text) ?? 0);
        if (surplus > 0) duplicated += surplus;
        else lost -= surplus;
      }
      const same = seen.every(({ text }, index) => text === writer.accepted[index]);
      if (!same) misordered += 1;
    }
  }
  return { delivered, lost, duplicated, misordered };
}
