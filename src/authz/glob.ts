/**
 * Wildcard matching in bounded time. Patterns and texts both come from callers, so a matcher that backtracks without limit
 * would let one policy stall the server for everybody.
 */

import { charge } from "./evaluation.ts";
import type { Work } from "./types.ts";

/** A pattern token: a UTF-16 code unit, or one of the two wildcards. */
export type GlobToken = number;
/** Any run of characters, also none. */
export const ANY_RUN: GlobToken = -1;
/** Any one character. */
export const ANY_ONE: GlobToken = -2;

/** Steps per character of text and pattern that the greedy matcher may take before the automaton takes over. */
const GREEDY_STEPS_PER_CHARACTER = 8;
const WORD_BITS = 32;

/**
 * Does `pattern` match all of `text` between `from` and `to`? The greedy matcher answers nearly always in one pass, but is
 * quadratic on texts like `aaaa…` under `*aaaa…b`; past its budget an automaton decides, whose cost is text length times
 * pattern length over 32, whatever they contain. What it costs is taken off `work`; when that is used up, the answer is false.
 */
export function globMatches(
  pattern: readonly GlobToken[],
  text: string,
  from = 0,
  to: number = text.length,
  work: Work = { stepsLeft: Infinity },
): boolean {
  const budget = Math.min(GREEDY_STEPS_PER_CHARACTER * (to - from + pattern.length + 1), work.stepsLeft);
  let steps = 0;
  let patternAt = 0;
  let textAt = from;
  let resumePatternAt = -1;
  let resumeTextAt = from;
  while (textAt < to) {
    if (++steps > budget) return charge(work, steps) && automatonMatches(pattern, text, from, to, work);
    const token = pattern[patternAt];
    if (token === ANY_ONE || token === text.charCodeAt(textAt)) {
      patternAt++;
      textAt++;
    } else if (token === ANY_RUN) {
      resumePatternAt = ++patternAt;
      resumeTextAt = textAt;
    } else if (resumePatternAt >= 0) {
      patternAt = resumePatternAt;
      textAt = ++resumeTextAt;
    } else {
      work.stepsLeft -= steps;
      return false;
    }
  }
  work.stepsLeft -= steps;
  while (pattern[patternAt] === ANY_RUN) patternAt++;
  return patternAt === pattern.length;
}

/**
 * Longer texts and patterns are left to `globMatches`, whose cost is bounded whatever they contain. Below, looking for a run
 * costs at most some two microseconds, which the characters that are charged for cover.
 */
const RUNS_LENGTH_MAX = 256;

/** Whether `runsMatch` may be asked about texts and patterns so long. */
export const isShort = (textLength: number, patternLength: number): boolean =>
  textLength <= RUNS_LENGTH_MAX && patternLength <= RUNS_LENGTH_MAX;

/** The literal texts between ANY_RUNs of a pattern (one text: there is none). Null when it has an ANY_ONE. */
export function literalRuns(pattern: readonly GlobToken[]): readonly string[] | null {
  const runs = [""];
  for (const token of pattern) {
    if (token === ANY_ONE) return null;
    if (token === ANY_RUN) runs.push("");
    else runs[runs.length - 1] += String.fromCharCode(token);
  }
  return runs;
}

/** The same question for a pattern in literal runs, each of which is taken where it is first found. */
export function runsMatch(runs: readonly string[], text: string, from: number, to: number): boolean {
  const first = runs[0] ?? "";
  if (runs.length === 1) return to - from === first.length && text.startsWith(first, from);
  const last = runs[runs.length - 1] ?? "";
  const end = to - last.length;
  let at = from + first.length;
  if (at > end || !text.startsWith(first, from) || !text.startsWith(last, end)) return false;
  for (let index = 1; index < runs.length - 1; index++) {
    const run = runs[index] ?? "";
    const found = text.indexOf(run, at);
    at = found + run.length;
    if (found < 0 || at > end) return false;
  }
  return true;
}

/**
 * The same question by a bit-parallel automaton: bit i of the state is set while the first i single-character tokens have
 * been matched; a bit before which an ANY_RUN stands stays set. Exported so that tests can hold both matchers together.
 */
export function automatonMatches(
  pattern: readonly GlobToken[],
  text: string,
  from: number,
  to: number,
  work: Work = { stepsLeft: Infinity },
): boolean {
  const automaton = automatonOf(pattern, work);
  if (automaton === null) return false;
  const { masks, anyMask, loops, tokenCount } = automaton;
  const words = loops.length;
  const state = new Int32Array(words);
  state[0] = 1;
  for (let at = from; at < to; at++) {
    if (!charge(work, words + 1)) return false;
    const mask = masks.get(text.charCodeAt(at)) ?? anyMask;
    let carry = 0;
    let alive = 0;
    for (let word = 0; word < words; word++) {
      const bits = state[word] ?? 0;
      const accepted = bits & (mask[word] ?? 0);
      const next = (accepted << 1) | carry | (bits & (loops[word] ?? 0));
      carry = accepted >>> (WORD_BITS - 1);
      state[word] = next;
      alive |= next;
    }
    if (alive === 0) return false;
  }
  return isSet(state, tokenCount);
}

interface Automaton {
  /** For a code unit of the pattern: the positions whose token takes it. */
  readonly masks: ReadonlyMap<number, Int32Array>;
  /** For every other code unit: the positions of ANY_ONE. */
  readonly anyMask: Int32Array;
  /** The positions in front of which an ANY_RUN stands. */
  readonly loops: Int32Array;
  readonly tokenCount: number;
}

/** Null: the work is used up. A pattern of many different characters has a large automaton. */
function automatonOf(pattern: readonly GlobToken[], work: Work): Automaton | null {
  const words = Math.ceil((pattern.length + 1) / WORD_BITS);
  if (!charge(work, pattern.length)) return null;
  const anyMask = new Int32Array(words);
  const loops = new Int32Array(words);
  const masks = new Map<number, Int32Array>();
  let position = 0;
  for (const token of pattern) {
    if (token === ANY_RUN) {
      setBit(loops, position);
      continue;
    }
    if (token === ANY_ONE) setBit(anyMask, position);
    else {
      let mask = masks.get(token);
      if (mask === undefined) {
        // Made here and joined with `anyMask` below.
        if (!charge(work, 2 * words)) return null;
        mask = new Int32Array(words);
        masks.set(token, mask);
      }
      setBit(mask, position);
    }
    position++;
  }
  for (const mask of masks.values()) {
    for (let word = 0; word < words; word++) mask[word] = (mask[word] ?? 0) | (anyMask[word] ?? 0);
  }
  return { masks, anyMask, loops, tokenCount: position };
}

function setBit(bits: Int32Array, position: number): void {
  const word = Math.floor(position / WORD_BITS);
  bits[word] = (bits[word] ?? 0) | (1 << (position % WORD_BITS));
}

function isSet(bits: Int32Array, position: number): boolean {
  return (((bits[Math.floor(position / WORD_BITS)] ?? 0) >>> (position % WORD_BITS)) & 1) === 1;
}
