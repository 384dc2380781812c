import { describe, expect, test } from "vitest";
import type { Principal } from "../gateway/contract.ts";
import { createEventBuilder } from "./build-event.ts";
import { ACCOUNT, callOf, subjectOf } from "./testing/events.ts";

const buildEvent = createEventBuilder();

const REQUEST = { requestParameters: { keyId: "k" }, responseElements: { x: 1 } };

describe("events", () => {
  test("a user's call is told with whole seconds and the user's identity", () => {
    const resources = [{ type: "AWS::KMS::Key", arn: "arn:aws:kms:eu-central-1:1:key/k", accountId: ACCOUNT }];
    const event = buildEvent(subjectOf({ details: { ...REQUEST, resources } }));
    expect(event).toMatchObject({
      eventTime: "2023-11-14T22:13:20Z",
      userIdentity: { type: "IAMUser", userName: "ann", accessKeyId: "AKIAEXAMPLE", principalId: "AIDAEXAMPLE" },
      sourceIPAddress: "192.0.2.7",
      resources: [{ ARN: "arn:aws:kms:eu-central-1:1:key/k", type: "AWS::KMS::Key", accountId: ACCOUNT }],
      responseElements: { x: 1 },
      managementEvent: true,
      recipientAccountId: ACCOUNT,
    });
    expect(event.errorCode).toBeUndefined();
  });

  test("neither an agent nor an error message takes more than CloudTrail's one KB", () => {
    const error = { code: "ValidationException", message: "m".repeat(9_000) };
    const event = buildEvent(subjectOf({ call: callOf({ userAgent: "a".repeat(9_000) }), error }));
    expect(event.userAgent).toBe("a".repeat(1_024));
    expect(event.errorMessage).toBe("m".repeat(1_024));
  });

  test("a service's call for its caller keeps the caller and shows the service in place of address and agent", () => {
    const call = callOf({ via: { service: "kinesis" }, tls: { version: "TLSv1.3", cipherSuite: "X", host: "h" } });
    const event = buildEvent(subjectOf({ call }));
    const host = "kinesis.amazonaws.com";
    expect(event).toMatchObject({
      sourceIPAddress: host,
      userAgent: host,
      userIdentity: { userName: "ann", invokedBy: host },
    });
    expect(event.tlsDetails).toBeUndefined();
  });

  test("sessions show who issued them, for whom a provider vouched and whose doing they are; a web identity its provider", () => {
    const base = { accountId: ACCOUNT, userId: "id" };
    const session = { issuerId: "AIDAX", name: "fay", issuedAtMs: 1_700_000_000_999, mfa: false, tags: {} };
    const identityOf = (principal: Principal) => buildEvent(subjectOf({ call: callOf({ principal }) })).userIdentity;
    const attributes = { creationDate: "2023-11-14T22:13:20Z", mfaAuthenticated: "false" };
    const role = `arn:aws:iam::${ACCOUNT}:role/deploy`;
    const provider = `arn:aws:iam::${ACCOUNT}:oidc-provider/idp.test`;
    expect(
      identityOf({
        ...base,
        type: "AssumedRole",
        arn: "s",
        session: {
          ...session,
          issuerArn: role,
          sourceIdentity: "ann",
          federation: { provider, claims: { "idp.test:sub": "x" } },
        },
      }),
    ).toMatchObject({
      sessionContext: {
        sessionIssuer: { type: "Role", arn: role, userName: "deploy" },
        webIdFederationData: { federatedProvider: provider, attributes: {} },
        attributes,
        sourceIdentity: "ann",
      },
    });
    const root = `arn:aws:iam::${ACCOUNT}:root`;
    expect(
      identityOf({ ...base, type: "FederatedUser", arn: "f", session: { ...session, issuerArn: root } }),
    ).toMatchObject({
      sessionContext: { sessionIssuer: { type: "Root", arn: root, accountId: ACCOUNT } },
    });
    const ownSession = { ...session, issuerArn: "u" };
    expect(identityOf({ ...base, type: "User", arn: "u", userName: "ann", session: ownSession })).toMatchObject({
      type: "IAMUser",
      sessionContext: { attributes },
    });
    expect(identityOf({ ...base, type: "WebIdentity", arn: provider, userName: "x" })).toEqual({
      type: "WebIdentityUser",
      principalId: "id",
      userName: "x",
      identityProvider: provider,
    });
  });

  test("root and role sessions are told apart from users", () => {
    const root = callOf({
      principal: { type: "Root", arn: `arn:aws:iam::${ACCOUNT}:root`, accountId: ACCOUNT, userId: ACCOUNT },
    });
    expect(buildEvent(subjectOf({ call: root })).userIdentity).toEqual({
      type: "Root",
      principalId: ACCOUNT,
      arn: `arn:aws:iam::${ACCOUNT}:root`,
      accountId: ACCOUNT,
    });
    const session = callOf({
      principal: {
        type: "AssumedRole",
        arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reader/s1`,
        accountId: ACCOUNT,
        userId: "AROAX:s1",
        session: {
          issuerArn: `arn:aws:iam::${ACCOUNT}:role/team/reader`,
          issuerId: "AROAX",
          name: "s1",
          issuedAtMs: 1_700_000_000_999,
          mfa: false,
          tags: {},
        },
      },
    });
    expect(buildEvent(subjectOf({ call: session })).userIdentity).toMatchObject({
      type: "AssumedRole",
      sessionContext: {
        sessionIssuer: { type: "Role", principalId: "AROAX", userName: "reader", accountId: ACCOUNT },
        attributes: { creationDate: "2023-11-14T22:13:20Z", mfaAuthenticated: "false" },
      },
    });
  });

  test("a failed call has its error and no response", () => {
    const event = buildEvent(
      subjectOf({ details: REQUEST, error: { code: "DisabledException", message: "k is disabled." } }),
    );
    expect(event).toMatchObject({
      errorCode: "DisabledException",
      errorMessage: "k is disabled.",
      responseElements: null,
    });
  });

  test("an error without a message has no message in its event either", () => {
    const event = buildEvent(subjectOf({ error: { code: "UnsupportedOperationException", message: "" } }));
    expect(event.errorCode).toBe("UnsupportedOperationException");
    expect(event.errorMessage).toBeUndefined();
  });

  test.each([
    ["kms.amazonaws.com", "AccessDeniedException", "AccessDenied"],
    ["iam.amazonaws.com", "AccessDenied", "AccessDenied"],
    ["iam.amazonaws.com", "NoSuchEntity", "NoSuchEntityException"],
    ["kms.amazonaws.com", "NotFoundException", "NotFoundException"],
  ])("%s: %s is recorded as %s", (eventSource, code, recorded) => {
    expect(buildEvent(subjectOf({ eventSource, error: { code, message: "" } })).errorCode).toBe(recorded);
  });

  test("a constraint message is recorded without the value that broke it", () => {
    const message =
      "2 validation errors detected: Value 'my secret partition key' at 'partitionKey' failed to satisfy constraint: " +
      "Member must have length less than or equal to 256; " +
      "Value '' at 'records.1.member.data' failed to satisfy constraint: x";
    const recorded = buildEvent(subjectOf({ error: { code: "ValidationException", message } })).errorMessage;
    expect(recorded).toBe("2 validation errors detected: at 'partitionKey', 'records.1.member.data'");
  });

  test("an event stands in the region that served the call", () => {
    expect(buildEvent(subjectOf()).awsRegion).toBe("eu-central-1");
  });
});
