import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { initializeSeal, readSealConfiguration } from "../seal/configuration.ts";
import type { Keyring } from "../seal/keyring.ts";
import type { SealProvider } from "../seal/provider.ts";
import { newAccount } from "../services/iam/accounts.ts";
import { newOrganization } from "../services/organizations/organization.ts";
import type { DataDirectory } from "../store/data-directory.ts";
import type { MetadataBytes, MetadataStore } from "../store/metadata-store.ts";
import { type Table, table } from "../store/table.ts";
import { writePrivateFile } from "./private-file.ts";

/** What was chosen when the data directory was made. Only the further Regions can change. */
export interface Deployment {
  readonly version: 1;
  readonly accountId: string;
  /** The default Region. */
  readonly region: string;
  /** All that are served, the default first. */
  readonly regions: readonly string[];
  /** Where the root key file is, when it is not in the data directory. */
  readonly rootKeyPath: string | null;
  readonly createdMs: number;
}

const deployments: Table<Deployment> = table<Deployment>("server.deployment");
const DEPLOYMENT_ID: readonly string[] = ["this"];

/** Null while the data directory has not been made whole: opening it makes it (or finishes making it). */
export async function readDeployment(store: MetadataStore): Promise<Deployment | null> {
  const bytes = await store.get(deployments.key(DEPLOYMENT_ID));
  return bytes === null ? null : decoded(bytes);
}

/** A directory that was made when there was one Region only serves that one. */
function decoded(bytes: MetadataBytes): Deployment {
  const stored: Omit<Deployment, "regions"> & Partial<Deployment> = deployments.decode(bytes);
  return { ...stored, regions: stored.regions ?? [stored.region] };
}

export interface OpenDeploymentOptions {
  readonly directory: DataDirectory;
  readonly store: MetadataStore;
  readonly keyring: Keyring;
  readonly provider: SealProvider;
  readonly clock: Clock;
  readonly random: Random;
  /** For a new deployment; the Regions for every one. */
  readonly chosen: Pick<Deployment, "accountId" | "region" | "regions" | "rootKeyPath">;
}

/**
 * Opens the keyring and makes what is missing: the seal, then the account with its root credentials. Each step is whole
 * before the next begins, so that after a crash the same call goes on where the last one ended. With a wrong root key it
 * throws before anything is written.
 */
export async function openDeployment(options: OpenDeploymentOptions): Promise<Deployment> {
  const { store, keyring, provider, clock } = options;
  if ((await readSealConfiguration(store)) === null) await initializeSeal({ store, provider, clock });
  await keyring.unseal(provider);
  const deployment = (await readDeployment(store)) ?? (await createDeployment(options));
  await ensureOrganization(options, deployment);
  return await rememberRegions(store, deployment, options.chosen.regions);
}

/** Directories of older builds have none yet. Its first account manages it. */
async function ensureOrganization(
  { store, random, clock }: OpenDeploymentOptions,
  { accountId }: Deployment,
): Promise<void> {
  // A conflict means that there is one already, which is how it is from the second start on.
  await store.commit(newOrganization({ managementAccountId: accountId, random, nowMs: clock.wallMs() }));
}

/** Writes down which Regions are served from now on. */
export async function rememberRegions(
  store: MetadataStore,
  deployment: Deployment,
  regions: readonly string[],
): Promise<Deployment> {
  if (regions.join() === deployment.regions.join()) return deployment;
  const changed: Deployment = { ...deployment, regions };
  await store.commit({ expect: [], writes: [deployments.put(DEPLOYMENT_ID, changed)] });
  return changed;
}

/**
 * Writes the root credentials for their owner, then the account. In this order, so that a crash in between leaves a file
 * that is written again, never an account whose credentials nobody has.
 */
async function createDeployment(options: OpenDeploymentOptions): Promise<Deployment> {
  const { directory, store, keyring, clock, random, chosen } = options;
  const nowMs = clock.wallMs();
  const account = newAccount({
    accountId: chosen.accountId,
    name: "management",
    random,
    secretBox: keyring.secretBox,
    nowMs,
  });
  await writePrivateFile(join(directory.privatePath, "root-credentials.json"), {
    accountId: account.accountId,
    accessKeyId: account.accessKeyId,
    secretAccessKey: account.secretAccessKey,
  });
  const deployment: Deployment = { version: 1, ...chosen, createdMs: nowMs };
  const done = await store.commit({
    expect: [{ key: deployments.key(DEPLOYMENT_ID), value: null }],
    writes: [...account.writes, deployments.put(DEPLOYMENT_ID, deployment)],
  });
  if (done === "conflict") throw new Error("the data directory was made by another process at the same time");
  return deployment;
}
