import type { BlobArena } from "./base64.ts";
import { cborEncoderCompiler } from "./cbor-encoder.ts";
import type { EncodeCbor } from "./cbor-encoder.ts";
import { cborFormat } from "./cbor-format.ts";
import { checkCompiler } from "./constraints.ts";
import { decoderCompiler } from "./decoder.ts";
import { jsonEncoderCompiler } from "./json-encoder.ts";
import type { EncodeJson } from "./json-encoder.ts";
import { jsonFormat } from "./json-format.ts";
import type { DecodedInput, OperationShape, ServiceModel } from "./model.ts";
import { queryFormat } from "./query-format.ts";
import { Violations } from "./violations.ts";
import { xmlEncoderCompiler } from "./xml.ts";
import type { EncodeText } from "./xml.ts";

type WireFormatName = "json" | "cbor" | "query";

/** What an operation takes: from parsed wire values to checked input. */
interface InputDecoder {
  /** Types first (SerializationException), then constraints (ValidationException; ValidationError in the query protocol). */
  decode(format: WireFormatName, value: unknown, blobs: BlobArena): DecodedInput;
}

interface CompiledOperation {
  readonly shape: OperationShape;
  readonly input: InputDecoder;
  /** Name of the output shape; null: the operation answers nothing. */
  readonly output: string | null;
}

/**
 * A model with its shapes compiled into closures: each shape of each format when it is first asked for, then kept. One
 * object per model, owned by what `createProtocols` returns.
 */
export interface CompiledModel {
  readonly model: ServiceModel;
  operation(name: string): CompiledOperation;
  readonly jsonEncoder: (shapeName: string) => EncodeJson;
  readonly cborEncoder: (shapeName: string) => EncodeCbor;
  readonly xmlEncoder: (shapeName: string) => EncodeText;
}

export function compileModel(model: ServiceModel): CompiledModel {
  const decoders = {
    json: decoderCompiler(model, jsonFormat),
    cbor: decoderCompiler(model, cborFormat),
    query: decoderCompiler(model, queryFormat),
  };
  const checkOf = checkCompiler(model);
  const validationCode = model.protocol === "awsQuery" ? "ValidationError" : "ValidationException";

  const inputOf = (shapeName: string | undefined): InputDecoder => {
    if (shapeName === undefined) return { decode: () => ({}) };
    return {
      decode(format, value, blobs) {
        const input = decoders[format](shapeName)(value, blobs) as DecodedInput;
        const check = checkOf(shapeName);
        if (check === null) return input;
        const found = new Violations();
        check(input, null, found);
        if (found.count > 0) throw found.toError(validationCode);
        return input;
      },
    };
  };

  return {
    model,
    operation(name) {
      const shape = model.operations[name];
      if (!shape) throw new Error(`${model.name} has no operation ${name}`);
      return { shape, input: inputOf(shape.input), output: shape.output ?? null };
    },
    jsonEncoder: jsonEncoderCompiler(model),
    cborEncoder: cborEncoderCompiler(model),
    xmlEncoder: xmlEncoderCompiler(model),
  };
}
