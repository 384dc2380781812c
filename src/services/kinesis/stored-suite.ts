/** Cipher suites as reports name them, by their ids in blocks and jobs (docs/formats/record-block.md). */
const NAMES: Readonly<Record<number, string>> = { 0: "none", 1: "aes", 2: "xchacha" };

export const suiteText = (suite: number): string => NAMES[suite] ?? `suite ${suite}`;
