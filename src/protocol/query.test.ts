import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import type { DecodedInput, ServiceModel } from "./model.ts";
import { formParameter, readForm } from "./query-form.ts";
import { createProtocols } from "./route.ts";
import {
  CLEAN_OUTCOMES,
  allProtocols,
  formRequest,
  REQUEST_ID,
  serviceErrorOf,
  textOf,
  outcomeOf,
} from "./testing/requests.ts";
import { escapeXml } from "./xml.ts";

const protocols = allProtocols();
const IAM = "&Version=2010-05-08";

function decode(form: string): DecodedInput {
  const request = formRequest(form);
  return protocols.route(request).codec.decode(request.body);
}

/** One operation with every kind of member, those that IAM and STS lack included. */
const model: ServiceModel = {
  name: "sample",
  protocol: "awsQuery",
  targetPrefix: "",
  apiVersion: "2024-01-01",
  signingName: "sample",
  eventSource: "sample.example",
  xmlNamespace: "https://sample.example/doc/",
  operations: { Try: { input: "In", output: "In", errors: [], resultWrapper: "TryResult" } },
  shapes: {
    In: {
      type: "structure",
      members: {
        Flat: "Flat",
        Named: "Named",
        Map: "Map",
        When: "Time",
        Ratio: "Ratio",
        Bytes: "Bytes",
        On: "On",
        Size: "Size",
        Inner: "In",
        Alias: "Text",
      },
      wireNames: { Alias: "alias" },
    },
    Flat: { type: "list", member: "Text", flattened: true },
    Named: { type: "list", member: "Text", memberName: "item" },
    Map: { type: "map", key: "Text", value: "Text" },
    Text: { type: "string" },
    Time: { type: "timestamp" },
    Ratio: { type: "double" },
    Bytes: { type: "blob" },
    On: { type: "boolean" },
    Size: { type: "long" },
  },
};
const sample = createProtocols([model]);

function decodeSample(form: string): DecodedInput {
  const request = formRequest(`Action=Try&Version=2024-01-01&${form}`);
  return sample.route(request).codec.decode(request.body);
}

