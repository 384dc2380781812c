/**
 * A service's shapes: what decodes, checks, types and encodes its requests. Tables of this form are generated
 * (`tools/generate-shapes.py`) into `services/<name>/shapes.generated.ts`, beside the TypeScript types of the same shapes.
 */
export type ProtocolName = "awsJson1.0" | "awsJson1.1" | "awsQuery";

export interface ServiceModel {
  /** Our name for the service, its folder and its endpoint prefix: `kms`. */
  readonly name: string;
  readonly protocol: ProtocolName;
  /** X-Amz-Target prefix of the JSON protocols: `TrentService`. Empty for awsQuery. */
  readonly targetPrefix: string;
  /** `2014-11-01`: the Version of the query protocol. */
  readonly apiVersion: string;
  /** The service name in the credential scope. */
  readonly signingName: string;
  /** `kms.amazonaws.com`, as the audit trail names it. */
  readonly eventSource: string;
  /** Namespace of XML answers; awsQuery only. */
  readonly xmlNamespace: string;
  readonly operations: Readonly<Record<string, OperationShape>>;
  readonly shapes: Readonly<Record<string, Shape>>;
}

export interface OperationShape {
  /** Names of structure shapes; absent: empty. */
  readonly input?: string;
  readonly output?: string;
  readonly errors: readonly string[];
  /** Element that wraps the output in the query protocol: `GetUserResult`. */
  readonly resultWrapper?: string;
}

export type Shape =
  | StructureShape
  | {
      readonly type: "list";
      readonly member: string;
      readonly memberName?: string;
      readonly flattened?: true;
      readonly min?: number;
      readonly max?: number;
      readonly sensitive?: true;
    }
  | {
      readonly type: "map";
      readonly key: string;
      readonly value: string;
      readonly min?: number;
      readonly max?: number;
      readonly sensitive?: true;
    }
  | {
      readonly type: "string";
      readonly min?: number;
      readonly max?: number;
      readonly pattern?: string;
      readonly enum?: readonly string[];
      readonly sensitive?: true;
    }
  | { readonly type: "blob"; readonly min?: number; readonly max?: number; readonly sensitive?: true }
  | {
      readonly type: "integer" | "long" | "float" | "double";
      readonly min?: number;
      readonly max?: number;
      readonly sensitive?: true;
    }
  | { readonly type: "boolean"; readonly sensitive?: true }
  | { readonly type: "timestamp"; readonly sensitive?: true };

export interface StructureShape {
  readonly type: "structure";
  /** Member name to shape name. */
  readonly members: Readonly<Record<string, string>>;
  readonly required?: readonly string[];
  /** Members whose wire name differs (awsQuery `locationName`). */
  readonly wireNames?: Readonly<Record<string, string>>;
  /** A union of which one value after the other is sent: an output member of this shape is an `AsyncIterable` (event-stream.ts). */
  readonly eventStream?: true;
  readonly sensitive?: true;
  /** For errors of the query protocol: `NoSuchEntity`. */
  readonly errorCode?: string;
  readonly errorStatus?: number;
}

/**
 * How decoded values look to handlers: structures are objects (absent members undefined), blobs are Uint8Array,
 * timestamps are numbers (milliseconds since the epoch), maps are objects without a prototype.
 */
export type DecodedInput = Readonly<Record<string, unknown>>;
