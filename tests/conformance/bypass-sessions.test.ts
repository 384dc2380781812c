import {
  CreateRoleCommand,
  DeleteAccessKeyCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  ListUsersCommand,
  PutRolePolicyCommand,
  TagRoleCommand,
} from "@aws-sdk/client-iam";
import { CreateKeyCommand, ListAliasesCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import {
  AssumeRoleCommand,
  type AssumeRoleCommandInput,
  type Credentials as Issued,
  GetCallerIdentityCommand,
  GetFederationTokenCommand,
  GetSessionTokenCommand,
} from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Clients,
  clientsFor,
  createUser,
  policyDocument,
  refusal,
  rootClients,
  type User,
} from "../support/clients.ts";
import { advanceClock, serverForAll } from "../support/server.ts";
import { errorCode, type RawRequest, send, sign, targeted } from "../support/wire.ts";

/** Ways to get more out of a session than it was given. */
const server = serverForAll({ testHooks: true });
const opened: Clients[] = [];
let root: Clients;
/** May assume every role that trusts it, and list keys. */
let ann: User;
/** May assume roles, too; no role below trusts him. */
let bob: User;
beforeAll(async () => {
  root = await rootClients(server());
  const statements = [{ Effect: "Allow", Action: ["sts:*", "kms:ListKeys"], Resource: "*" }] as const;
  ann = await createUser(server(), root, "ann", statements);
  bob = await createUser(server(), root, "bob", statements);
  opened.push(root, ann, bob);
});
afterAll(() => {
  for (const clients of opened) clients.destroy();
});

interface Trust {
  readonly principal?: string;
  readonly actions?: readonly string[];
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** Makes a role that ann may assume (or whom it says), with a policy `main`. Returns its ARN. */
async function role(name: string, allowed: readonly string[], trust: Trust = {}, seconds = 3600): Promise<string> {
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: {
      Effect: "Allow",
      Principal: { AWS: trust.principal ?? ann.arn },
      Action: trust.actions ?? ["sts:AssumeRole"],
      ...(trust.condition === undefined ? {} : { Condition: trust.condition }),
    },
  });
  const { Role } = await root.iam.send(
    new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument, MaxSessionDuration: seconds }),
  );
  if (allowed.length > 0) await allow(name, allowed);
  return Role?.Arn ?? "";
}

const allow = async (RoleName: string, Action: readonly string[], PolicyName = "main"): Promise<unknown> =>
  root.iam.send(
    new PutRolePolicyCommand({
      RoleName,
      PolicyName,
      PolicyDocument: policyDocument({ Effect: "Allow", Action, Resource: "*" }),
    }),
  );

type Asked = Partial<AssumeRoleCommandInput>;
const assuming = async (who: Clients, RoleArn: string, asked: Asked = {}): Promise<string> =>
  refusal(who.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "test", ...asked })));

interface Session extends Clients {
  readonly token: string;
  readonly expiresMs: number;
}

async function session(issued: Issued | undefined): Promise<Session> {
  const token = issued?.SessionToken ?? "";
  const credentials = {
    accessKeyId: issued?.AccessKeyId ?? "",
    secretAccessKey: issued?.SecretAccessKey ?? "",
    sessionToken: token,
  };
  const clients = await clientsFor(server(), credentials);
  opened.push(clients);
  return { ...clients, token, expiresMs: issued?.Expiration?.getTime() ?? 0 };
}

const assume = async (who: Clients, RoleArn: string, asked: Asked = {}): Promise<Session> => {
  const answer = await who.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "test", ...asked }));
  return session(answer.Credentials);
};

const listingKeys = async (who: Clients): Promise<string> => refusal(who.kms.send(new ListKeysCommand({})));
const creatingKey = async (who: Clients): Promise<string> => refusal(who.kms.send(new CreateKeyCommand({})));
const DENIED = "AccessDeniedException";

