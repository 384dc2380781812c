import type { Position } from "./shapes.generated.ts";

export interface StatementPosition {
  readonly start: Position;
  readonly end: Position;
}

const SPACE = " \t\r\n";

/**
 * Where the statements of a document stand, by their index. As AWS counts (measured by its own examples): lines and columns
 * from 1; the end is behind the closing brace, the start behind what was read before: the opening bracket of the list or the
 * statement before; behind its own brace where it stands alone. The document is known to be valid.
 */
export function statementPositions(document: string): readonly StatementPosition[] {
  const begin = startOfStatements(document);
  const at = positionsIn(document);
  if (document.charAt(begin) !== "[") return [{ start: at(begin + 1), end: at(endOfValue(document, begin)) }];
  const positions: StatementPosition[] = [];
  let before = begin + 1;
  for (;;) {
    const start = skip(document, before, `${SPACE},`);
    if (start >= document.length || document.charAt(start) === "]") return positions;
    const end = endOfValue(document, start);
    positions.push({ start: at(before), end: at(end) });
    before = end;
  }
}

/** The offset of the value of the document's member Statement. */
function startOfStatements(document: string): number {
  let from = skip(document, 0, SPACE) + 1;
  for (;;) {
    const nameStart = skip(document, from, `${SPACE},`);
    const nameEnd = endOfValue(document, nameStart);
    const valueStart = skip(document, nameEnd, `${SPACE}:`);
    if (valueStart >= document.length) throw new Error("the document has no statements");
    if (JSON.parse(document.slice(nameStart, nameEnd)) === "Statement") return valueStart;
    from = endOfValue(document, valueStart);
  }
}

function skip(document: string, from: number, characters: string): number {
  let at = from;
  while (at < document.length && characters.includes(document.charAt(at))) at++;
  return at;
}

/** The offset behind a JSON value: braces are counted outside of strings. */
function endOfValue(document: string, start: number): number {
  let depth = 0;
  for (let at = start; at < document.length; at++) {
    const character = document.charAt(at);
    if (character === '"') {
      for (at++; at < document.length && document.charAt(at) !== '"'; at++) if (document.charAt(at) === "\\") at++;
      if (depth === 0) return at + 1;
    } else if (character === "{" || character === "[") depth++;
    else if ((character === "}" || character === "]") && --depth === 0) return at + 1;
    else if (depth <= 0 && `${SPACE},]}`.includes(character)) return at;
  }
  return document.length;
}

/** Offsets are asked for in ascending order or near it: lines are found once. */
function positionsIn(document: string): (offset: number) => Position {
  const lineStarts = [0];
  for (let at = document.indexOf("\n"); at >= 0; at = document.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, lineStarts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { Line: low + 1, Column: offset - (lineStarts[low] ?? 0) + 1 };
  };
}
