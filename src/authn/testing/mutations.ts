import { posix } from "node:path";
import type { WireRequest } from "../../protocol/wire.ts";

/** A signed request with one field changed. */
export interface Mutation {
  readonly field: string;
  readonly request: WireRequest;
}

const other = (character: string): string => (character === "X" ? "Y" : "X");
const replaced = (text: string, at: number, by: string): string => text.slice(0, at) + by + text.slice(at + 1);

/** Paths that name the same resource have the same canonical form: "/a/../b" is "/b". */
const isSameNormalised = (a: string, b: string): boolean => posix.normalize(`/${a}`) === posix.normalize(b);

/** Every single field of a request that its signature covers, changed in one or several ways. */
export function* mutations(
  request: WireRequest,
  isSamePath: (a: string, b: string) => boolean = isSameNormalised,
): Generator<Mutation> {
  yield* ofMethodAndPath(request, isSamePath);
  yield* ofQuery(request);
  yield* ofHeaders(request);
  yield* ofBody(request);
  yield* ofSignature(request);
}

function* ofMethodAndPath(request: WireRequest, isSamePath: (a: string, b: string) => boolean): Generator<Mutation> {
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", request.method.toLowerCase()])
    if (method !== request.method) yield { field: `method ${method}`, request: { ...request, method } };
  const [path, query] = split(request.target);
  const paths = new Set([`${path}X`, `${path}/X`, `/X${path}`]);
  for (let at = 0; at < path.length; at++) {
    paths.add(replaced(path, at, other(path.charAt(at))));
    if (at > 0) paths.add(replaced(path, at, ""));
  }
  for (const changed of paths) {
    if (isSamePath(changed, path)) continue;
    yield { field: `path ${changed}`, request: { ...request, target: changed + query } };
  }
}

function* ofQuery(request: WireRequest): Generator<Mutation> {
  const [path, query] = split(request.target);
  const at = (changed: string): WireRequest => ({ ...request, target: path + (changed === "" ? "" : `?${changed}`) });
  const pieces = query === "" ? [] : query.slice(1).split("&");
  yield { field: "a query parameter added", request: at([...pieces, "added=1"].join("&")) };
  yield { field: "an empty query parameter added", request: at([...pieces, "="].join("&")) };
  for (const [index, piece] of pieces.entries()) {
    const [name = "", value = ""] = piece.split("=");
    const instead = (...by: readonly string[]): WireRequest => at(pieces.toSpliced(index, 1, ...by).join("&"));
    yield { field: `query without ${name}`, request: instead() };
    yield { field: `query with ${name} twice`, request: instead(piece, piece) };
    yield { field: `query with another ${name}`, request: instead(piece, `${name}=X`) };
    yield { field: `query value ${name} emptied`, request: instead(value === "" ? `${name}=X` : `${name}=`) };
    for (let character = 0; character < piece.length; character++) {
      const changed = replaced(piece, character, other(piece.charAt(character)));
      if (piece.startsWith("X-Amz-Signature=")) continue;
      yield { field: `query parameter ${changed}`, request: instead(changed) };
    }
  }
}

function* ofHeaders(request: WireRequest): Generator<Mutation> {
  const signed = signedHeadersOf(request);
  const withHeaders = (headers: WireRequest["headers"]): WireRequest => ({ ...request, headers });
  for (const [index, [name, value]] of request.headers.entries()) {
    if (!signed.includes(name.toLowerCase())) continue;
    const instead = (...by: readonly (readonly [string, string])[]): WireRequest =>
      withHeaders(request.headers.toSpliced(index, 1, ...by));
    yield { field: `header ${name} taken out`, request: instead() };
    yield { field: `header ${name} renamed`, request: instead([`${name}x`, value]) };
    yield { field: `header ${name} twice`, request: instead([name, value], [name, value]) };
    yield { field: `header ${name} with another value before it`, request: instead([name, "X"], [name, value]) };
    yield { field: `header ${name} emptied`, request: instead([name, ""]) };
    for (let at = 0; at < value.length; at++) {
      if (value.charAt(at) === " ") continue;
      yield {
        field: `header ${name} at ${at}`,
        request: instead([name, replaced(value, at, other(value.charAt(at)))]),
      };
    }
  }
  yield {
    field: "an x-amz- header added",
    request: withHeaders([...request.headers, ["X-Amz-Security-Policy", "none"]]),
  };
  const repeated = request.headers.filter(([name]) => name === "My-Header1");
  if (new Set(repeated.map(([, value]) => value)).size > 1) {
    const rest = request.headers.filter(([name]) => name !== "My-Header1");
    yield { field: "headers of one name in another order", request: withHeaders([...rest, ...repeated.toReversed()]) };
  }
}

