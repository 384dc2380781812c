/** Which service and operation a call names. */
import { internalFailure, ServiceError } from "../base/errors.ts";
import type { AnyOperation, Call, OperationContext, Service } from "./contract.ts";

export function serviceOf(services: ReadonlyMap<string, Service>, call: Call): Service {
  const service = services.get(call.service);
  if (service === undefined) throw internalFailure(new Error(`no service is called ${call.service}`));
  return service;
}

export const operationOf = (service: Service, name: string): AnyOperation =>
  (Object.hasOwn(service.operations, name) ? service.operations[name] : undefined) ?? notServed;

/** In the place of an operation that the service's model knows and we do not serve yet: refused, and written down. */
const notServed: AnyOperation = {
  event: "management",
  readOnly: false,
  access: (context: OperationContext) => {
    throw new ServiceError(
      "UnsupportedOperationException",
      `Waxseal does not serve ${context.call.service}:${context.call.operation} yet.`,
    );
  },
  handle: () => Promise.reject(internalFailure(new Error("not served"))),
};
