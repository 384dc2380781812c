/** Cipher suites as reports name them. A block that this version cannot open is reported, too. */
const NAMES: Readonly<Record<number, string>> = { 0: "none", 1: "aes", 2: "xchacha" };

export const suiteText = (suite: number): string => NAMES[suite] ?? `suite ${suite}`;