describe("forms", () => {
  test("lists of structures, in the order of their numbers", () => {
    const tags = [2, 10, 1].map((n) => `Tags.member.${n}.Key=k${n}&Tags.member.${n}.Value=v+%2F${n}`).join("&");
    expect(decode(`Action=CreateUser${IAM}&UserName=ann&${tags}`)).toEqual({
      UserName: "ann",
      Tags: [1, 2, 10].map((n) => ({ Key: `k${n}`, Value: `v /${n}` })),
    });
    expect(decode(`Action=TagUser${IAM}&UserName=ann&Tags=`)).toEqual({ UserName: "ann", Tags: [] });
  });

  test("every kind of member", () => {
    expect(
      decodeSample(
        "Flat.1=a&Flat.2=b&Named.item.1=c&Map.entry.1.key=__proto__&Map.entry.1.value=y&When=2023-11-14T22%3A13%3A20.123Z" +
          "&Ratio=-1.5e3&Bytes=aGk%3D&On=True&Size=9007199254740991&Inner.Inner.Ratio=.5&alias=z",
      ),
    ).toEqual({
      Flat: ["a", "b"],
      Named: ["c"],
      Map: Object.assign(Object.create(null) as object, { ["__proto__"]: "y" }),
      When: 1_700_000_000_123,
      Ratio: -1500,
      Bytes: new Uint8Array([104, 105]),
      On: true,
      Size: Number.MAX_SAFE_INTEGER,
      Inner: { Inner: { Ratio: 0.5 } },
      Alias: "z",
    });
  });

  test.each([
    "On=yes",
    "Size=1.5",
    "Size=9007199254740993",
    "Size=",
    "When=yesterday",
    "When=99999999999999999",
    "Bytes=%21",
    "Flat.x=1",
    "Flat.0=1",
    "Flat.1.2=1",
    "Inner=x",
    "Map.entry.1=x",
    "alias.1=x",
  ])("%s has the wrong type and is not echoed", (form) => {
    const error = serviceErrorOf(() => decodeSample(form));
    expect(error.code).toBe("MalformedInput");
    expect(error.status).toBe(400);
    expect(error.message).not.toContain("yesterday");
  });

  test.each(["A=%", "A=%ff", "A=1&A.B=2", "A.B=1&A=2", `${"A.".repeat(20)}B=1`, "A=1&".repeat(6000)])(
    "%.20s is malformed",
    (form) => {
      expect(serviceErrorOf(() => readForm(form)).code).toBe("MalformedQueryString");
    },
  );

  test("one parameter is found without reading the rest, and agrees with the whole reading", () => {
    expect(formParameter("XAction=1&Action=Get%55ser&B=%", "Action")).toBe("GetUser");
    expect(formParameter("XAction=1", "Action")).toBeNull();
    const part = fc.string({ unit: fc.constantFrom("A", "c", "=", "%41", "+", "1"), maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("Action", "XAction", "Act"), part)), (pairs) => {
        const form = pairs.map(([name, value]) => `${name}=${value}`).join("&");
        expect(formParameter(form, "Action")).toBe(readForm(form)["Action"] ?? null);
      }),
    );
  });

  test("a long value of one parameter is cut and not decoded", () => {
    expect(formParameter(`Action=${"%41".repeat(85)}&B=1`, "Action")).toBe("A".repeat(85));
    const long = formParameter(`Action=${"%41".repeat(86)}&B=1`, "Action");
    expect(long).toBe("%41".repeat(86).slice(0, 256));
    expect(formParameter(`Action=${"%".repeat(1_000_000)}`, "Action")).toBe("%".repeat(256));
  });

  test("pluses are spaces, however many", () => {
    expect(readForm(`a=${"+".repeat(1_000_000)}`)["a"]).toBe(" ".repeat(1_000_000));
  });

  test("names cannot reach a prototype", () => {
    const form = readForm("__proto__.polluted=1&constructor.prototype.polluted=1");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(Object.keys(form)).toEqual(["__proto__", "constructor"]);
  });

  test("any form is read or refused with a ServiceError", () => {
    const unit = fc.constantFrom(
      "Tags",
      ".member",
      ".1",
      ".Key",
      "=",
      "&",
      "UserName",
      "%",
      "4",
      "x",
      "+",
      ".",
      "__proto__",
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (rest) => {
        expect(CLEAN_OUTCOMES).toContain(outcomeOf(() => decode(`Action=TagUser${IAM}&${rest}`)));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("answers", () => {
  const codecOf = (action: string) => protocols.route(formRequest(`Action=${action}${IAM}`)).codec;

  test("a result in its wrapper, with whole seconds, lists under member, and markup escaped", () => {
    const response = codecOf("GetUser").encode(
      {
        User: {
          Path: "/",
          UserName: "a<b&\"c'>",
          UserId: "AIDA",
          Arn: "arn",
          CreateDate: 1_700_000_000_123,
          Tags: [{ Key: "k", Value: "" }],
        },
      },
      REQUEST_ID,
    );
    expect(response.status).toBe(200);
    expect(response.headers["content-type"]).toBe("text/xml");
    expect(textOf(response)).toBe(
      '<GetUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetUserResult><User><Path>/</Path>' +
        "<UserName>a&lt;b&amp;&quot;c&#39;&gt;</UserName><UserId>AIDA</UserId><Arn>arn</Arn><CreateDate>2023-11-14T22:13:20Z</CreateDate>" +
        "<Tags><member><Key>k</Key><Value></Value></member></Tags></User></GetUserResult>" +
        `<ResponseMetadata><RequestId>${REQUEST_ID}</RequestId></ResponseMetadata></GetUserResponse>`,
    );
  });

  test("maps as entries", () => {
    const response = codecOf("GetAccountSummary").encode({ SummaryMap: { Users: 3 } }, REQUEST_ID);
    expect(textOf(response)).toContain(
      "<GetAccountSummaryResult><SummaryMap><entry><key>Users</key><value>3</value></entry></SummaryMap></GetAccountSummaryResult>",
    );
  });

  test("an operation without output has only its metadata", () => {
    expect(textOf(codecOf("DeleteUser").encode({}, REQUEST_ID))).toBe(
      '<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">' +
        `<ResponseMetadata><RequestId>${REQUEST_ID}</RequestId></ResponseMetadata></DeleteUserResponse>`,
    );
  });

  test("errors name whose fault it is", () => {
    const error = codecOf("GetUser").encodeError(
      new ServiceError("NoSuchEntity", "The user <x> cannot be found.", { status: 404 }),
      REQUEST_ID,
    );
    expect(error.status).toBe(404);
    expect(textOf(error)).toBe(
      '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>' +
        `<Message>The user &lt;x&gt; cannot be found.</Message></Error><RequestId>${REQUEST_ID}</RequestId></ErrorResponse>`,
    );
    expect(
      textOf(codecOf("GetUser").encodeError(new ServiceError("InternalFailure", "", { status: 500 }), REQUEST_ID)),
    ).toContain("<Type>Receiver</Type>");
  });

  test("escaped text holds no markup and no character that XML 1.0 cannot carry", () => {
    // oxlint-disable-next-line no-control-regex -- the characters that must not appear
    const illegal = /[<>"'\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u;
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (odd, plain) => {
        const escaped = escapeXml(`${odd}\ud800${plain}\u0000\r]]>`);
        expect(illegal.test(escaped)).toBe(false);
        expect(escaped.replace(/&(?:amp|lt|gt|quot|#39|#x[0-9A-F]{1,2});/g, "").includes("&")).toBe(false);
      }),
    );
    expect(escapeXml("a\u0000b\ud800c😀\n\t")).toBe("a\ufffdb\ufffdc😀\n\t");
  });
});