function* ofBody(request: WireRequest): Generator<Mutation> {
  const { body } = request;
  yield { field: "body longer", request: { ...request, body: Buffer.concat([body, Buffer.from([0])]) } };
  for (let at = 0; at < body.length; at++) {
    const changed = Buffer.from(body);
    changed[at] = (changed[at] ?? 0) ^ 1;
    yield { field: `body at ${at}`, request: { ...request, body: changed } };
    yield { field: `body cut at ${at}`, request: { ...request, body: body.subarray(0, at) } };
  }
}

/** In the Authorization header, or in the query in its encoding. */
function* ofSignature(request: WireRequest): Generator<Mutation> {
  const edit = (from: RegExp, to: (...groups: string[]) => string): WireRequest => ({
    ...request,
    target: request.target.replace(new RegExp(`(?<=[?&]X-Amz-)${from.source}`), to),
    headers: request.headers.map(([name, value]) =>
      name === "authorization" ? ([name, value.replace(from, to)] as const) : ([name, value] as const),
    ),
  });
  for (let at = 0; at < 64; at++) {
    yield {
      field: `signature at ${at}`,
      request: edit(
        /Signature=([0-9a-f]{64})/,
        (_all, text) => `Signature=${replaced(text, at, text.charAt(at) === "0" ? "1" : "0")}`,
      ),
    };
  }
  for (const text of ["", "0", "0".repeat(63), "0".repeat(64), "0".repeat(65), "0".repeat(4096)])
    yield { field: `signature ${text}`, request: edit(/Signature=[0-9a-f]{64}/, () => `Signature=${text}`) };
  yield {
    field: "signature in upper case",
    request: edit(/Signature=([0-9a-f]{64})/, (_all, text) => `Signature=${text.toUpperCase()}`),
  };
  const scope = /Credential=([^,&]+?)(\/|%2F)(\d{8})(?:\/|%2F)us-east-1(?:\/|%2F)service(?:\/|%2F)aws4_request/;
  const scopes: readonly (readonly [string, (key: string, date: string) => readonly string[]])[] = [
    ["access key of somebody else", (_key, date) => ["AKIDOTHER", date, "us-east-1", "service", "aws4_request"]],
    ["access key of nobody", (_key, date) => ["AKIDNOBODY", date, "us-east-1", "service", "aws4_request"]],
    ["scope's day", (key, date) => [key, String(Number(date) - 1), "us-east-1", "service", "aws4_request"]],
    ["scope's region", (key, date) => [key, date, "eu-central-1", "service", "aws4_request"]],
    ["scope's region, not served", (key, date) => [key, date, "eu-west-9", "service", "aws4_request"]],
    ["scope's service", (key, date) => [key, date, "us-east-1", "servicf", "aws4_request"]],
    ["scope's terminator", (key, date) => [key, date, "us-east-1", "service", "aws5_request"]],
    ["scope longer", (key, date) => [key, date, "us-east-1", "service", "aws4_request", "x"]],
    ["scope shorter", (key, date) => [key, date, "us-east-1", "service"]],
  ];
  for (const [field, parts] of scopes) {
    const changed = edit(
      scope,
      (_all, key = "", slash = "", date = "") => `Credential=${parts(key, date).join(slash)}`,
    );
    yield { field, request: changed };
  }
  const names = signedHeadersOf(request);
  const lists = [...names.keys()].map((at) => names.toSpliced(at, 1));
  for (const list of [
    ...lists,
    [...names, "user-agent"],
    [...names, "x-absent"],
    names.map((name) => name.toUpperCase()),
  ]) {
    yield {
      field: `signed headers ${list.join()}`,
      request: edit(
        /SignedHeaders=([^,&]+)/,
        (_all, text = "") => `SignedHeaders=${list.join(text.includes("%3B") ? "%3B" : ";")}`,
      ),
    };
  }
  const algorithm = /AWS4-HMAC-SHA256/;
  for (const name of ["AWS4-HMAC-SHA1", "AWS3", "AWS4-ECDSA-P256-SHA256", "none", "aws4-hmac-sha256", "AWS"]) {
    yield {
      field: `algorithm ${name}`,
      request: {
        ...request,
        target: request.target.replace(algorithm, name),
        headers: request.headers.map(([header, value]) => [header, value.replace(algorithm, name)] as const),
      },
    };
  }
}

function split(target: string): readonly [path: string, query: string] {
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark)];
}

export function signedHeadersOf(request: WireRequest): readonly string[] {
  const authorization = request.headers.find(([name]) => name === "authorization")?.[1] ?? "";
  const list = /SignedHeaders=([^,&]+)/.exec(authorization + request.target)?.[1] ?? "";
  return list.split(/;|%3B/);
}
