import type { Operation } from "../../../gateway/contract.ts";
import type { Environment } from "../environment.ts";
import { invalidNextToken } from "../errors.ts";
import { statusOf, streamArn } from "../model.ts";
import { checkNextTokenAge, openNextToken, sealNextToken } from "../next-token.ts";
import type { ListStreamsInput, ListStreamsOutput } from "../shapes.generated.ts";
import { listStreamRecords } from "../stream-list.ts";

const PAGE_COUNT_MAX = 100;

export function listStreams(env: Environment): Operation<ListStreamsInput, ListStreamsOutput, null> {
  return {
    event: "management",
    readOnly: true,
    describe: (input) => ({
      requestParameters: {
        ...(input.Limit === undefined ? {} : { limit: input.Limit }),
        ...(input.ExclusiveStartStreamName === undefined
          ? {}
          : { exclusiveStartStreamName: input.ExclusiveStartStreamName }),
      },
    }),
    access: async ({ call }) => ({
      checks: [{ action: "kinesis:ListStreams", resource: "*", resourceAccountId: call.principal.accountId }],
      target: null,
    }),
    handle: async ({ call, read }, input) => {
      const scope = { accountId: call.principal.accountId, region: call.region };
      let after = input.ExclusiveStartStreamName;
      if (input.NextToken !== undefined) {
        const token = openNextToken(env.secretBox, "ListStreams", input.NextToken);
        if (token.scope.accountId !== scope.accountId || token.scope.region !== scope.region) throw invalidNextToken();
        checkNextTokenAge(token, call.nowMs);
        after = token.after;
      }
      const countMax = Math.min(input.Limit ?? PAGE_COUNT_MAX, PAGE_COUNT_MAX);
      const found = await listStreamRecords(read, scope, call.nowMs, after, countMax + 1);
      const page = found.slice(0, countMax);
      const last = page.at(-1);
      const more = found.length > page.length && last !== undefined;
      return {
        output: {
          StreamNames: page.map(({ name }) => name),
          HasMoreStreams: more,
          StreamSummaries: page.map((stream) => ({
            StreamName: stream.name,
            StreamARN: streamArn(stream),
            StreamStatus: statusOf(stream, call.nowMs) ?? "DELETING",
            StreamModeDetails: { StreamMode: stream.mode },
            StreamCreationTimestamp: stream.createdAtMs,
          })),
          ...(more
            ? {
                NextToken: sealNextToken(env.secretBox, "ListStreams", {
                  scope,
                  after: last.name,
                  createdMs: call.nowMs,
                }),
              }
            : {}),
        },
      };
    },
  };
}
