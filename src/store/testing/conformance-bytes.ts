/** Bytes that tell their seed at every place. */
export const patternBytes = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (seed + i * 31) & 0xff;
  return bytes;
};

/** Sizes from one byte to several pages, different from block to block. */
export const blockBytes = (firstIndex: number): number =>
  1 + (firstIndex % 20 === 0 ? 40_000 : (firstIndex * 7919) % 3000);
