import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { movableClock } from "../base/clock.ts";
import { createAuditLog } from "./audit-log.ts";
import { EVENT_BYTES_MAX } from "./redaction.ts";
import { numberedEvent } from "./testing/events.ts";

const log = createAuditLog({ store: { range: () => Promise.resolve([]) }, clock: movableClock() });

/** The bytes that would be stored for an event with these request parameters, as text. */
function stored(requestParameters: Readonly<Record<string, unknown>>, parts: object = {}): string {
  const [write] = log.entry(numberedEvent(1, 1_700_000_000_000, { requestParameters, ...parts }));
  return Buffer.from(write?.value ?? []).toString("utf8");
}

const FORBIDDEN = [
  "plaintext",
  "Plaintext",
  "ciphertextBlob",
  "CiphertextBlob",
  "data",
  "Data",
  "partitionKey",
  "PartitionKey",
  "partition_key",
  "explicitHashKey",
  "ExplicitHashKey",
  "secretAccessKey",
  "SecretAccessKey",
  "secret-access-key",
  "secretString",
  "secretBinary",
  "password",
  "privateKeyPlaintext",
  "encryptedKeyMaterial",
  "message",
];

describe("redaction", () => {
  test("no value of a forbidden member reaches the stored bytes, wherever it is nested", () => {
    const secret = fc
      .uint8Array({ minLength: 12, maxLength: 24 })
      .map((bytes) => `S${Buffer.from(bytes).toString("hex")}`);
    const wrap = fc.array(fc.constantFrom("list", "map"), { maxLength: 8 });
    fc.assert(
      fc.property(
        secret,
        fc.constantFrom(...FORBIDDEN),
        wrap,
        fc.constantFrom("text", "list", "map"),
        (text, name, wraps, form) => {
          const held = form === "text" ? text : form === "list" ? [text] : { inner: { deeper: text } };
          let nested: unknown = { [name]: held, kept: "kept-value" };
          for (const kind of wraps) nested = kind === "list" ? [nested] : { outer: nested };
          const members = { nested };
          const bytes = stored(members, {
            responseElements: members,
            additionalEventData: members,
            serviceEventDetails: members,
            userIdentity: members,
          });
          expect(bytes).not.toContain(text);
          expect(bytes).toContain("kept-value");
        },
      ),
    );
  });

  test("bytes are never written, whatever they are called", () => {
    const bytes = new TextEncoder().encode("payload");
    expect(stored({ harmless: bytes, list: [bytes], buffer: Buffer.from("payload") })).toContain(
      '"requestParameters":{"list":[]}',
    );
  });

  test("an encryption context keeps pairs of any name, but nothing but text", () => {
    const encryptionContext = { data: "aad-1", password: "aad-2", nested: { plaintext: "hidden" } };
    const text = stored({ encryptionContext });
    expect(text).toContain("aad-1");
    expect(text).toContain("aad-2");
    expect(text).not.toContain("hidden");
  });

  test("every event is valid JSON of bounded size, however large and deep its parts", () => {
    const deep = (levels: number): unknown => (levels === 0 ? "leaf" : { in: deep(levels - 1) });
    const huge = {
      deep: deep(1_000),
      long: "x".repeat(1_000_000),
      many: Array.from({ length: 5_000 }, () => "y".repeat(1_000)),
      ...Object.fromEntries(Array.from({ length: 3_000 }, (_, number) => [`m${number}`, "z".repeat(500)])),
      __proto__: null,
    };
    const resources = Array.from({ length: 500 }, () => ({ ARN: "a".repeat(9_000), accountId: "1", type: "t" }));
    const text = stored(huge, {
      responseElements: huge,
      userAgent: "u".repeat(100_000),
      errorMessage: "é".repeat(50_000),
      resources,
    });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    expect(JSON.parse(text)).toMatchObject({ requestParameters: { omitted: true }, eventName: "Decrypt" });
  });

  test("a long policy loses its tail before the event loses its parameters", () => {
    const event = JSON.parse(stored({ policy: "p".repeat(200_000), keyId: "k" })) as {
      requestParameters: { policy: string };
    };
    expect(event.requestParameters.policy).toHaveLength(33_001);
    expect(event.requestParameters).toMatchObject({ keyId: "k" });
  });

  test("what an event is not known to hold is not stored", () => {
    const text = stored({ keyId: "k" }, { sessionData: "secret-1", tlsDetails: { tlsVersion: "TLSv1.3" } });
    expect(text).not.toContain("secret-1");
    expect(JSON.parse(text)).toMatchObject({
      requestParameters: { keyId: "k" },
      tlsDetails: { tlsVersion: "TLSv1.3" },
    });
  });

  test("any text comes back as it was, quotes, controls and lone surrogates of JSON's own spelling included", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 200 }),
        fc.string({ unit: "binary", maxLength: 50 }),
        (name, value) => {
          const event = JSON.parse(stored({ encryptionContext: { [name]: value } })) as { requestParameters: unknown };
          expect(event.requestParameters).toEqual(JSON.parse(JSON.stringify({ encryptionContext: { [name]: value } })));
        },
      ),
    );
  });

  test("a member called __proto__ changes nothing", () => {
    const parameters = JSON.parse('{"__proto__":{"polluted":"yes"},"keyId":"k"}') as Record<string, unknown>;
    expect(stored(parameters)).toContain('"keyId":"k"');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
