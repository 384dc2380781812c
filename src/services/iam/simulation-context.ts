/** The condition keys of a simulated request. */
import type { AuthorizationPrincipal, ContextValue } from "../../authz/types.ts";
import { invalidInput } from "./errors.ts";
import type { ContextEntry, ContextKeyTypeEnum } from "./shapes.generated.ts";

const FORMS: Readonly<Partial<Record<string, RegExp>>> = {
  numeric: /^[+-]?\d+(\.\d+)?$/,
  boolean: /^(true|false)$/i,
  ip: /^[0-9a-fA-F.:]+(\/\d{1,3})?$/,
  binary: /^[A-Za-z0-9+/]*={0,2}$/,
};

/** Names are compared without regard to case, by ASCII letters alone, as in real requests. */
export const foldedKey = (name: string): string => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** Of the principal: what is known of it holds unless the request says otherwise. @throws InvalidInput */
export function simulationContext(
  principal: AuthorizationPrincipal | null,
  entries: readonly ContextEntry[] | undefined,
): ReadonlyMap<string, ContextValue> {
  const context = new Map<string, ContextValue>(principal === null ? [] : keysOf(principal));
  const given = new Set<string>();
  for (const { ContextKeyName: name, ContextKeyValues: values = [], ContextKeyType: type = "string" } of entries ??
    []) {
    if (name === undefined) throw invalidInput("Each context entry needs a ContextKeyName.");
    const key = foldedKey(name);
    if (given.has(key)) throw invalidInput(`The context key ${name} is given more than once.`);
    given.add(key);
    context.set(key, valueOf(name, values, type));
  }
  return context;
}

function valueOf(name: string, values: readonly string[], type: ContextKeyTypeEnum): string | readonly string[] {
  const isList = type.endsWith("List");
  const form = FORMS[isList ? type.slice(0, -"List".length) : type];
  const wrong = values.find((value) => form?.test(value) === false);
  if (wrong !== undefined) throw invalidInput(`Invalid value for context key ${name}: it is not of type ${type}.`);
  if (isList) return values;
  const [value] = values;
  if (value === undefined || values.length > 1) {
    throw invalidInput(`The context key ${name} of type ${type} takes exactly one value.`);
  }
  return value;
}

function keysOf({
  type,
  arn,
  accountId,
  userId,
  roleArn,
}: AuthorizationPrincipal): readonly (readonly [string, string])[] {
  return [
    ["aws:principalarn", roleArn ?? arn],
    ["aws:principalaccount", accountId],
    ["aws:principaltype", type],
    ["aws:principalisawsservice", "false"],
    ...(type === "User"
      ? ([
          ["aws:username", arn.slice(arn.lastIndexOf("/") + 1)],
          ...(userId === "" ? [] : ([["aws:userid", userId]] as const)),
        ] as const)
      : []),
  ];
}
