import { formatArn } from "../../base/arn.ts";
import type { AccessCheck, AnyOperation, AuditDetails, Call, Operation, QuotaValues } from "../../gateway/contract.ts";
import type { Catalogue, Figures } from "./catalogue.ts";
import type { Operations } from "./shapes.generated.ts";

/** What the operations work with. */
export interface Parts {
  readonly catalogue: Catalogue;
  readonly figures: Figures;
  readonly values: QuotaValues;
}

export type Row<Name extends keyof Operations> = Operation<Operations[Name]["input"], Operations[Name]["output"], null>;

export const quotaArn = (call: Call, service: string, code: string): string =>
  formatArn("servicequotas", call.region, call.principal.accountId, `${service}/${code}`);

/** All operations but requests for increases are on no single resource (service authorization reference). */
export const accessTo = (call: Call, operation: keyof Operations, resource = "*", service?: string): AccessCheck => ({
  action: `servicequotas:${operation}`,
  resource,
  resourceAccountId: call.principal.accountId,
  ...(service === undefined ? {} : { context: { "servicequotas:service": service } }),
});

/** An operation that only reads. */
export const reading = <Name extends keyof Operations>(
  name: Name,
  answer: (
    context: Parameters<Row<Name>["handle"]>[0],
    input: Operations[Name]["input"],
  ) => Promise<Operations[Name]["output"]>,
): Row<Name> => ({
  event: "management",
  readOnly: true,
  describe,
  access: async ({ call }) => ({ checks: [accessTo(call, name)], target: null }),
  handle: async (context, input) => ({ output: await answer(context, input) }),
});

/** Nothing that Service Quotas is told is secret. */
export const describe = (input: object): AuditDetails => ({
  requestParameters: Object.fromEntries(
    Object.entries(input)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name.charAt(0).toLowerCase() + name.slice(1), value as unknown]),
  ),
});

export type Rows = { readonly [Name in keyof Operations]: AnyOperation };
