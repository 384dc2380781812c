import { asBuffer } from "../base/bytes.ts";
import { ServiceError } from "../base/errors.ts";
import { BlobArena } from "./base64.ts";
import type { CompiledModel } from "./compiled-model.ts";
import { readForm } from "./query-form.ts";
import type { Codec, WireResponse } from "./wire.ts";
import { escapeXml } from "./xml.ts";

const XML_CONTENT_TYPE = "text/xml";

/**
 * The codec of one operation in AWS's query protocol. `queryString` is given when the parameters stand in the URL (GET);
 * otherwise they are the body.
 */
export function queryCodec(compiled: CompiledModel, operation: string, queryString: string | null): Codec {
  const { input, shape } = compiled.operation(operation);
  const { xmlNamespace } = compiled.model;
  return {
    decode(body) {
      const form = queryString ?? asBuffer(body).toString("utf8");
      try {
        return input.decode("query", readForm(form), new BlobArena(form.length));
      } catch (error) {
        throw renameSerializationError(error);
      }
    },
    encode(value, requestId) {
      const result = resultElement(compiled, shape.output, shape.resultWrapper, value);
      const response = `${operation}Response`;
      return xmlResponse(
        200,
        requestId,
        `<${response} xmlns="${escapeXml(xmlNamespace)}">${result}` +
          `<ResponseMetadata><RequestId>${escapeXml(requestId)}</RequestId></ResponseMetadata></${response}>`,
      );
    },
    encodeError: (error, requestId) => encodeQueryError(error, requestId, xmlNamespace),
  };
}

function resultElement(
  compiled: CompiledModel,
  output: string | undefined,
  wrapper: string | undefined,
  value: Readonly<Record<string, unknown>>,
): string {
  if (output === undefined) return "";
  const content = compiled.xmlEncoder(output)(value);
  return wrapper === undefined ? content : `<${wrapper}>${content}</${wrapper}>`;
}

/** What the JSON protocols call SerializationException. */
function renameSerializationError(error: unknown): unknown {
  if (!(error instanceof ServiceError) || error.code !== "SerializationException") return error;
  return new ServiceError("MalformedInput", error.message);
}

/** `<ErrorResponse><Error>...`, status from the error. */
export function encodeQueryError(error: ServiceError, requestId: string, xmlNamespace = ""): WireResponse {
  const namespace = xmlNamespace === "" ? "" : ` xmlns="${escapeXml(xmlNamespace)}"`;
  const type = error.fault === "server" ? "Receiver" : "Sender";
  return xmlResponse(
    error.status,
    requestId,
    `<ErrorResponse${namespace}><Error><Type>${type}</Type><Code>${escapeXml(error.code)}</Code>` +
      `<Message>${escapeXml(error.message)}</Message></Error><RequestId>${escapeXml(requestId)}</RequestId></ErrorResponse>`,
  );
}

function xmlResponse(status: number, requestId: string, text: string): WireResponse {
  return {
    status,
    headers: { "content-type": XML_CONTENT_TYPE, "x-amzn-RequestId": requestId },
    body: Buffer.from(text, "utf8"),
  };
}
