import { createAuditLog } from "../audit/audit-log.ts";
import type { AuditLog } from "../audit/log.ts";
import { createRefusalCounter } from "../audit/refusals.ts";
import { createAuthenticator } from "../authn/authenticator.ts";
import type { SessionTokens } from "../authn/credentials.ts";
import { createSessionTokens } from "../authn/session-tokens.ts";
import { compilePolicy } from "../authz/compile.ts";
import { requestContext } from "../authz/context.ts";
import { allowsPrincipal } from "../authz/decide.ts";
import type { PrincipalIds } from "../authz/principals.ts";
import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { KeyWorkers } from "../crypto/asymmetric/key-workers.ts";
import { createKeyWorkers } from "../crypto/asymmetric/worker-pool.ts";
import { createDataKeys, type DataKeys } from "../envelope/data-keys.ts";
import type { SuiteName } from "../envelope/suite.ts";
import type { Service } from "../gateway/contract.ts";
import { dispatchedKeyService } from "../gateway/key-service.ts";
import { decodedDenial } from "../gateway/denial-message.ts";
import { createDenials, type Denials } from "../gateway/denials.ts";
import { createOperations, type Operations } from "../gateway/operations.ts";
import { answer, type RequestPath } from "../gateway/request-path.ts";
import { createProtocols } from "../protocol/route.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { sealedError } from "../seal/errors.ts";
import type { Keyring } from "../seal/keyring.ts";
import { createCloudTrailService } from "../services/cloudtrail/api.ts";
import { createConsumersService } from "../services/consumers/api.ts";
import { type AccessKeyUse, createAccessKeyUse } from "../services/iam/access-key-use.ts";
import { createIamService } from "../services/iam/api.ts";
import { isAccountClosed, memberAccounts, ofOpenAccounts } from "../services/iam/member-accounts.ts";
import { createCredentialSource, type Credentials } from "../services/iam/credential-source.ts";
import { principalDirectory } from "../services/iam/principal-directory.ts";
import { createPolicySource } from "../services/iam/policy-source.ts";
import { createRoleSource } from "../services/iam/role-source.ts";
import { createKinesisService } from "../services/kinesis/api.ts";
import { createKmsUse, type KmsUse, metered } from "../services/kinesis/kms-use.ts";
import { streamIdAt } from "../services/kinesis/stream-lookup.ts";
import { createKmsService } from "../services/kms/api.ts";
import { parseCiphertext } from "../services/kms/ciphertext.ts";
import { createOwnedKeys, type OwnedKeys } from "../services/kms/owned-keys.ts";
import { createOrganizationsService } from "../services/organizations/api.ts";
import { organizationPlace } from "../services/organizations/place.ts";
import { createServiceQuotasService } from "../services/servicequotas/api.ts";
import { createStsService } from "../services/sts/api.ts";
import { RecordReader } from "../store/caching-reader.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { RecordLog } from "../store/record-log.ts";
import type { Reader } from "../store/table.ts";
import { compileServiceControl, serviceControls, withServiceControls } from "./service-controls.ts";
import type { Log } from "./log.ts";
import { policySimulator } from "./policy-simulator.ts";
import { createQuotas, type QuotaProfile, type Quotas } from "./quotas.ts";

export interface ApiDeps {
  readonly store: MetadataStore;
  readonly records: RecordLog;
  readonly keyring: Keyring;
  /** May be moved by test hooks. */
  readonly clock: Clock;
  /** Never moved: callers sign with the time of their own machines. */
  readonly signatureClock: Clock;
  readonly random: Random;
  /** That this server answers for, the default first. */
  readonly regions: readonly string[];
  /** The default Region. */
  readonly region: string;
  readonly accountId: string;
  readonly kmsQuotas: QuotaProfile;
  readonly streamLimits: "none" | "aws";
  /** Hosts of identity providers that may be asked; absent or null: all that lie at an address that may be. */
  readonly oidcHosts?: readonly string[] | null;
  /** Absent: aes. */
  readonly streamSuite?: SuiteName;
  readonly log: Log;
}

/** Everything that is served, put together. Made once; opened and shut as the keyring is. */
export interface Api {
  /** Answers one request; with 503 while the API is shut. Never rejects. */
  answer(request: WireRequest): Promise<WireResponse>;
  /**
   * For who owns the data directory: the same operations, authorized and recorded, but under no service control policies. One
   * that forbids an account's root everything must not lock out who owns the machine.
   */
  readonly operatorOperations: Operations;
  readonly kmsUse: KmsUse;
  readonly reader: Reader;
  /** Starts background work. The keyring is open. */
  open(): void;
  /** The server is about to stop: what takes long and cannot be cut short is answered with 503 from now on. */
  expectStop(): void;
  /**
   * Answers 503 from now on, forgets every key outside the keyring before anything is waited for, and ends background work.
   * What that has still to write needs no key, so that the keyring may be sealed already.
   */
  shut(): Promise<void>;
}