describe("who may assume a role", () => {
  test("whom it trusts, and nobody else: no other user, not root, not for a role that is not there", async () => {
    const arn = await role("trusting", ["kms:ListKeys"]);
    expect(await assuming(ann, arn)).toBe("succeeded");
    expect(await assuming(bob, arn)).toBe("AccessDenied");
    expect(await assuming(root, arn)).toBe("AccessDenied");
    expect(await assuming(ann, `${arn}-none`)).toBe("AccessDenied");
    expect(await assuming(ann, arn.replace("role/", "role/other/"))).toBe("AccessDenied");
  });

  test("confused deputy: a role that asks for an external id is not assumed without it, nor with one like it", async () => {
    const arn = await role("deputy", ["kms:ListKeys"], {
      condition: { StringEquals: { "sts:ExternalId": "Order-66" } },
    });
    expect(await assuming(ann, arn, { ExternalId: "Order-66" })).toBe("succeeded");
    expect(await assuming(ann, arn)).toBe("AccessDenied");
    for (const ExternalId of ["order-66", "Order-67", "Order-6", "Order-666", "*", "Order-*"])
      expect(await assuming(ann, arn, { ExternalId }), ExternalId).not.toBe("succeeded");
  });

  test("what a trust policy asks of name and source identity cannot be left out", async () => {
    const named = await role("named", [], { condition: { StringLike: { "sts:RoleSessionName": "${aws:username}" } } });
    expect(await assuming(ann, named, { RoleSessionName: "ann" })).toBe("succeeded");
    expect(await assuming(ann, named, { RoleSessionName: "bob" })).toBe("AccessDenied");
    const sourced = await role("sourced", [], { condition: { StringEquals: { "sts:SourceIdentity": "ann" } } });
    expect(await assuming(ann, sourced)).toBe("AccessDenied");
    // Trusts to be assumed, but not to have a source identity set.
    expect(await assuming(ann, sourced, { SourceIdentity: "ann" })).toBe("AccessDenied");
  });
});

