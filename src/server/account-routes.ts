import { ServiceError } from "../base/errors.ts";
import type { AccountAdministration } from "./accounts.ts";
import type { AdminRoutes } from "./admin-socket.ts";

/** What `waxseal account` asks of a running server. A sealed one has no key to keep a secret under. */
export function accountRoutes(accounts: AccountAdministration, isSealed: () => boolean): AdminRoutes {
  const open = (): AccountAdministration => {
    if (isSealed()) {
      throw new ServiceError("Sealed", "The server is sealed. Open it first, with: npx waxseal unseal", {
        status: 503,
      });
    }
    return accounts;
  };
  return {
    "POST /accounts/create": async (body) => ({
      ...(await open().create(text(body["name"]), optional(body["email"]))),
    }),
    "POST /accounts/list": async () => ({ accounts: await open().list() }),
    "POST /accounts/create-key": async (body) => ({ ...(await open().createKey(text(body["accountId"]))) }),
    "POST /accounts/list-keys": async (body) => ({ keys: await open().listKeys(text(body["accountId"])) }),
    "POST /accounts/delete-key": async (body) => {
      await open().deleteKey(text(body["accountId"]), text(body["accessKeyId"]));
      return {};
    },
  };
}

/** What is no text becomes one that no constraint lets through. */
const text = (value: unknown): string => (typeof value === "string" ? value : "");

const optional = (value: unknown): string | null => (value === undefined || value === null ? null : text(value));
