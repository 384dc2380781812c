import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import { model as kms } from "../services/kms/shapes.generated.ts";
import type { ServiceModel } from "./model.ts";
import { createProtocols, FORM_BYTES_MAX } from "./route.ts";
import {
  allProtocols,
  formRequest,
  REQUEST_ID,
  serviceErrorOf,
  targetRequest,
  textOf,
  wireRequest,
} from "./testing/requests.ts";
import type { WireRequest } from "./wire.ts";

const protocols = allProtocols();

function routed(request: WireRequest): string {
  const { model, operation } = protocols.route(request);
  return `${model.name}.${operation}`;
}

const refused = (request: WireRequest): ServiceError => serviceErrorOf(() => protocols.route(request));

describe("requests that name an operation", () => {
  test.each([
    ["TrentService.Encrypt", "application/x-amz-json-1.1", "kms.Encrypt"],
    ["Kinesis_20131202.PutRecords", "application/x-amz-json-1.1; charset=utf-8", "kinesis.PutRecords"],
    ["Kinesis_20131202.PutRecords", "application/x-amz-cbor-1.1", "kinesis.PutRecords"],
    ["CloudTrail_20131101.LookupEvents", "application/x-amz-json-1.1", "cloudtrail.LookupEvents"],
    [
      "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
      "Application/X-Amz-JSON-1.1",
      "cloudtrail.LookupEvents",
    ],
  ])("%s as %s", (target, contentType, expected) => {
    expect(routed(targetRequest(target, "", contentType))).toBe(expected);
  });

  test("by Action and Version, in the body or in the URL", () => {
    expect(routed(formRequest("Action=GetUser&Version=2010-05-08"))).toBe("iam.GetUser");
    expect(routed(formRequest("Version=2011-06-15&Action=GetCallerIdentity"))).toBe("sts.GetCallerIdentity");
    const url =
      "/?Action=AssumeRole&Version=2011-06-15&RoleSessionName=session&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr&X-Amz-Signature=x";
    const route = protocols.route(wireRequest({ method: "GET", target: url }));
    expect(route.operation).toBe("AssumeRole");
    expect(route.codec.decode(new Uint8Array(0))).toEqual({
      RoleSessionName: "session",
      RoleArn: "arn:aws:iam::123456789012:role/r",
    });
  });

  test("of a POST without a body by its URL, as boto3 presigns; a body is what counts otherwise", () => {
    const target = "/?Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=AKIAAAAAAAAAAAAAAAAA&X-Amz-Signature=x";
    for (const headers of [[], [["content-type", "application/x-www-form-urlencoded"]]] as const) {
      const route = protocols.route(wireRequest({ method: "POST", target, headers }));
      expect(`${route.model.name}.${route.operation}`).toBe("sts.GetAccessKeyInfo");
      expect(route.codec.decode(new Uint8Array(0))).toEqual({ AccessKeyId: "AKIAAAAAAAAAAAAAAAAA" });
    }
    expect(routed({ ...formRequest("Action=GetUser&Version=2010-05-08"), target })).toBe("iam.GetUser");
    expect(refused({ ...formRequest("x=y"), target }).code).toBe("MissingAction");
  });

  test("the body is not parsed for it", () => {
    expect(routed(targetRequest("TrentService.Encrypt", "not json"))).toBe("kms.Encrypt");
    expect(routed(formRequest("Action=GetUser&Version=2010-05-08&x=%"))).toBe("iam.GetUser");
  });

  test("where two services share an action and version, the credential scope decides", () => {
    const twin = (name: string): ServiceModel => ({
      ...kms,
      name,
      signingName: name,
      protocol: "awsQuery",
      targetPrefix: "",
      apiVersion: "2024-01-01",
    });
    const twins = createProtocols([twin("one"), twin("two")]);
    const form = "Action=ListKeys&Version=2024-01-01";
    expect(twins.route(formRequest(form, "two")).model.name).toBe("two");
    expect(twins.route(formRequest(form, "one")).model.name).toBe("one");
    const presigned = `/?${form}&X-Amz-Credential=AKID%2F20240501%2Fus-east-1%2Ftwo%2Faws4_request&X-Amz-Signature=x`;
    expect(twins.route(wireRequest({ method: "GET", target: presigned })).model.name).toBe("two");
  });
});

