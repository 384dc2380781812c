/** An Amazon Resource Name, `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, split at its first five colons. */
export interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly accountId: string;
  /** Everything after the fifth colon, further colons and slashes included. */
  readonly resource: string;
}

export const PARTITION = "aws";

/** Null when the text is not an ARN. */
export function parseArn(text: string): Arn | null {
  const parts = text.split(":", 5);
  const [prefix, partition, service, region, accountId] = parts;
  if (prefix !== "arn" || !partition || !service || region === undefined || accountId === undefined) return null;
  const head = `arn:${partition}:${service}:${region}:${accountId}:`;
  if (!text.startsWith(head) || text.length === head.length) return null;
  return { partition, service, region, accountId, resource: text.slice(head.length) };
}

export function formatArn(service: string, region: string, accountId: string, resource: string): string {
  return `arn:${PARTITION}:${service}:${region}:${accountId}:${resource}`;
}

export const accountRootArn = (accountId: string): string => formatArn("iam", "", accountId, "root");
