import { type CborValue, encodeCbor } from "../support/cbor.ts";
import type { Seeded } from "../support/seeded.ts";
import type { Credentials } from "../support/server.ts";
import { type RawRequest, sign, targeted } from "../support/wire.ts";

/** A valid call, before anything is done to it. */
export interface Template {
  readonly service: "kms" | "kinesis" | "cloudtrail" | "iam" | "sts";
  /** X-Amz-Target of the JSON services; the action of the query services. */
  readonly target: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface Signing {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: Credentials;
}

/** A request that went wrong somewhere, and which answers to it are right. */
export interface Mutant {
  readonly what: string;
  readonly request: RawRequest;
  /** Error codes that may answer it; absent: any known code, or success where the change did no harm. */
  readonly expected?: readonly string[];
  /** The server may close the connection instead of reading a body that is too large to the end. */
  readonly mayReset?: true;
}

const CBOR = "application/x-amz-cbor-1.1";
const DAY_MS = 86_400_000;
const API_VERSIONS = { iam: "2010-05-08", sts: "2011-06-15" } as const;
const UNAUTHENTIC = ["InvalidSignatureException", "SignatureDoesNotMatch"];
const UNSIGNED = ["MissingAuthenticationTokenException", "MissingAuthenticationToken"];
const INCOMPLETE = ["IncompleteSignatureException", "IncompleteSignature", ...UNAUTHENTIC, ...UNSIGNED];

const isQuery = (template: Template): boolean => template.service === "iam" || template.service === "sts";

/** The valid request of a template, unsigned. */
export function encode(template: Template, input: unknown = template.input): RawRequest {
  if (!isQuery(template)) return targeted(template.target, JSON.stringify(input));
  const fields: Readonly<Record<string, unknown>> = {
    Action: template.target,
    Version: API_VERSIONS[template.service as "iam" | "sts"],
    ...(input as Record<string, unknown>),
  };
  const pairs = Object.entries(fields).map(([name, value]): [string, string] => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const body = new URLSearchParams(pairs).toString();
  return {
    method: "POST",
    path: "/",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: Buffer.from(body, "utf8"),
  };
}

export const signedAs = (template: Template, request: RawRequest, signing: Signing, nowMs?: number): RawRequest =>
  sign(request, { ...signing, service: template.service, ...(nowMs === undefined ? {} : { nowMs }) });

/** One wrong request, chosen by `random` alone. */
export function mutate(template: Template, signing: Signing, random: Seeded): Mutant {
  const kind = random.below(100);
  if (kind < 20) return envelope(template, signing, random);
  if (kind < 60 || isQuery(template)) return values(template, signing, random);
  if (kind < 80) return bytes(template, signing, random);
  if (template.service === "kinesis") return cbor(template, signing, random);
  return nesting(template, signing, random);
}

/** What surrounds the body: signature, date, headers, method, path. */
function envelope(template: Template, signing: Signing, random: Seeded): Mutant {
  const plain = encode(template);
  const signed = signedAs(template, plain, signing);
  const without = (name: string): RawRequest => ({
    ...signed,
    headers: Object.fromEntries(Object.entries(signed.headers).filter(([header]) => header !== name)),
  });
  const withHeader = (name: string, value: string): RawRequest => ({
    ...signed,
    headers: { ...signed.headers, [name]: value },
  });
  const authorization = signed.headers["authorization"] ?? "";
  const cut = random.below(authorization.length);
  const choices: readonly (() => Mutant)[] = [
    () => ({ what: "unsigned", request: plain, expected: UNSIGNED }),
    () => ({ what: "without date", request: without("x-amz-date"), expected: INCOMPLETE }),
    () => ({
      what: "wrong secret",
      request: signedAs(template, plain, {
        ...signing,
        credentials: { ...signing.credentials, secretAccessKey: "A".repeat(40) },
      }),
      expected: UNAUTHENTIC,
    }),
    () => ({
      what: "unknown access key",
      request: signedAs(template, plain, {
        ...signing,
        credentials: { ...signing.credentials, accessKeyId: "AKIAAAAAAAAAAAAAAAAA" },
      }),
      expected: ["UnrecognizedClientException", "InvalidClientTokenId"],
    }),
    () => ({
      what: "replaced body",
      request: { ...signed, body: Buffer.concat([signed.body, Buffer.from(isQuery(template) ? "&X=1" : " ")]) },
      expected: UNAUTHENTIC,
    }),
    () => ({
      what: "stale date",
      request: signedAs(template, plain, signing, Date.now() - DAY_MS * (1 + random.below(1000))),
      expected: UNAUTHENTIC,
    }),
    () => ({
      what: "date to come",
      request: signedAs(template, plain, signing, Date.now() + DAY_MS * (1 + random.below(1000))),
      expected: UNAUTHENTIC,
    }),
    () => ({
      what: "garbled date",
      request: withHeader("x-amz-date", random.bytes(8).toString("hex")),
      expected: INCOMPLETE,
    }),
    () => ({
      what: "cut authorization",
      request: withHeader("authorization", authorization.slice(0, cut)),
      expected: INCOMPLETE,
    }),
    () => ({
      what: "flipped authorization",
      request: withHeader("authorization", flipCharacter(authorization, cut)),
      expected: [...INCOMPLETE, "UnrecognizedClientException", "InvalidClientTokenId"],
    }),
    () => ({ what: "another path", request: { ...signed, path: `/${random.bytes(4).toString("hex")}` } }),
    () => ({
      what: "another method",
      request: { ...signed, method: random.pick(["PUT", "DELETE", "PATCH", "OPTIONS"]) },
    }),
    () => ({
      what: "another target",
      request: withHeader("x-amz-target", random.pick(["", "X", "TrentService.", "Kinesis_20131202.X", "a.b.c"])),
    }),
    () => ({
      what: "another content type",
      request: withHeader("content-type", random.pick(["text/plain", CBOR, "", "application/json;;;"])),
    }),
  ];
  return random.pick(choices)();
}

/** A printable character becomes another one. */
function flipCharacter(text: string, at: number): string {
  const flipped = text.charCodeAt(at) ^ 1;
  return text.slice(0, at) + String.fromCharCode(flipped < 33 ? 33 : flipped) + text.slice(at + 1);
}

/** Values of wrong type, size, form, or from somewhere else. */
const HOSTILE: readonly ((random: Seeded, valid: unknown) => unknown)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 1.5,
  () => 1e308,
  () => Number.MAX_SAFE_INTEGER,
  () => "",
  () => [],
  () => ({}),
  () => ["a", 1, null],
  () => ({ __proto__: null, constructor: { prototype: { polluted: true } } }),
  (random) => random.bytes(1 + random.below(64)).toString("latin1"),
  (random) => random.bytes(1 + random.below(64)).toString("base64"),
  (random) => "a".repeat(1 + random.below(5_000)),
  () => "\u0000\u001f\u007f\ud800\udfff\uffff",
  () => "arn:aws:kms:us-east-1:000000000000:key/../../etc/passwd",
  () => "arn:aws:kinesis:::stream/" + "x".repeat(200),
  () => "not*base64*",
  () => "AAA",
  () => "9".repeat(200),
  () => "-0",
  () => "${aws:username}",
  () => "1) OR 1=1; --",
  (random) => "é漢🔑".repeat(1 + random.below(100)),
  (random, valid) =>
    typeof valid === "string" && valid !== "" ? flipCharacter(valid, random.below(valid.length)) : "x",
  (random, valid) => (typeof valid === "string" ? valid.slice(0, random.below(valid.length + 1)) : valid),
  (_, valid) => (typeof valid === "string" ? valid + valid : [valid]),
];

/** Replaces, drops or adds members anywhere in the input: forged iterators, markers and ciphertexts come from here. */
function values(template: Template, signing: Signing, random: Seeded): Mutant {
  const members = Object.entries(template.input);
  const changed: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of members) changed[name] = value;
  const rounds = 1 + random.below(3);
  for (let round = 0; round < rounds; round += 1) {
    const [name, value] = members.length === 0 ? ["Extra", ""] : random.pick(members);
    const what = random.below(10);
    if (what === 0) delete changed[name];
    else if (what === 1)
      changed[random.pick(["__proto__", "constructor", "toString", "Unknown", ""])] = random.pick(HOSTILE)(
        random,
        value,
      );
    else if (what === 2) changed[name.toLowerCase()] = value;
    else if (Array.isArray(value) && value.length > 0 && random.chance(0.7)) changed[name] = withinList(value, random);
    else changed[name] = random.pick(HOSTILE)(random, value);
  }
  return { what: `values of ${template.target}`, request: signedAs(template, encode(template, changed), signing) };
}

