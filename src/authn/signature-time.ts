import { invalidSignature, type Refusal } from "./errors.ts";

/** A moment as Signature Version 4 writes it: `20150830T123600Z`. */
export interface SignatureTime {
  readonly text: string;
  readonly ms: number;
}

const BASIC_FORM = /^\d{8}T\d{6}Z$/;
const MINUTE_MS = 60_000;

/** Null unless the text is a real moment: each has exactly one spelling. */
export function parseSignatureTime(text: string): SignatureTime | null {
  if (!BASIC_FORM.test(text)) return null;
  const number = (from: number, to: number): number => Number(text.slice(from, to));
  const [month, day, hour, minute, second] = [
    number(4, 6),
    number(6, 8),
    number(9, 11),
    number(11, 13),
    number(13, 15),
  ];
  if (hour > 23 || minute > 59 || second > 59) return null;
  const date = new Date(Date.UTC(number(0, 4), month - 1, day, hour, minute, second));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return { text, ms: date.getTime() };
}

export const formatSignatureTime = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;

const HTTP_DATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** The value of a `Date` header: the form of RFC 9110, or the basic one. */
export function parseDateHeader(text: string): SignatureTime | null {
  if (!HTTP_DATE.test(text)) return parseSignatureTime(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : { text: formatSignatureTime(ms), ms };
}

/** How long a signature may be used, and how far the caller's clock may be off. */
export interface ValidityWindow {
  readonly nowMs: number;
  readonly clockSkewMs: number;
  /** Of a presigned request: how long after its time it is accepted. */
  readonly expiresMs?: number;
}

/** Null when the time is inside the window, else the refusal in AWS's words. */
export function refuseOutsideWindow(time: SignatureTime, window: ValidityWindow): Refusal | null {
  const { nowMs, clockSkewMs } = window;
  const lifetimeMs = window.expiresMs ?? clockSkewMs;
  if (time.ms > nowMs + clockSkewMs) {
    const limit = formatSignatureTime(nowMs + clockSkewMs);
    const allowed = `${formatSignatureTime(nowMs)} + ${inMinutes(clockSkewMs)} min.`;
    return invalidSignature(`Signature not yet current: ${time.text} is still later than ${limit} (${allowed})`);
  }
  if (time.ms < nowMs - lifetimeMs) {
    const limit = formatSignatureTime(nowMs - lifetimeMs);
    return invalidSignature(
      `Signature expired: ${time.text} is now earlier than ${limit} (${formatSignatureTime(nowMs)} - ${inMinutes(lifetimeMs)} min.)`,
    );
  }
  return null;
}

const inMinutes = (ms: number): number => Math.round((ms / MINUTE_MS) * 100) / 100;