describe("how long a session lasts", () => {
  test("no longer than the role allows, and never more than an hour when a role's session asks", async () => {
    const second = await role("second", ["kms:ListKeys"], { principal: server().accountId }, 43_200);
    const first = await role("first", ["sts:AssumeRole", "kms:ListKeys"], {}, 43_200);
    const short = await role("short", []);
    expect(await assuming(ann, short, { DurationSeconds: 3601 })).toBe("ValidationError");
    expect(await assuming(ann, short, { DurationSeconds: 43_201 })).toBe("ValidationError");
    const long = await assume(ann, first, { DurationSeconds: 43_200 });
    for (const DurationSeconds of [3601, 43_200])
      expect(await assuming(long, second, { DurationSeconds })).toBe("ValidationError");
    const chained = await assume(long, second);
    expect(chained.expiresMs - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect(await listingKeys(chained)).toBe("succeeded");
  });

  test("a revoked session: what was issued before is denied, what is issued after is not", async () => {
    const arn = await role("revocable", ["kms:ListKeys"]);
    const before = await assume(ann, arn);
    expect(await listingKeys(before)).toBe("succeeded");
    await advanceClock(server(), 10_000);
    const PolicyDocument = policyDocument({
      Effect: "Deny",
      Action: "*",
      Resource: "*",
      Condition: { DateLessThan: { "aws:TokenIssueTime": new Date(Date.now() + 5_000).toISOString() } },
    });
    await root.iam.send(
      new PutRolePolicyCommand({ RoleName: "revocable", PolicyName: "AWSRevokeOlderSessions", PolicyDocument }),
    );
    expect(await listingKeys(before)).toBe(DENIED);
    expect(await listingKeys(await assume(ann, arn))).toBe("succeeded");
  });

  test("an expired session: refused by every service, and it cannot be made longer by assuming anew", async () => {
    const arn = await role("brief", ["kms:*", "iam:*", "sts:*"], {
      principal: server().accountId,
    });
    const brief = await assume(ann, arn, { DurationSeconds: 900 });
    expect(await listingKeys(brief)).toBe("succeeded");
    await advanceClock(server(), 901_000);
    expect(await listingKeys(brief)).toBe("ExpiredTokenException");
    expect(await refusal(brief.iam.send(new ListUsersCommand({})))).toBe("ExpiredToken");
    expect(await refusal(brief.sts.send(new GetCallerIdentityCommand({})))).toMatch(/^ExpiredToken/);
    expect(await assuming(brief, arn)).toMatch(/^ExpiredToken/);
  });
});

describe("what a session may do", () => {
  test("a session policy limits and never widens", async () => {
    const arn = await role("wide", ["kms:ListKeys", "kms:ListAliases"]);
    const everything = await assume(ann, arn, {
      Policy: policyDocument({ Effect: "Allow", Action: "*", Resource: "*" }),
    });
    expect(await listingKeys(everything)).toBe("succeeded");
    expect(await creatingKey(everything)).toBe(DENIED);
    const less = await assume(ann, arn, {
      Policy: policyDocument({ Effect: "Allow", Action: "kms:ListAliases", Resource: "*" }),
    });
    expect(await refusal(less.kms.send(new ListAliasesCommand({})))).toBe("succeeded");
    expect(await listingKeys(less)).toBe(DENIED);
    const managed = await assume(ann, arn, { PolicyArns: [{ arn: "arn:aws:iam::aws:policy/AdministratorAccess" }] });
    expect(await listingKeys(managed)).toBe("succeeded");
    expect(await creatingKey(managed)).toBe(DENIED);
    for (const missing of ["arn:aws:iam::aws:policy/NoSuchPolicy", `arn:aws:iam::${server().accountId}:policy/none`])
      expect(await assuming(ann, arn, { PolicyArns: [{ arn: missing }] })).not.toBe("succeeded");
  });

  test("a limited session cannot shed its limits by assuming another role, or its own again", async () => {
    const arn = await role("again", ["kms:ListKeys", "sts:AssumeRole"], { principal: server().accountId });
    const limited = await assume(ann, arn, {
      Policy: policyDocument({ Effect: "Allow", Action: "kms:ListKeys", Resource: "*" }),
    });
    expect(await listingKeys(limited)).toBe("succeeded");
    expect(await assuming(limited, arn)).toBe("AccessDenied");
  });

  test("a federated user has what both say, GetFederationToken without a policy gives nothing", async () => {
    const federate = async (Policy?: string): Promise<Session> => {
      const command = new GetFederationTokenCommand({ Name: "guest", ...(Policy === undefined ? {} : { Policy }) });
      return session((await ann.sts.send(command)).Credentials);
    };
    const wide = await federate(policyDocument({ Effect: "Allow", Action: "*", Resource: "*" }));
    expect(await listingKeys(wide)).toBe("succeeded");
    expect(await creatingKey(wide)).toBe(DENIED);
    expect(await listingKeys(await federate())).toBe(DENIED);
    const arn = await role("for-all", ["kms:*"], { principal: server().accountId });
    expect(await assuming(wide, arn)).toBe("AccessDenied");
    expect(await refusal(wide.sts.send(new GetSessionTokenCommand({})))).toBe("AccessDenied");
    expect(await refusal(wide.iam.send(new ListUsersCommand({})))).not.toBe("succeeded");
  });

  test("a user's own session cannot be traded for a fresh one", async () => {
    const own = await session((await ann.sts.send(new GetSessionTokenCommand({}))).Credentials);
    expect(await listingKeys(own)).toBe("succeeded");
    expect(await creatingKey(own)).toBe(DENIED);
    expect(await refusal(own.sts.send(new GetSessionTokenCommand({})))).toBe("AccessDenied");
    expect(await refusal(own.sts.send(new GetFederationTokenCommand({ Name: "guest" })))).toBe("AccessDenied");
  });
});

describe("tags of a session", () => {
  const team = (Value: string, Key = "team"): Asked => ({ Tags: [{ Key, Value }] });
  const tagged = { actions: ["sts:AssumeRole", "sts:TagSession"] } as const;

  /** A role that may create keys for team red alone. */
  async function roleOfRed(name: string, trust: Trust): Promise<string> {
    const arn = await role(name, ["kms:ListKeys"], trust);
    const PolicyDocument = policyDocument({
      Effect: "Allow",
      Action: "kms:CreateKey",
      Resource: "*",
      Condition: { StringEquals: { "aws:PrincipalTag/team": "red" } },
    });
    await root.iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: "red", PolicyDocument }));
    return arn;
  }

  test("cannot be set where the trust policy does not let them, and count where it does", async () => {
    expect(await assuming(ann, await roleOfRed("untagged", {}), team("red"))).toBe("AccessDenied");
    const arn = await roleOfRed("tagged", tagged);
    expect(await creatingKey(await assume(ann, arn))).toBe(DENIED);
    expect(await creatingKey(await assume(ann, arn, team("blue")))).toBe(DENIED);
    expect(await creatingKey(await assume(ann, arn, team("red")))).toBe("succeeded");
  });

  test("cannot be told apart by case, nor set twice, nor in AWS's name", async () => {
    const arn = await roleOfRed("cased", {
      ...tagged,
      condition: { StringEqualsIfExists: { "aws:RequestTag/team": "blue" } },
    });
    for (const Key of ["team", "Team", "TEAM"])
      expect(await assuming(ann, arn, team("red", Key)), Key).toBe("AccessDenied");
    const twice = [...(team("blue").Tags ?? []), ...(team("red", "Team").Tags ?? [])];
    expect(await assuming(ann, arn, { Tags: twice })).toMatch(/^InvalidParameterValue/);
    expect(await assuming(ann, arn, team("red", "aws:PrincipalTag/team"))).toMatch(
      /^(InvalidParameterValue|AccessDenied)/,
    );
  });

  test("win over the role's own tag of that name, in whatever case, so that there is one value only", async () => {
    const arn = await roleOfRed("labelled", tagged);
    await root.iam.send(new TagRoleCommand({ RoleName: "labelled", Tags: [{ Key: "Team", Value: "red" }] }));
    expect(await creatingKey(await assume(ann, arn))).toBe("succeeded");
    for (const Key of ["team", "Team", "tEAM"])
      expect(await creatingKey(await assume(ann, arn, team("blue", Key))), Key).toBe(DENIED);
  });

  test("that are transitive cannot be changed or dropped by the next role", async () => {
    const second = await roleOfRed("last", { ...tagged, principal: server().accountId });
    const first = await role("carrier", ["sts:AssumeRole", "sts:TagSession"], tagged);
    const blue = await assume(ann, first, { ...team("blue"), TransitiveTagKeys: ["team"] });
    for (const Key of ["team", "Team"])
      expect(await assuming(blue, second, team("red", Key)), Key).toMatch(/^InvalidParameterValue/);
    expect(await creatingKey(await assume(blue, second))).toBe(DENIED);
    const free = await assume(ann, first, team("blue"));
    expect(await creatingKey(await assume(free, second, team("red")))).toBe("succeeded");
  });
});

