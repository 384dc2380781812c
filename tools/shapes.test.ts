import * as kinesisClient from "@aws-sdk/client-kinesis";
import * as kmsClient from "@aws-sdk/client-kms";
import * as organizationsClient from "@aws-sdk/client-organizations";
import { describe, expect, test } from "vitest";
import { wholeStringPattern } from "../src/protocol/constraints.ts";
import type { ServiceModel } from "../src/protocol/model.ts";
import { model as cloudtrail } from "../src/services/cloudtrail/shapes.generated.ts";
import { model as iam } from "../src/services/iam/shapes.generated.ts";
import { model as kinesis } from "../src/services/kinesis/shapes.generated.ts";
import { model as kms } from "../src/services/kms/shapes.generated.ts";
import { model as organizations } from "../src/services/organizations/shapes.generated.ts";
import { model as servicequotas } from "../src/services/servicequotas/shapes.generated.ts";
import { model as sts } from "../src/services/sts/shapes.generated.ts";

/** Kinds of the clients' static schemas, which stand first in each. */
const STRUCTURE = 3;
const OPERATION = 9;

interface ClientOperation {
  readonly inputMembers: readonly string[];
  readonly requiredInputs: readonly string[];
}

/**
 * The operations of a client. A schema is `[9, namespace, name, traits, input, output]` for an operation and
 * `[3, namespace, name, traits, memberNames, memberSchemas, requiredCount]` for a structure, required members first.
 */
function clientOperations(client: object): ReadonlyMap<string, ClientOperation> {
  const operations = new Map<string, ClientOperation>();
  for (const schema of Object.values(client) as unknown[]) {
    if (!Array.isArray(schema) || schema[0] !== OPERATION) continue;
    const input: unknown = typeof schema[4] === "function" ? schema[4]() : schema[4];
    const members = Array.isArray(input) && input[0] === STRUCTURE ? (input[4] as string[]) : [];
    const requiredCount = Array.isArray(input) ? Number(input[6] ?? 0) : 0;
    operations.set(String(schema[2]), { inputMembers: members, requiredInputs: members.slice(0, requiredCount) });
  }
  return operations;
}

/** Everything in which our table and the newest client differ, as lines that a test can list. */
function differences(model: ServiceModel, client: object): readonly string[] {
  const theirs = clientOperations(client);
  const lines: string[] = [];
  for (const name of Object.keys(model.operations)) if (!theirs.has(name)) lines.push(`${name}: only ours`);
  for (const [name, operation] of theirs) {
    const ours = model.operations[name];
    if (!ours) {
      lines.push(`${name}: missing`);
      continue;
    }
    const shape = ours.input === undefined ? undefined : model.shapes[ours.input];
    const structure = shape?.type === "structure" ? shape : { members: {}, required: [] };
    const members = Object.keys(structure.members);
    const required = new Set(structure.required);
    for (const member of members)
      if (!operation.inputMembers.includes(member)) lines.push(`${name}.${member}: only ours`);
    for (const member of operation.inputMembers)
      if (!members.includes(member)) lines.push(`${name}.${member}: missing`);
    for (const member of operation.inputMembers) {
      if (required.has(member) !== operation.requiredInputs.includes(member)) {
        lines.push(`${name}.${member}: ${required.has(member) ? "required only by us" : "optional only for us"}`);
      }
    }
  }
  return lines.toSorted();
}

describe("the generated tables against the newest clients", () => {
  test("KMS has the same operations, input members and required members", () => {
    expect(clientOperations(kmsClient).size).toBe(56);
    expect(differences(kms, kmsClient)).toEqual([]);
  });

  test("Kinesis differs only in channels", () => {
    expect(clientOperations(kinesisClient).size).toBe(45);
    expect(differences(kinesis, kinesisClient)).toEqual([
      "CreateChannel: missing",
      "DeleteChannel: missing",
      "DescribeChannel: missing",
      "ListChannels: missing",
      "UpdateChannel: missing",
    ]);
  });

  test("Organizations has the same operations, and the same inputs for those that are served", () => {
    const served = differences(organizations, organizationsClient).filter(
      (line) => (organizations.operations[line.split(/[.:]/)[0] ?? ""]?.errors.length ?? 1) > 0,
    );
    expect(served).toEqual([]);
  });
});

describe("the generated tables themselves", () => {
  const models = [kms, kinesis, iam, sts, cloudtrail, servicequotas, organizations];

  test.each(models.map((model) => [model.name, model] as const))("%s names no shape that it lacks", (_name, model) => {
    const targets = Object.values(model.shapes).flatMap((shape) => {
      if (shape.type === "structure") return Object.values(shape.members);
      if (shape.type === "list") return [shape.member];
      return shape.type === "map" ? [shape.key, shape.value] : [];
    });
    const roots: (string | undefined)[] = [];
    for (const { input, output, errors } of Object.values(model.operations)) roots.push(input, output, ...errors);
    const named = [...targets, ...roots].filter((name) => name !== undefined);
    expect(named.filter((name) => !Object.hasOwn(model.shapes, name))).toEqual([]);
  });

  test("every pattern compiles, and none takes long on a hostile string of the largest length", () => {
    // Pieces of the patterns themselves, so that many near-matches exist.
    const pieces = [
      "a",
      "-",
      "/",
      "0",
      ":",
      "arn:aws:kinesis:",
      ":123456789012:",
      "stream/",
      "consumer/",
      ":kinesis:",
      "é",
    ];
    for (const model of models) {
      for (const shape of Object.values(model.shapes)) {
        if (shape.type !== "string" || shape.pattern === undefined) continue;
        const expression = wholeStringPattern(shape.pattern);
        const length = Math.min(shape.max ?? 4096, 4096);
        for (const piece of pieces) {
          const hostile = `arn:aws${piece.repeat(Math.ceil(length / piece.length))}`.slice(0, length - 1) + "\u0000";
          const started = process.hrtime.bigint();
          expression.test(hostile);
          expect(Number(process.hrtime.bigint() - started) / 1e6, `${model.name}: ${shape.pattern}`).toBeLessThan(500);
        }
      }
    }
  });

  test("secrets and record contents are marked", () => {
    const sensitive = (model: ServiceModel): string[] =>
      Object.keys(model.shapes).filter((name) => model.shapes[name]?.sensitive === true);
    expect(sensitive(kinesis)).toEqual(["Data", "HashKey", "PartitionKey"]);
    expect(sensitive(kms)).toContain("PlaintextType");
  });
});
