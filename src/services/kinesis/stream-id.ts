/** `StreamId` as a parameter: the id that DescribeStreamSummary shows, in place of a name or beside it. */
import type { AnyOperation, OperationContext } from "../../gateway/contract.ts";
import { invalidArgument, streamIdNotFound } from "./errors.ts";
import { streamArn } from "./model.ts";
import { streamPlaces } from "./records.ts";

interface Named {
  readonly StreamId?: string | undefined;
  readonly StreamName?: string | undefined;
  readonly StreamARN?: string | undefined;
  readonly ResourceARN?: string | undefined;
  readonly ConsumerARN?: string | undefined;
}

/**
 * The input without its StreamId. Alone, an id names streams of the caller's own account and Region: another's is named by ARN.
 * Throws where it is nobody's, or another stream's than the one that the request also names.
 */
async function withoutId({ call, read }: OperationContext, input: Named): Promise<Named> {
  const { StreamId: id, ...rest } = input;
  if (id === undefined) return input;
  const place = await read.get(streamPlaces, [id]);
  const arn = place === null ? null : streamArn(place);
  const given = input.StreamARN ?? input.ResourceARN ?? input.ConsumerARN;
  if (given === undefined && input.StreamName === undefined) {
    const isOwn = place?.accountId === call.principal.accountId && place.region === call.region;
    if (arn === null || !isOwn) throw streamIdNotFound(id, call.principal.accountId);
    return { ...rest, StreamARN: arn };
  }
  const { accountId } = call.principal;
  const named = given ?? streamArn({ accountId, region: call.region, name: input.StreamName ?? "" });
  const isSame = named === arn || named.startsWith(`${arn}/`);
  if (arn === null || !isSame)
    throw invalidArgument(`StreamId ${id} is not the id of the stream that the request names.`);
  return rest;
}

/** The same operation, for requests that may name the stream by its id. Costs those that don't one comparison. */
export const takingStreamIds = (operation: AnyOperation): AnyOperation => {
  const { access, check, handle } = operation;
  const given = async (context: OperationContext, input: Named): Promise<Named> =>
    input.StreamId === undefined ? input : await withoutId(context, input);
  return {
    ...operation,
    access: (context, input: Named) =>
      input.StreamId === undefined
        ? access(context, input)
        : given(context, input).then((named) => access(context, named)),
    ...(check === undefined
      ? {}
      : { check: async (context, input: Named, target) => check(context, await given(context, input), target) }),
    handle: (context, input: Named, target) =>
      input.StreamId === undefined
        ? handle(context, input, target)
        : given(context, input).then((named) => handle(context, named, target)),
  };
};