describe("session tokens", () => {
  interface Parts {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly token?: string;
    readonly unsignedToken?: string;
  }
  const listKeys = async (parts: Parts): Promise<string> => {
    const request = targeted("TrentService.ListKeys", "{}");
    const { token, unsignedToken, ...credentials } = parts;
    const headers = token === undefined ? request.headers : { ...request.headers, "x-amz-security-token": token };
    const where = { endpoint: server().endpoint, region: server().region, service: "kms" };
    const signed: RawRequest = sign({ ...request, headers }, { ...where, credentials });
    const sent =
      unsignedToken === undefined
        ? signed
        : { ...signed, headers: { ...signed.headers, "x-amz-security-token": unsignedToken } };
    return errorCode(await send(server().endpoint, sent)) ?? "answered";
  };

  test("belong to one key each: without it, with another's, changed, or put in after signing, nothing works", async () => {
    const arn = await role("tokens", ["kms:ListKeys"]);
    const [one, two] = [await assume(ann, arn), await assume(ann, arn)];
    const { accessKeyId, secretAccessKey } = one.credentials;
    const key = { accessKeyId, secretAccessKey };
    const { token } = one;
    expect(await listKeys({ ...key, token })).toBe("answered");
    expect(await listKeys({ ...key, unsignedToken: token })).toBe("InvalidSignatureException");
    expect(await listKeys({ ...key, token, unsignedToken: two.token })).toMatch(
      /^(UnrecognizedClientException|InvalidSignatureException)$/,
    );
    const middle = Math.floor(token.length / 2);
    const flipped = token.slice(0, middle) + (token[middle] === "A" ? "B" : "A") + token.slice(middle + 1);
    for (const other of [two.token, flipped, token.slice(0, -4), `${token}AAAA`, `${token}=`, "A", "A".repeat(9_000)])
      expect(await listKeys({ ...key, token: other })).toBe("UnrecognizedClientException");
    expect(await listKeys(key)).toBe("UnrecognizedClientException");
    const { secretAccessKey: otherSecret } = two.credentials;
    expect(await listKeys({ accessKeyId, secretAccessKey: otherSecret, token })).toBe("InvalidSignatureException");
    expect(await listKeys({ accessKeyId: two.credentials.accessKeyId, secretAccessKey, token })).toBe(
      "UnrecognizedClientException",
    );
    expect(await listKeys({ ...ann.credentials, token })).toBe("UnrecognizedClientException");
    expect(await listKeys({ ...ann.credentials, unsignedToken: token })).toBe("InvalidSignatureException");
  });

  test("die with their user, and are not those of another user of that name", async () => {
    const may = { Effect: "Allow", Action: ["sts:*", "kms:ListKeys"], Resource: "*" } as const;
    const remove = async ({ name, credentials: { accessKeyId } }: User): Promise<void> => {
      await root.iam.send(new DeleteUserPolicyCommand({ UserName: name, PolicyName: "main" }));
      await root.iam.send(new DeleteAccessKeyCommand({ UserName: name, AccessKeyId: accessKeyId }));
      await root.iam.send(new DeleteUserCommand({ UserName: name }));
    };
    const first = await createUser(server(), root, "carl", [may]);
    const own = await session((await first.sts.send(new GetSessionTokenCommand({}))).Credentials);
    const Policy = policyDocument(may);
    const guest = await session(
      (await first.sts.send(new GetFederationTokenCommand({ Name: "guest", Policy }))).Credentials,
    );
    for (const who of [own, guest]) expect(await listingKeys(who)).toBe("succeeded");
    await remove(first);
    for (const who of [own, guest]) expect(await listingKeys(who)).not.toBe("succeeded");
    const second = await createUser(server(), root, "carl", [may]);
    for (const who of [own, guest]) expect(await listingKeys(who)).not.toBe("succeeded");
    expect(await listingKeys(second)).toBe("succeeded");
    opened.push(first, second);
  });

  test("die with their role, and do not come to life again with another of its name", async () => {
    const arn = await role("phoenix", ["kms:ListKeys"]);
    const old = await assume(ann, arn);
    expect(await listingKeys(old)).toBe("succeeded");
    await root.iam.send(new DeleteRolePolicyCommand({ RoleName: "phoenix", PolicyName: "main" }));
    await root.iam.send(new DeleteRoleCommand({ RoleName: "phoenix" }));
    expect(await listingKeys(old)).toBe("UnrecognizedClientException");
    expect(await role("phoenix", ["kms:ListKeys"])).toBe(arn);
    expect(await listingKeys(old)).toBe("UnrecognizedClientException");
    expect(await listingKeys(await assume(ann, arn))).toBe("succeeded");
  });
});