describe("requests that do not", () => {
  test.each([
    "",
    "Encrypt",
    "TrentService.",
    "TrentService.encrypt",
    "TrentService.constructor",
    "TrentService.__proto__",
    "Nobody.Encrypt",
    ".Encrypt",
    "Kinesis_20131202.Encrypt",
  ])("target %j is UnknownOperationException without a message", (target) => {
    const error = refused(targetRequest(target));
    expect([error.code, error.status, error.message]).toEqual(["UnknownOperationException", 400, ""]);
  });

  test.each([
    ["Action=Nonsense&Version=2010-05-08", "InvalidAction", "Could not find operation Nonsense for version 2010-05-08"],
    ["Action=GetUser&Version=2011-06-15", "InvalidAction", "Could not find operation GetUser for version 2011-06-15"],
    ["Action=GetUser", "InvalidAction", "Could not find operation GetUser for version NO_VERSION_SPECIFIED"],
    [
      "Action=__proto__&Version=2010-05-08",
      "InvalidAction",
      "Could not find operation __proto__ for version 2010-05-08",
    ],
    ["Version=2010-05-08", "MissingAction", "The request is missing an action or a required parameter."],
    ["Action=%ff&Version=2010-05-08", "MalformedQueryString", "The query string contains a syntax error."],
  ])("form %s", (form, code, message) => {
    const error = refused(formRequest(form));
    expect([error.code, error.status, error.message]).toEqual([code, 400, message]);
  });

  test.each([
    ["an action", (long: string) => `Action=${long}&Version=2010-05-08`],
    ["a version", (long: string) => `Action=GetUser&Version=${long}`],
  ])("%s of more than 256 bytes names no operation and is not decoded", (_, form) => {
    for (const long of ["+".repeat(1_000_000), "%".repeat(257), "%41".repeat(300_000)]) {
      const error = refused(formRequest(form(long)));
      expect([error.code, error.status]).toEqual(["InvalidAction", 400]);
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("a form of more than 1 MiB is refused, whatever it names", () => {
    const form = (sizeBytes: number): string => "Action=GetUser&Version=2010-05-08&x=".padEnd(sizeBytes, "+");
    expect(routed(formRequest(form(FORM_BYTES_MAX)))).toBe("iam.GetUser");
    const error = refused(formRequest(form(FORM_BYTES_MAX + 1)));
    expect([error.code, error.status]).toEqual(["RequestEntityTooLargeException", 413]);
    expect(error.message).toBe("The request body is longer than 1048576 bytes, the most that a form may have.");
  });

  test("a wrong method or content type is refused as AWS refuses it", () => {
    const signed = targetRequest("Kinesis_20131202.ListStreams");
    for (const method of ["GET", "PUT", "DELETE"]) {
      const error = refused({ ...signed, method });
      expect([error.code, error.status]).toEqual(["AccessDeniedException", 403]);
      expect(error.message).toBe("Unable to determine service/operation name to be authorized");
    }
    expect(refused(targetRequest("Kinesis_20131202.ListStreams", "{}", "text/plain")).code).toBe(
      "AccessDeniedException",
    );
    const anonymous = refused(wireRequest({ method: "GET" }));
    expect([anonymous.code, anonymous.status]).toEqual(["MissingAuthenticationToken", 403]);
  });
});

test("without a route, an error is rendered in the request's own format, else as XML", () => {
  const render = (request: WireRequest): string =>
    textOf(protocols.fallbackCodec(request).encodeError(new ServiceError("Oops", "no"), REQUEST_ID));
  expect(render(targetRequest("x"))).toBe('{"__type":"Oops","message":"no"}');
  expect(render(targetRequest("x", "", "application/x-amz-cbor-1.1"))).toMatch(/^[^{<]f__typedOops/);
  expect(render(formRequest(""))).toContain("<Code>Oops</Code>");
  expect(render(wireRequest({ method: "GET" }))).toContain("<ErrorResponse>");
});
