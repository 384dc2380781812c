/**
 * Requests and answers as payloads of frames. What is text stands in one piece, its fields apart by line breaks, because one
 * long string is read much faster than forty short ones; no field of HTTP may hold a line break, and the number of fields says
 * when one did.
 *
 *   request   number of fields (2) | bytes of text (4) | text | body
 *             fields: method, target, source address, TLS version, cipher suite (both empty without TLS), name, value, ...
 *   answer    status (2) | 1 if it goes on, else 0 (1) | number of fields (2) | bytes of text (4) | text | body
 *             fields: name, value, ...
 */
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { COPIED_BYTES_MAX, FRAME_HEAD_BYTES, FRAME_KIND, FrameError, openFrame } from "./frames.ts";

const REQUEST_FIXED_BYTES = 6;
const ANSWER_FIXED_BYTES = 9;
const REQUEST_FIELDS_MIN = 5;
const FIELD_COUNT_MAX = 65_535;

/** The pieces of a frame: the text, and the body with it or behind it. */
function withText(
  frame: { readonly kind: number; readonly id: number; readonly fixedBytes: number },
  fields: readonly string[],
  body: Uint8Array,
): { readonly first: Buffer; readonly pieces: readonly Uint8Array[] } {
  if (fields.length > FIELD_COUNT_MAX) throw new FrameError("too many headers");
  const text = fields.join("\n");
  const textBytes = Buffer.byteLength(text, "utf8");
  const isCopied = body.length <= COPIED_BYTES_MAX;
  const copiedBytes = isCopied ? body.length : 0;
  const first = openFrame(frame.kind, frame.id, frame.fixedBytes + textBytes + copiedBytes, body.length - copiedBytes);
  const textAt = FRAME_HEAD_BYTES + frame.fixedBytes;
  first.writeUInt16LE(fields.length, textAt - 6);
  first.writeUInt32LE(textBytes, textAt - 4);
  first.write(text, textAt, "utf8");
  if (isCopied) first.set(body, textAt + textBytes);
  return { first, pieces: isCopied ? [first] : [first, body] };
}

/** The fields and the body of a payload; the fields are null when a line break made more of them. */
function readText(
  payload: Buffer,
  fixedBytes: number,
): { readonly fields: readonly string[] | null; readonly body: Buffer } {
  if (payload.length < fixedBytes) throw new FrameError("a frame is shorter than its fixed part");
  const fieldCount = payload.readUInt16LE(fixedBytes - 6);
  const bodyAt = fixedBytes + payload.readUInt32LE(fixedBytes - 4);
  if (bodyAt > payload.length) throw new FrameError("a frame is shorter than its text");
  const text = payload.toString("utf8", fixedBytes, bodyAt);
  const fields = fieldCount === 0 && text === "" ? [] : text.split("\n");
  return { fields: fields.length === fieldCount ? fields : null, body: payload.subarray(bodyAt) };
}

export function requestFrame(id: number, request: WireRequest): readonly Uint8Array[] {
  const { tls } = request;
  const fields = [request.method, request.target, request.sourceIp, tls?.version ?? "", tls?.cipherSuite ?? ""];
  for (const [name, value] of request.headers) fields.push(name, value);
  return withText({ kind: FRAME_KIND.request, id, fixedBytes: REQUEST_FIXED_BYTES }, fields, request.body).pieces;
}

/** Null for a request that HTTP does not know: one with a line break in a field. Throws FrameError. */
export function readRequest(payload: Buffer): WireRequest | null {
  const { fields, body } = readText(payload, REQUEST_FIXED_BYTES);
  if (fields === null) return null;
  if (fields.length < REQUEST_FIELDS_MIN || fields.length % 2 !== REQUEST_FIELDS_MIN % 2)
    throw new FrameError("a request lacks a field");
  const [method = "", target = "", sourceIp = "", version = "", cipherSuite = ""] = fields;
  const headers: (readonly [string, string])[] = [];
  for (let at = REQUEST_FIELDS_MIN; at < fields.length; at += 2) headers.push([fields[at] ?? "", fields[at + 1] ?? ""]);
  const isSecure = version !== "";
  return {
    method,
    target,
    headers,
    body,
    sourceIp,
    secureTransport: isSecure,
    ...(isSecure ? { tls: { version, cipherSuite } } : {}),
  };
}

export function answerFrame(id: number, answer: WireResponse): readonly Uint8Array[] {
  const fields: string[] = [];
  for (const name of Object.keys(answer.headers)) fields.push(name, answer.headers[name] ?? "");
  const frame = { kind: FRAME_KIND.answer, id, fixedBytes: ANSWER_FIXED_BYTES };
  const { first, pieces } = withText(frame, fields, answer.body);
  first.writeUInt16LE(answer.status, FRAME_HEAD_BYTES);
  first.writeUInt8(answer.stream === undefined ? 0 : 1, FRAME_HEAD_BYTES + 2);
  return pieces;
}

/** Throws FrameError, for a header with a line break, too: the engine must not have made one. */
export function readAnswer(payload: Buffer): { readonly answer: WireResponse; readonly goesOn: boolean } {
  const { fields, body } = readText(payload, ANSWER_FIXED_BYTES);
  if (fields === null || fields.length % 2 !== 0) throw new FrameError("an answer's headers are malformed");
  const headers: Record<string, string> = {};
  for (let at = 0; at < fields.length; at += 2) headers[fields[at] ?? ""] = fields[at + 1] ?? "";
  return { answer: { status: payload.readUInt16LE(0), headers, body }, goesOn: payload.readUInt8(2) === 1 };
}