/** The longest policy document that is compiled; services have smaller limits of their own. */
const POLICY_LENGTH_MAX = 131_072;

export function createApi(deps: ApiDeps): Api {
  const { store, keyring, clock, random, log } = deps;
  const reader = new RecordReader(store);
  const auditLog = createAuditLog({ store, clock });
  const services = new Map<string, Service>();
  const quotas = createQuotas({ profile: deps.kmsQuotas, reader, clock });
  const denials = createDenials({
    store,
    clock,
    onError: (cause) => log.error("old denials could not be removed; it is tried again", cause),
  });
  const identityPolicies = createPolicySource({
    reader,
    compilePolicy: (document, id) => ({
      ...compilePolicy(document, { id, kind: "identity", lengthMax: POLICY_LENGTH_MAX }),
      // For whoever asks why a statement denied (gateway/denial-record.ts).
      document,
    }),
    compileSessionPolicy: (document, id) => ({
      ...compilePolicy(document, { id, kind: "session", lengthMax: POLICY_LENGTH_MAX }),
      document,
    }),
    onUnusablePolicy: ({ principalArn, policyId, cause }) =>
      log.error("a stored policy cannot be used: its principal is denied everything", cause, {
        principalArn,
        policyId,
      }),
  });
  const controlsOf = serviceControls({ reader, store, log });
  const gateway = {
    services,
    store,
    reader,
    policies: withServiceControls(identityPolicies, controlsOf),
    organizationOf: organizationPlace(reader),
    isAccountClosed,
    auditLog,
    clock,
    random,
    requestQuotas: quotas.requests,
    denials,
  };
  const operations = createOperations(gateway);
  const sessions = createSessionTokens({ box: keyring.secretBox, random });
  const credentials = createCredentialSource({ reader, secretBox: keyring.secretBox, sessions, clock });
  const shared = { operations, reader, auditLog, credentials, sessions, quotas, denials, controlsOf };
  const { data, accessKeyUse, kmsUse, keyWorkers, ownedKeys, operatorsOrganizations } = addServices(
    deps,
    services,
    shared,
  );
  const authenticator = createAuthenticator({
    credentials: ofOpenAccounts(credentials, { reader, generation: () => store.generation() }),
    signatureClock: deps.signatureClock,
    regions: deps.regions,
  });
  const refusals = createRefusalCounter({
    auditLog,
    commit: async (writes) => void (await store.commit({ expect: [], writes })),
    clock,
    random,
    accountId: deps.accountId,
    region: deps.region,
    onError: (cause) => log.error("refused requests could not be written to the audit trail", cause),
  });
  const path: RequestPath = {
    protocols: createProtocols([...services.values()].map(({ model }) => model)),
    authenticator,
    services,
    operations,
    refusals,
    clock,
    random,
    region: deps.region,
    onAuthenticated: (use) => accessKeyUse.note(use),
    onFailure({ requestId, operation, cause }) {
      // Requests that a seal or a stop cut off are no fault, and may be a thousand at once.
      if (cause instanceof ServiceError && cause.status === 503) return;
      log.error("a request failed", cause, { requestId, operation });
    },
  };

  let stops: (() => Promise<void>)[] | null = null;
  const forgetKeys = (): void => {
    data.clear();
    authenticator.forgetKeys();
    credentials.forget();
  };
  return {
    kmsUse,
    reader,
    operatorOperations: createOperations({
      ...gateway,
      services: new Map([...services, [operatorsOrganizations.model.name, operatorsOrganizations]]),
      policies: identityPolicies,
    }),
    answer(request) {
      if (stops !== null) return answer(path, request);
      return Promise.resolve(path.protocols.fallbackCodec(request).encodeError(sealedError(), random.uuid()));
    },
    open() {
      keyWorkers.accept();
      stops = [...services.values()].flatMap((service) => service.start?.() ?? []);
      stops.push(ownedKeys.start(), denials.start());
    },
    expectStop() {
      keyWorkers.refuse("RSA generation");
    },
    async shut() {
      const running = stops ?? [];
      stops = null;
      forgetKeys();
      keyWorkers.refuse("everything");
      const threadsEnded = keyWorkers.clear();
      try {
        for (const stop of running) await stop();
        await refusals.stop();
        await accessKeyUse.stop();
        await kmsUse.stop();
      } finally {
        await threadsEnded;
        // Requests that were under way may have brought some back.
        forgetKeys();
      }
    },
  };
}

