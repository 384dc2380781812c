/** What a document is attached to decides which elements it must and may not have. */
export type PolicyDocumentKind =
  | "identity"
  | "boundary"
  | "session"
  | "service control"
  | "resource"
  /** A KMS key policy. */
  | "key"
  /** A role's trust policy: its resource is the role itself, so it names none. */
  | "trust";
