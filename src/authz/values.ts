/** The typed values of conditions. Each reader answers null for what is not such a value. */

/**
 * The name of a condition key as it is compared: without regard to the case of ASCII letters. Folding more (the Kelvin sign
 * is a `k` to Unicode) would make one key of names that nobody takes for the same.
 */
export const foldName = (name: string): string =>
  // Runs for every key of every request; what is all ASCII, as nearly all is, folds in one go.
  ASCII.test(name) ? name.toLowerCase() : name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

const ASCII = /^\p{ASCII}*$/u;

/** Longer than any double or instant is written. */
const NUMBER_LENGTH_MAX = 40;
const DECIMAL = /^[+-]?\d+(\.\d+)?$/;

/** A decimal number, without exponent: the form of the Numeric operators. */
export function parseDecimal(text: string): number | null {
  return text.length <= NUMBER_LENGTH_MAX && DECIMAL.test(text) ? Number(text) : null;
}

/** W3C's profile of ISO 8601: a year, a month, a day, or a day with a time and a time zone. */
const W3C_DATE = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d))?)?)?$/;
const EPOCH_SECONDS = /^\d{5,12}(\.\d{1,9})?$/;

/**
 * An instant in milliseconds since the epoch, from a W3C date or from epoch seconds. Four digits are a year; epoch seconds
 * therefore need five (the first day of 1970 cannot be written as a number).
 */
export function parseInstant(text: string): number | null {
  const plain = parseUtcSecond(text);
  if (plain !== null) return plain;
  if (text.length > NUMBER_LENGTH_MAX) return null;
  if (EPOCH_SECONDS.test(text)) return Number(text) * 1000;
  const match = W3C_DATE.exec(text);
  if (match === null) return null;
  const [, year, month = "01", day = "01", hour = "00", minute = "00", second = "00", fraction = "0", zone = "Z"] =
    match;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const offsetMinutes = offsetOf(zone);
  if (new Date(date).toISOString().slice(0, 10) !== `${year}-${month}-${day}` || offsetMinutes === null) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const timeMs = ((Number(hour) * 60 + Number(minute) - offsetMinutes) * 60 + Number(second)) * 1000;
  return date + timeMs + Math.floor(Number(`0.${fraction}`) * 1000);
}

const SECOND_FORM = "0000-00-00T00:00:00Z";
const ZERO = "0".charCodeAt(0);
const LAST_DAYS: readonly number[] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The form in which requests and most policies carry times, `2026-01-02T03:04:05Z`, read without taking it apart. */
function parseUtcSecond(text: string): number | null {
  if (text.length !== SECOND_FORM.length) return null;
  for (let at = 0; at < SECOND_FORM.length; at++) {
    const form = SECOND_FORM.charCodeAt(at);
    const code = text.charCodeAt(at);
    if (form === ZERO ? code < ZERO || code > ZERO + 9 : code !== form) return null;
  }
  const pair = (at: number): number => text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 11 * ZERO;
  const year = pair(0) * 100 + pair(2);
  const month = pair(5);
  const day = pair(8);
  // What is left out here (early years, leap days) and what is no date is read by its parts.
  if (year < 1000 || day < 1 || day > (LAST_DAYS[month - 1] ?? 0)) return null;
  if (pair(11) > 23 || pair(14) > 59 || pair(17) > 59) return null;
  return Date.UTC(year, month - 1, day, pair(11), pair(14), pair(17));
}

function offsetOf(zone: string): number | null {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4));
  if (hours > 23 || minutes > 59) return null;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

/** Standard base64 with padding, in its canonical form. */
export function parseBase64(text: string): string | null {
  const canonical = Buffer.from(text, "base64").toString("base64");
  return canonical === text ? canonical : null;
}
