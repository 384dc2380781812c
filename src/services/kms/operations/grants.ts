import { validationError } from "../../../base/errors.ts";
import type { ContextValues } from "../../../authz/types.ts";
import type { AccessCheck, Call, Operation, OperationContext } from "../../../gateway/contract.ts";
import { auditedKeys, changedCheck, keyAccess, type KeyUse, lowerCamel } from "../access.ts";
import { contextConditions } from "../encryption-context.ts";
import { accessDenied, dryRunSucceeded, grantNotFound, invalidGrantId, keyNotFound } from "../errors.ts";
import { readGrant, retirementOf } from "../grants/applied.ts";
import { limitsOf } from "../grants/constraints.ts";
import { rarestPair } from "../grants/grant-index.ts";
import { isSymmetric, operationsOf } from "../grants/grant-operations.ts";
import { addGrant, dropGrant, termsDigest } from "../grants/grant-store.ts";
import { isGrantId, openGrantToken, sealGrantToken } from "../grants/grant-token.ts";
import { boundTerms, principalParty, serviceParty } from "../grants/parties.ts";
import { type GrantParty, type GrantRecord, type GrantTerms, namedTable } from "../grants/records.ts";
import { keyArnOf, requireState } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { GRANTS_PER_KEY } from "../quotas.ts";
import { idOfKey, type KeyRecord } from "../records.ts";
import { type NamedKey, readKey, recordOf, resolveKey } from "../resolve.ts";
import type {
  CreateGrantRequest,
  CreateGrantResponse,
  RetireGrantRequest,
  RevokeGrantRequest,
} from "../shapes.generated.ts";

type Nothing = Readonly<Record<string, never>>;

const GRANT_ID_BYTES = 32;

interface NewGrant {
  readonly named: NamedKey;
  readonly terms: GrantTerms;
}

export const createGrant = (kms: KmsParts): Operation<CreateGrantRequest, CreateGrantResponse, NewGrant> => ({
  event: "management",
  readOnly: false,
  describe: ({ Constraints, GrantTokens: _tokens, ...input }) => ({
    requestParameters: lowerCamel({ ...input, Constraints: Constraints && lowerCamel(Constraints) }),
  }),

  async access(context, input) {
    const named = await resolveKey(kms, context, input.KeyId, { crossAccount: true });
    const terms = termsOf(input);
    const use: KeyUse = {
      conditions: () => ({ ...grantConditions(terms), ...forResource(context.call) }),
      grantTokens: input.GrantTokens,
      child: terms,
    };
    return { checks: [keyAccess(kms, context, named, "kms:CreateGrant", use)], target: { named, terms } };
  },

  check({ call }, _input, { named, terms }) {
    const key = recordOf(named, "kms:CreateGrant");
    requireState(key, "CreateGrant", call.nowMs);
    operationsOf(key, terms.operations);
    const constrained = terms.limits.equals !== null || terms.limits.subset !== null;
    if (constrained && !isSymmetric(key)) {
      throw validationError(
        `An encryption context constraint is not valid for a KMS key with key spec ${key.keySpec}, which takes no encryption context.`,
      );
    }
  },

  async handle(context, input, { named, terms: asked }) {
    const { call, read } = context;
    const key = recordOf(named, "kms:CreateGrant");
    const terms = await boundTerms(kms.principals, read, asked);
    const issuingAccountId = call.principal.accountId;
    const known =
      terms.name === null ? null : await read.get(namedTable, [...idOfKey(key), termsDigest(terms, issuingAccountId)]);
    const grantId = known?.grantId ?? Buffer.from(kms.random.bytes(GRANT_ID_BYTES)).toString("hex");
    const subsetPair = await rarestPair(read, key, terms);
    const grant: GrantRecord = { ...terms, grantId, createdMs: call.nowMs, issuingAccountId, subsetPair };
    const countMax = await kms.quotas.valueOf(key.accountId, key.region, "kms", GRANTS_PER_KEY);
    const writes = known === null ? await addGrant(read, key, grant, countMax) : [];
    if (input.DryRun) throw dryRunSucceeded();
    const { accountId, region, keyId } = key;
    return {
      output: { GrantId: grantId, GrantToken: sealGrantToken(kms.secretBox, { accountId, region, keyId, grantId }) },
      writes,
      audit: { ...auditedKeys(key), responseElements: { grantId, keyId: keyArnOf(key) } },
    };
  },
});

/** What a request wants granted. Whether the key can serve it is seen later: a stranger is told nothing about the key. */
function termsOf(input: CreateGrantRequest): GrantTerms {
  const { GranteePrincipal, GranteeServicePrincipal, RetiringPrincipal, RetiringServicePrincipal } = input;
  const grantee = partyOf("Grantee", GranteePrincipal, GranteeServicePrincipal);
  if (grantee === null) throw validationError("Specify either GranteePrincipal or GranteeServicePrincipal.");
  const retiring = partyOf("Retiring", RetiringPrincipal, RetiringServicePrincipal);
  const limits = limitsOf(input.Constraints);
  if (grantee.type === "Service" && limits.sourceArn === null) {
    throw validationError("A grant to a service principal must have a SourceArn constraint.");
  }
  if (grantee.type === "Service" && retiring === null) {
    throw validationError(
      "A grant to a service principal must have a RetiringPrincipal or a RetiringServicePrincipal.",
    );
  }
  const operations = [...new Set(input.Operations)].sort();
  return { name: input.Name ?? null, grantee, retiring, operations, limits };
}

function partyOf(
  role: "Grantee" | "Retiring",
  arn: string | undefined,
  service: string | undefined,
): GrantParty | null {
  if (arn !== undefined && service !== undefined) {
    throw validationError(`${role}Principal and ${role}ServicePrincipal exclude each other.`);
  }
  if (arn !== undefined) return principalParty(arn);
  return service === undefined ? null : serviceParty(service);
}

