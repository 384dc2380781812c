import { serializationError } from "../base/errors.ts";
import type { BlobArena } from "./base64.ts";
import type { ServiceModel, Shape, StructureShape } from "./model.ts";

/** Turns one wire value, already parsed, into what handlers see (`DecodedInput` in model.ts). Throws ServiceError. */
export type Decode = (value: unknown, blobs: BlobArena) => unknown;

export type ListShape = Extract<Shape, { type: "list" }>;
export type MapShape = Extract<Shape, { type: "map" }>;

/** Objects as a parser returns them; only own members count. */
export type WireObject = Readonly<Record<string, unknown>>;

/**
 * How one wire format spells the values of the shape types. Each function throws SerializationException (or what its
 * protocol calls that) when the value has another type; none is given null, which means absent everywhere.
 */
export interface WireFormat {
  readonly string: (value: unknown) => string;
  readonly boolean: (value: unknown) => boolean;
  /** Whole numbers of 32 bits. A fraction is cut off, as AWS does. */
  readonly integer: (value: unknown) => number;
  /** Whole numbers up to 2^53. */
  readonly long: (value: unknown) => number;
  readonly double: (value: unknown) => number;
  readonly timestampMs: (value: unknown) => number;
  readonly blob: (value: unknown, blobs: BlobArena) => Uint8Array;
  readonly list: (value: unknown, shape: ListShape) => readonly unknown[];
  readonly map: (value: unknown, shape: MapShape) => WireObject;
  readonly structure: (value: unknown) => WireObject;
}

/** Largest distance from the epoch that a Date can hold, either way. */
const TIMESTAMP_MS_MAX = 8_640_000_000_000_000;

/** Compiles shapes of one model for one format, each shape once. The returned function may be asked for any shape name. */
export function decoderCompiler(model: ServiceModel, format: WireFormat): (shapeName: string) => Decode {
  const compiled = new Map<string, Decode>();
  const decoderOf = (shapeName: string): Decode => {
    const known = compiled.get(shapeName);
    if (known) return known;
    const shape = shapeOf(model, shapeName);
    // A recursive shape meets this forwarder while it is being compiled.
    let decode: Decode | null = null;
    compiled.set(shapeName, (value, blobs) => decode?.(value, blobs));
    decode = compile(shape, format, decoderOf);
    compiled.set(shapeName, decode);
    return decode;
  };
  return decoderOf;
}

/** Throws if the table names a shape that it does not hold: a defect of the generator, not of a request. */
export function shapeOf(model: ServiceModel, shapeName: string): Shape {
  const shape = model.shapes[shapeName];
  if (!shape) throw new Error(`${model.name} has no shape ${shapeName}`);
  return shape;
}

function compile(shape: Shape, format: WireFormat, decoderOf: (name: string) => Decode): Decode {
  switch (shape.type) {
    case "structure":
      return structureDecoder(shape, format, decoderOf);
    case "list": {
      const element = decoderOf(shape.member);
      return (value, blobs) => {
        const source = format.list(value, shape);
        const list: unknown[] = [];
        // Null elements stay in place for the constraint check, which refuses them.
        for (const item of source) list.push(item === null || item === undefined ? null : element(item, blobs));
        return list;
      };
    }
    case "map": {
      const element = decoderOf(shape.value);
      return (value, blobs) => {
        const source = format.map(value, shape);
        const map = Object.create(null) as Record<string, unknown>;
        for (const key of Object.keys(source)) {
          const item = source[key];
          map[key] = item === null || item === undefined ? null : element(item, blobs);
        }
        return map;
      };
    }
    case "blob":
      return format.blob;
    case "timestamp":
      return (value) => {
        const ms = format.timestampMs(value);
        if (!(Math.abs(ms) <= TIMESTAMP_MS_MAX)) throw serializationError("Timestamp out of range");
        return ms;
      };
    case "float":
      return format.double;
    default:
      return format[shape.type];
  }
}

function structureDecoder(shape: StructureShape, format: WireFormat, decoderOf: (name: string) => Decode): Decode {
  const members = Object.entries(shape.members).map(([name, target]) => {
    const wireName = shape.wireNames?.[name] ?? name;
    // Members are read from ordinary objects: a name that every object inherits would read as present.
    if (wireName in Object.prototype) throw new Error(`member name ${wireName} is inherited by every object`);
    return { name, wireName, decode: decoderOf(target) };
  });
  return (value, blobs) => {
    const source = format.structure(value);
    const structure: Record<string, unknown> = {};
    for (const member of members) {
      const item = source[member.wireName];
      if (item !== undefined && item !== null) structure[member.name] = member.decode(item, blobs);
    }
    return structure;
  };
}
