/** A service for which each account has a key of AWS's own, made when it is first used. */
export interface ManagedKeyService {
  /** As in `alias/aws/NAME` and in the policy's id. */
  readonly name: string;
  /** How the policy speaks of it. */
  readonly title: string;
  /** First label of its host name, the value of kms:ViaService. Not always the name: volumes are `ec2`. */
  readonly viaHost: string;
  readonly description: string;
}

export const MANAGED_ALIAS_PREFIX = "alias/aws/";

const SERVICES: readonly ManagedKeyService[] = [
  {
    name: "kinesis",
    title: "Amazon Kinesis",
    viaHost: "kinesis",
    description: "Default key that protects my Kinesis data when no other key is defined",
  },
];

/** The service whose key an alias names; null when no service here has that alias. */
export const managedKeyService = (aliasName: string): ManagedKeyService | null =>
  SERVICES.find((service) => aliasName === MANAGED_ALIAS_PREFIX + service.name) ?? null;

/** Aliases that every account has from the start, even before there is a key behind them. */
export const managedAliasNames = (): readonly string[] =>
  SERVICES.map((service) => MANAGED_ALIAS_PREFIX + service.name);
