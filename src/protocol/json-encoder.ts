import { shapeOf } from "./decoder.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { ServiceModel, Shape, StructureShape } from "./model.ts";

/** Writes one value of a shape. Members that the shape does not name are left out. */
export type EncodeJson = (value: unknown, writer: JsonWriter) => void;

/** Compiles shapes of one model, each once. */
export function jsonEncoderCompiler(model: ServiceModel): (shapeName: string) => EncodeJson {
  const compiled = new Map<string, EncodeJson>();
  const encoderOf = (shapeName: string): EncodeJson => {
    const known = compiled.get(shapeName);
    if (known) return known;
    // A recursive shape meets this forwarder while it is being compiled.
    let encode: EncodeJson | null = null;
    compiled.set(shapeName, (value, writer) => encode?.(value, writer));
    encode = compile(shapeOf(model, shapeName), encoderOf);
    compiled.set(shapeName, encode);
    return encode;
  };
  return encoderOf;
}

function compile(shape: Shape, encoderOf: (name: string) => EncodeJson): EncodeJson {
  switch (shape.type) {
    case "structure":
      return structureEncoder(shape, encoderOf);
    case "list": {
      const element = encoderOf(shape.member);
      return (value, writer) => {
        let separator = "[";
        for (const item of value as readonly unknown[]) {
          writer.raw(separator);
          element(item, writer);
          separator = ",";
        }
        writer.raw(separator === "[" ? "[]" : "]");
      };
    }
    case "map": {
      const element = encoderOf(shape.value);
      return (value, writer) => {
        const map = value as Readonly<Record<string, unknown>>;
        let separator = "{";
        for (const key of Object.keys(map)) {
          writer.raw(`${separator}${JSON.stringify(key)}:`);
          element(map[key], writer);
          separator = ",";
        }
        writer.raw(separator === "{" ? "{}" : "}");
      };
    }
    case "string":
      return (value, writer) => writer.raw(JSON.stringify(value));
    case "blob":
      return (value, writer) => writer.blob(value as Uint8Array);
    case "timestamp":
      // Seconds since the epoch; the fraction carries the milliseconds.
      return (value, writer) => writer.raw(String((value as number) / 1000));
    default:
      return (value, writer) => writer.raw(String(value));
  }
}

function structureEncoder(shape: StructureShape, encoderOf: (name: string) => EncodeJson): EncodeJson {
  const members = Object.entries(shape.members).map(([name, target]) => {
    const key = `${JSON.stringify(shape.wireNames?.[name] ?? name)}:`;
    return { name, first: `{${key}`, next: `,${key}`, encode: encoderOf(target) };
  });
  return (value, writer) => {
    const structure = value as Readonly<Record<string, unknown>>;
    let empty = true;
    for (const member of members) {
      const item = structure[member.name];
      if (item === undefined || item === null) continue;
      writer.raw(empty ? member.first : member.next);
      empty = false;
      member.encode(item, writer);
    }
    writer.raw(empty ? "{}" : "}");
  };
}