function grantConditions({ grantee, retiring, operations, limits }: GrantTerms): ContextValues {
  const context = limits.equals ?? limits.subset;
  const type = limits.equals === null ? "EncryptionContextSubset" : "EncryptionContextEquals";
  return {
    "kms:GrantOperations": operations,
    [grantee.type === "AWS" ? "kms:GranteePrincipal" : "kms:GranteeServicePrincipal"]: grantee.name,
    ...(retiring === null
      ? {}
      : { [retiring.type === "AWS" ? "kms:RetiringPrincipal" : "kms:RetiringServicePrincipal"]: retiring.name }),
    ...(context === null ? {} : { "kms:GrantConstraintType": type, ...contextConditions(context) }),
    ...(limits.sourceArn === null ? {} : { "kms:GrantConstraintSourceArn": limits.sourceArn }),
  };
}

/** True for grants that a service makes, lists or revokes for its caller. */
export const forResource = (call: Call): ContextValues => ({
  "kms:GrantIsForAWSResource": String(call.via !== undefined),
});

export const revokeGrant = (kms: KmsParts): Operation<RevokeGrantRequest, Nothing, NamedKey> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  async access(context, input) {
    const named = await resolveKey(kms, context, input.KeyId, { crossAccount: true });
    const use: KeyUse = { conditions: () => forResource(context.call) };
    return { checks: [keyAccess(kms, context, named, "kms:RevokeGrant", use)], target: named };
  },
  check({ call }, input, named) {
    requireState(recordOf(named, "kms:RevokeGrant"), "RevokeGrant", call.nowMs);
    if (!isGrantId(input.GrantId)) throw invalidGrantId(input.GrantId);
  },
  async handle({ read }, input, named) {
    const key = recordOf(named, "kms:RevokeGrant");
    const grant = await readGrant(read, key, input.GrantId);
    if (grant === null) throw grantNotFound(input.GrantId, keyArnOf(key));
    if (input.DryRun) throw dryRunSucceeded();
    return {
      output: {},
      writes: await dropGrant(read, key, grant),
      audit: { ...auditedKeys(key), responseElements: { keyId: keyArnOf(key) } },
    };
  },
});

interface Retirement {
  readonly key: KeyRecord;
  readonly grant: GrantRecord;
}

const RETIRE = "kms:RetireGrant";

export const retireGrant = (kms: KmsParts): Operation<RetireGrantRequest, Nothing, Retirement> => ({
  event: "management",
  readOnly: false,
  // The token is for the caller alone to keep.
  describe: ({ KeyId, GrantId, DryRun }) => {
    const parameters = lowerCamel({ KeyId, GrantId, DryRun });
    return { requestParameters: Object.keys(parameters).length === 0 ? null : parameters };
  },
  async access(context, input) {
    const target = await grantToRetire(kms, context, input);
    return { checks: [retireAccess(kms, context, target)], target };
  },
  check({ call }, _input, { key }) {
    requireState(key, "RetireGrant", call.nowMs);
  },
  async handle({ read }, input, { key, grant }) {
    if (input.DryRun) throw dryRunSucceeded();
    return {
      output: {},
      writes: await dropGrant(read, key, grant),
      audit: {
        ...auditedKeys(key),
        responseElements: { keyId: keyArnOf(key) },
        additionalEventData: { grantId: grant.grantId },
      },
    };
  },
});

/** By its token, or by its key and id. What is not there in another account is denied like what is not the caller's. */
async function grantToRetire(kms: KmsParts, context: OperationContext, input: RetireGrantRequest): Promise<Retirement> {
  const { GrantToken, KeyId, GrantId } = input;
  if (GrantToken !== undefined && (KeyId !== undefined || GrantId !== undefined)) {
    throw validationError("Specify either a GrantToken, or a KeyId and a GrantId.");
  }
  if (GrantToken !== undefined) return await grantOfToken(kms, context, GrantToken);
  if (KeyId === undefined || GrantId === undefined) {
    throw validationError("Specify either a GrantToken, or a KeyId and a GrantId.");
  }
  const key = recordOf(await resolveKey(kms, context, KeyId, { crossAccount: true }), RETIRE);
  if (!isGrantId(GrantId)) throw invalidGrantId(GrantId);
  const grant = await readGrant(context.read, key, GrantId);
  if (grant !== null) return { key, grant };
  if (key.accountId !== context.call.principal.accountId) throw accessDenied(RETIRE, keyArnOf(key));
  throw grantNotFound(GrantId, keyArnOf(key));
}

async function grantOfToken(kms: KmsParts, { call, read }: OperationContext, token: string): Promise<Retirement> {
  const name = openGrantToken(kms.secretBox, token);
  const arn = keyArnOf(name);
  const key =
    name.region === call.region ? await readKey(read, name.accountId, name.region, name.keyId, call.nowMs) : null;
  if (key === null) throw keyNotFound(arn);
  const grant = await readGrant(read, key, name.grantId);
  if (grant === null) throw grantNotFound(name.grantId, arn);
  return { key, grant };
}

/** The grant says who may; policies can only deny it. */
function retireAccess(kms: KmsParts, context: OperationContext, { key, grant }: Retirement): AccessCheck {
  const named: NamedKey = { arn: keyArnOf(key), accountId: key.accountId, record: key, alias: null, isNew: false };
  const policy = kms.policies.of(key);
  return changedCheck(keyAccess(kms, context, named, RETIRE), {
    resourcePolicy: { ...policy, statements: policy.statements.filter(({ effect }) => effect === "Deny") },
    grants: () => Promise.resolve(retirementOf(context.call, key, grant)),
  });
}