function addServices(
  deps: ApiDeps,
  services: Map<string, Service>,
  shared: {
    readonly operations: Operations;
    readonly reader: RecordReader;
    readonly auditLog: AuditLog;
    readonly credentials: Credentials;
    readonly sessions: SessionTokens;
    readonly quotas: Quotas;
    readonly denials: Denials;
    readonly controlsOf: ReturnType<typeof serviceControls>;
  },
): {
  readonly data: DataKeys;
  readonly accessKeyUse: AccessKeyUse;
  readonly kmsUse: KmsUse;
  readonly keyWorkers: KeyWorkers;
  readonly ownedKeys: OwnedKeys;
  /** As organizations is served, but accounts are made with a key of their root. */
  readonly operatorsOrganizations: Service;
} {
  const { operations, reader, auditLog, credentials, sessions, quotas, denials } = shared;
  const { store, keyring, clock, random, log } = deps;
  const secretBox = keyring.secretBox;
  const kmsUse = createKmsUse({
    store,
    clock,
    onError: (cause) => log.error("counters of KMS calls could not be written; it is tried again", cause),
  });
  const data = createDataKeys({ keyService: metered(dispatchedKeyService(operations), kmsUse), clock });
  const accessKeyUse = createAccessKeyUse({
    store,
    clock,
    onError: (cause) => log.error("the last use of access keys could not be written", cause),
  });
  const compile =
    (kind: "identity" | "key" | "resource" | "session" | "trust") =>
    (document: string, id: string, ids?: PrincipalIds) => ({
      ...compilePolicy(document, { id, kind, lengthMax: POLICY_LENGTH_MAX }, ids),
      document,
    });
  const keyWorkers = createKeyWorkers();
  const failed = (service: string) => (error: unknown) => {
    // Work that was under way when the server was sealed goes on after the next unsealing.
    if (!keyring.isSealed) log.error("background work failed; it is tried again", error, { service });
  };
  const all = [
    createKmsService({
      keyWorkers,
      keyring,
      clock,
      random,
      store,
      reader,
      auditLog,
      principals: principalDirectory,
      regions: deps.regions,
      compilePolicy: compile("key"),
      allowsPrincipal,
      quotas: quotas.values,
      conditionsOf: (call, resourceAccountId, own) =>
        requestContext(call, { principalTags: {}, resourceAccountId, own }),
      onError: failed("KMS"),
    }),
    createKinesisService({
      compilePolicy: compile("resource"),
      principals: principalDirectory,
      streamLimits: deps.streamLimits,
      metadata: store,
      records: deps.records,
      reader,
      dataKeys: data,
      dispatch: operations,
      secretBox,
      clock,
      random,
      ...(deps.streamSuite === undefined ? {} : { streamSuite: deps.streamSuite }),
      kmsUse,
      materialOf: (wrapped) => parseCiphertext(wrapped)?.header.materialId ?? null,
      backgroundFailed: failed("Kinesis"),
    }),
    createConsumersService({ streamId: streamIdAt, store, reader, clock, onError: failed("consumers") }),
    createIamService({
      random,
      secretBox,
      compilePolicy: compile("identity"),
      compileTrustPolicy: compile("trust"),
      accessKeyUse,
      simulator: policySimulator(shared.controlsOf),
    }),
    createStsService({
      roles: createRoleSource({
        compileTrustPolicy: compile("trust"),
        onUnusableTrustPolicy: (roleArn, cause) =>
          log.error("a stored trust policy cannot be used: nobody can assume its role", cause, { roleArn }),
      }),
      sessions,
      compileSessionPolicy: compile("session"),
      reader,
      realClock: deps.signatureClock,
      // The first account is the deployment's owner's: who tries things on a laptop has the provider there, too.
      providerRules: { loopbackAccountId: deps.accountId, hosts: deps.oidcHosts ?? null },
      onProviderFailure: (providerArn, cause) =>
        log.error("the keys of an identity provider could not be fetched", cause, { providerArn }),
      accountOfAccessKey: (id) => credentials.accountOf(id),
      decodeAuthorization: (accountId, message) => decodedDenial(denials, accountId, message),
    }),
    createOrganizationsService({ random, accounts: memberAccounts(random), compilePolicy: compileServiceControl }),
    createCloudTrailService({ auditLog }),
    createServiceQuotasService({ ...quotas, random }),
  ];
  const operatorsOrganizations = createOrganizationsService({
    random,
    accounts: memberAccounts(random, { secretBox }),
    compilePolicy: compileServiceControl,
  });
  for (const service of all) services.set(service.model.name, service);
  const ownedKeys = createOwnedKeys({ store, reader, clock, random, keyring, keyWorkers, log });
  return { data, accessKeyUse, kmsUse, keyWorkers, ownedKeys, operatorsOrganizations };
}
