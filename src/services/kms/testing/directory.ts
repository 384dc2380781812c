import { parseArn } from "../../../base/arn.ts";
import type { PrincipalDirectory } from "../../../gateway/contract.ts";

/** Who is there, for a KMS without IAM. */
export interface TestDirectory extends PrincipalDirectory {
  /** The principal of that name was never made, or is deleted. */
  remove(arn: string): void;
  /** Makes a removed one again: with another id. */
  make(arn: string): void;
}

/** Everybody is there who is not removed. Ids are those of `userOf` and `sessionOf`: `AIDAANN`, `AROAADMIN`, `AROAADMIN:me`. */
export function testDirectory(): TestDirectory {
  const absent = new Set<string>();
  const lives = new Map<string, number>();
  const idOf = (name: string): string | null => {
    const arn = parseArn(name);
    const [type, ...rest] = (arn?.resource ?? "").split("/");
    const suffix = "X".repeat(lives.get(name) ?? 0);
    if (arn?.service === "iam" && type === "user") return `AIDA${rest.at(-1)?.toUpperCase()}${suffix}`;
    if (arn?.service === "iam" && type === "role") return `AROA${rest.at(-1)?.toUpperCase()}${suffix}`;
    if (type === "assumed-role") return `AROA${rest[0]?.toUpperCase()}:${rest[1]}`;
    return null;
  };
  const nameOf = (name: string, id: string): string => (!absent.has(name) && idOf(name) === id ? name : id);
  return {
    remove: (arn) => void absent.add(arn),
    make(arn) {
      absent.delete(arn);
      lives.set(arn, (lives.get(arn) ?? 0) + 1);
    },
    bind: (_read, names) =>
      Promise.resolve({
        ids: Object.fromEntries(names.flatMap((name) => (idOf(name) === null ? [] : [[name, idOf(name) ?? ""]]))),
        unknown: names.filter((name) => absent.has(name)),
      }),
    nameOf: (_read, arn, id) => Promise.resolve(nameOf(arn, id)),
    // IAM's own knows how; here it is enough to see that it was asked.
    show: (_read, document, ids) =>
      Promise.resolve(
        Object.entries(ids ?? {}).reduce(
          (text, [arn, id]) => text.replaceAll(`"${arn}"`, `"${nameOf(arn, id)}"`),
          document,
        ),
      ),
  };
}
