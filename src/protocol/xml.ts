import { shapeOf } from "./decoder.ts";
import type { ServiceModel, Shape, StructureShape } from "./model.ts";

/** Everything that may not stand in XML text as it is: markup, carriage returns, and what XML 1.0 has no way to write. */
// oxlint-disable-next-line no-control-regex -- control characters are the point
const UNSAFE = /[&<>"'\r\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "\r": "&#xD;",
};

/**
 * Text for XML, in an element or a quoted attribute. XML 1.0 cannot express most control characters and lone surrogates,
 * not even escaped; they become U+FFFD.
 */
export function escapeXml(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const entity = ENTITIES[character];
    if (entity !== undefined) return entity;
    const code = character.charCodeAt(0);
    return code >= 0x7f && code <= 0x9f ? `&#x${code.toString(16).toUpperCase()};` : "\ufffd";
  });
}

/** Writes one value of a shape as the content of an element. */
export type EncodeText = (value: unknown) => string;

/** Compiles the content of elements, without the element itself. Members that the shape does not name are left out. */
export function xmlEncoderCompiler(model: ServiceModel): (shapeName: string) => EncodeText {
  const compiled = new Map<string, EncodeText>();
  const encoderOf = (shapeName: string): EncodeText => {
    const known = compiled.get(shapeName);
    if (known) return known;
    // A recursive shape meets this forwarder while it is being compiled.
    let encode: EncodeText | null = null;
    compiled.set(shapeName, (value) => encode?.(value) ?? "");
    encode = compile(shapeOf(model, shapeName), encoderOf);
    compiled.set(shapeName, encode);
    return encode;
  };
  return encoderOf;
}

function compile(shape: Shape, encoderOf: (name: string) => EncodeText): EncodeText {
  switch (shape.type) {
    case "structure":
      return structureEncoder(shape, encoderOf);
    case "list": {
      const element = encoderOf(shape.member);
      const tag = shape.memberName ?? "member";
      return (value) => (value as readonly unknown[]).map((item) => `<${tag}>${element(item)}</${tag}>`).join("");
    }
    case "map": {
      const element = encoderOf(shape.value);
      return (value) =>
        Object.entries(value as object)
          .map(([key, item]) => `<entry><key>${escapeXml(key)}</key><value>${element(item)}</value></entry>`)
          .join("");
    }
    case "string":
      return (value) => escapeXml(value as string);
    case "blob":
      return (value) => Buffer.from(value as Uint8Array).toString("base64");
    case "timestamp":
      return (value) => isoSeconds(value as number);
    default:
      return String;
  }
}

function structureEncoder(shape: StructureShape, encoderOf: (name: string) => EncodeText): EncodeText {
  const members = Object.entries(shape.members).map(([name, target]) => ({
    name,
    tag: shape.wireNames?.[name] ?? name,
    encode: encoderOf(target),
  }));
  return (value) => {
    const structure = value as Readonly<Record<string, unknown>>;
    let text = "";
    for (const member of members) {
      const item = structure[member.name];
      if (item !== undefined && item !== null) text += `<${member.tag}>${member.encode(item)}</${member.tag}>`;
    }
    return text;
  };
}

/** `2024-05-01T12:00:00Z`: the query services show whole seconds. */
const isoSeconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