function withinList(list: readonly unknown[], random: Seeded): readonly unknown[] {
  const at = random.below(list.length);
  return list.map((item, index) => {
    if (index !== at) return item;
    if (item === null || typeof item !== "object" || random.chance(0.2)) return random.pick(HOSTILE)(random, item);
    const name = random.pick(Object.keys(item));
    return { ...item, [name]: random.pick(HOSTILE)(random, (item as Record<string, unknown>)[name]) };
  });
}

/** The encoded body itself: cut, flipped, repeated, replaced. */
function bytes(template: Template, signing: Signing, random: Seeded): Mutant {
  const { body } = encode(template);
  const flipped = Buffer.from(body);
  for (let count = 0; count <= random.below(4); count += 1) {
    const at = random.below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
  }
  const cut = random.below(body.length);
  const choices: readonly (() => Uint8Array)[] = [
    () => flipped,
    () => flipped,
    () => body.subarray(0, cut),
    () => Buffer.concat([body.subarray(0, cut), random.bytes(1 + random.below(8)), body.subarray(cut)]),
    () => Buffer.concat([body, body]),
    () => random.bytes(random.below(300)),
    () => Buffer.alloc(0),
    () =>
      Buffer.from(
        random.pick(["[]", "null", '"x"', "1", "{", "}", "{}{}", '{"a":', "\ufeff{}", "// {}", "{'a':1}", "NaN"]),
      ),
    () => Buffer.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  ];
  const request = { ...encode(template), body: random.pick(choices)() };
  return { what: `bytes of ${template.target}`, request: signedAs(template, request, signing) };
}

