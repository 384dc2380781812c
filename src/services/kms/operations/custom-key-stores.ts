import type { Operation } from "../../../gateway/contract.ts";
import { accountAccess, lowerCamel } from "../access.ts";
import { unsupported } from "../errors.ts";

interface NamedStore {
  readonly CustomKeyStoreId?: string | undefined;
  readonly CustomKeyStoreName?: string | undefined;
}

type CustomKeyStoreOperation = Operation<NamedStore, never, null>;

/** Permitted or not like any other operation, and then refused: there are no custom key stores yet. */
const refused = (name: string, readOnly: boolean): CustomKeyStoreOperation => ({
  event: "management",
  readOnly,
  // The other members hold passwords and credentials.
  describe: ({ CustomKeyStoreId, CustomKeyStoreName }) => ({
    requestParameters: lowerCamel({ CustomKeyStoreId, CustomKeyStoreName }),
  }),
  access: ({ call }) => Promise.resolve({ checks: [accountAccess(call, `kms:${name}`)], target: null }),
  check() {
    throw notServed();
  },
  handle: () => Promise.reject(notServed()),
});

const notServed = (): Error => unsupported("Custom key stores are not supported yet.");

export const connectCustomKeyStore: CustomKeyStoreOperation = refused("ConnectCustomKeyStore", false);
export const createCustomKeyStore: CustomKeyStoreOperation = refused("CreateCustomKeyStore", false);
export const deleteCustomKeyStore: CustomKeyStoreOperation = refused("DeleteCustomKeyStore", false);
export const describeCustomKeyStores: CustomKeyStoreOperation = refused("DescribeCustomKeyStores", true);
export const disconnectCustomKeyStore: CustomKeyStoreOperation = refused("DisconnectCustomKeyStore", false);
export const updateCustomKeyStore: CustomKeyStoreOperation = refused("UpdateCustomKeyStore", false);
