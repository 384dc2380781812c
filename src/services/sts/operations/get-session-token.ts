import { formatArn } from "../../../base/arn.ts";
import type { Operation, Principal } from "../../../gateway/contract.ts";
import { mfaFailed, notWithSession } from "../errors.ts";
import type { StsDeps } from "../ports.ts";
import { issueCredentials } from "../session-request.ts";
import type { Operations } from "../shapes.generated.ts";

type Shapes = Operations["GetSessionToken"];

/** STS API reference, GetSessionToken and GetFederationToken. */
export const LONG_SESSION_SECONDS_DEFAULT = 43_200;
const ROOT_SECONDS_MAX = 3_600;

/** Root's sessions last an hour however much is asked for, as on AWS. */
export const longSessionSeconds = ({ type }: Principal, wanted: number | undefined): number => {
  const seconds = wanted ?? LONG_SESSION_SECONDS_DEFAULT;
  return type === "Root" ? Math.min(seconds, ROOT_SECONDS_MAX) : seconds;
};

/** A session of its own for the user, or root, that asks. Needs no permission (STS API reference). */
export const getSessionToken = (deps: StsDeps): Operation<Shapes["input"], Shapes["output"], null> => ({
  event: "management",
  readOnly: true,
  describe: ({ DurationSeconds, SerialNumber }) => ({
    requestParameters: {
      ...(DurationSeconds === undefined ? {} : { durationSeconds: DurationSeconds }),
      ...(SerialNumber === undefined ? {} : { serialNumber: SerialNumber }),
    },
  }),
  async access({ call }, { SerialNumber, TokenCode }) {
    const { type, session } = call.principal;
    if (session !== undefined || (type !== "User" && type !== "Root")) throw notWithSession("GetSessionToken");
    if (SerialNumber !== undefined || TokenCode !== undefined) throw mfaFailed();
    return { checks: [], target: null };
  },
  async handle({ call }, { DurationSeconds }) {
    const { accessKeyId: _, ...caller } = call.principal;
    const principal: Principal = {
      ...caller,
      session: {
        issuerArn: caller.arn,
        issuerId: caller.userId,
        name: caller.userName ?? "root",
        issuedAtMs: call.nowMs,
        mfa: false,
        tags: {},
        limits: null,
      },
    };
    const seconds = longSessionSeconds(call.principal, DurationSeconds);
    const { credentials, shown } = issueCredentials(deps, principal, call.nowMs, seconds);
    return { output: { Credentials: credentials }, audit: { responseElements: { credentials: shown } } };
  },
});

export const federatedUserArn = (accountId: string, name: string): string =>
  formatArn("sts", "", accountId, `federated-user/${name}`);