/** JSON that is deep, wide or large. */
function nesting(template: Template, signing: Signing, random: Seeded): Mutant {
  const depth = 10 + random.below(20_000);
  const choices: readonly (() => string)[] = [
    () => "[".repeat(depth),
    () => "[".repeat(depth) + "]".repeat(depth),
    () => '{"a":'.repeat(depth) + "1" + "}".repeat(depth),
    () => `{"Tags":[${"{},".repeat(depth)}{}]}`,
    () => `{${Array.from({ length: 2_000 }, (_, index) => `"m${index}":${index}`).join(",")}}`,
    () => `{"KeyId":"${"a".repeat(random.chance(0.02) ? 24_000_000 : 200_000)}"}`,
    () => `{"Limit":${"9".repeat(depth)}}`,
  ];
  const body = Buffer.from(random.pick(choices)(), "utf8");
  const request = signedAs(template, { ...encode(template), body }, signing);
  return { what: "nesting", request, ...(body.length > 1_000_000 ? { mayReset: true as const } : {}) };
}

/** CBOR that claims, nests or breaks off. */
function cbor(template: Template, signing: Signing, random: Seeded): Mutant {
  const valid = encodeCbor(JSON.parse(JSON.stringify(template.input)) as CborValue);
  const flipped = Buffer.from(valid);
  const at = random.below(flipped.length);
  flipped[at] = random.below(256);
  const depth = 10 + random.below(50_000);
  const claim = random.bytes(4).toString("hex");
  const choices: readonly (() => Uint8Array)[] = [
    () => flipped,
    () => flipped,
    () => valid.subarray(0, at),
    () => Buffer.alloc(depth, 0x81),
    () => Buffer.alloc(depth, 0x9f),
    () => Buffer.alloc(depth, 0xc1),
    () => Buffer.from(`9a${claim}`, "hex"),
    () => Buffer.from(`ba${claim}`, "hex"),
    () => Buffer.from(`9bffffffff${claim}`, "hex"),
    () => Buffer.from(`bf6444617461${random.pick(["5a", "7a", "9a", "ba"])}${claim}`, "hex"),
    () => random.bytes(1 + random.below(200)),
    () => Buffer.concat([valid, valid]),
  ];
  const request = targeted(template.target, random.pick(choices)(), CBOR);
  return { what: `CBOR of ${template.target}`, request: signedAs(template, request, signing) };
}
