import { CborWriter } from "./cbor-writer.ts";
import { shapeOf } from "./decoder.ts";
import type { ServiceModel, Shape, StructureShape } from "./model.ts";

/** Writes one value of a shape. Members that the shape does not name are left out. */
export type EncodeCbor = (value: unknown, writer: CborWriter) => void;

/** Compiles shapes of one model, each once. */
export function cborEncoderCompiler(model: ServiceModel): (shapeName: string) => EncodeCbor {
  const compiled = new Map<string, EncodeCbor>();
  const encoderOf = (shapeName: string): EncodeCbor => {
    const known = compiled.get(shapeName);
    if (known) return known;
    // A recursive shape meets this forwarder while it is being compiled.
    let encode: EncodeCbor | null = null;
    compiled.set(shapeName, (value, writer) => encode?.(value, writer));
    encode = compile(shapeOf(model, shapeName), encoderOf);
    compiled.set(shapeName, encode);
    return encode;
  };
  return encoderOf;
}

function compile(shape: Shape, encoderOf: (name: string) => EncodeCbor): EncodeCbor {
  switch (shape.type) {
    case "structure":
      return structureEncoder(shape, encoderOf);
    case "list": {
      const element = encoderOf(shape.member);
      return (value, writer) => {
        const list = value as readonly unknown[];
        writer.array(list.length);
        for (const item of list) element(item, writer);
      };
    }
    case "map": {
      const element = encoderOf(shape.value);
      return (value, writer) => {
        const map = value as Readonly<Record<string, unknown>>;
        const keys = Object.keys(map);
        writer.map(keys.length);
        for (const key of keys) {
          writer.text(key);
          element(map[key], writer);
        }
      };
    }
    case "string":
      return (value, writer) => writer.text(value as string);
    case "blob":
      return (value, writer) => writer.blob(value as Uint8Array);
    case "timestamp":
      return (value, writer) => writer.time(value as number);
    case "boolean":
      return (value, writer) => writer.boolean(value as boolean);
    case "float":
    case "double":
      return (value, writer) => writer.double(value as number);
    default:
      return (value, writer) => writer.number(value as number);
  }
}

function structureEncoder(shape: StructureShape, encoderOf: (name: string) => EncodeCbor): EncodeCbor {
  const members = Object.entries(shape.members).map(([name, target]) => {
    const key = new CborWriter();
    key.text(shape.wireNames?.[name] ?? name);
    return { name, key: key.finish(), encode: encoderOf(target) };
  });
  return (value, writer) => {
    const structure = value as Readonly<Record<string, unknown>>;
    let count = 0;
    for (const { name } of members) if (structure[name] !== undefined && structure[name] !== null) count += 1;
    writer.map(count);
    for (const member of members) {
      const item = structure[member.name];
      if (item === undefined || item === null) continue;
      writer.raw(member.key);
      member.encode(item, writer);
    }
  };
}
