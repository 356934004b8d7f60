/** What a Rollcall takes for itself in the account and Region of its stack. */
export interface Claims {
  /** The construct's id. */
  readonly id: string;
  /** What the names of its outputs begin with. */
  readonly outputs: string;
  readonly collectionPrefix: string;
  /** The table that its photos wait in. */
  readonly ledger: unknown;
  /** Whether it was told its own part of the quota of IndexFaces. */
  readonly hasOwnRate: boolean;
  /** Undefined where it makes a database of its own. */
  readonly database: { readonly server: unknown; readonly schema: string } | undefined;
}

/**
 * Why two cannot live in one stack, as a sentence that says what to change; undefined where they can.
 *
 * @param one the one that comes second, and can be changed
 */
export function conflict(one: Claims, other: Claims): string | undefined {
  const both = `The Rollcalls ${other.id} and ${one.id} of one stack`;
  if (one.outputs === other.outputs) {
    return `${both} have the same outputs: give them ids that differ in their letters and digits`;
  }
  if (
    one.collectionPrefix.startsWith(other.collectionPrefix) ||
    other.collectionPrefix.startsWith(one.collectionPrefix)
  ) {
    return `${both} would take each other's collections for their own: give ${one.id} a stage, or a collectionPrefix that neither begins with the other's`;
  }
  if (one.ledger !== other.ledger && !(one.hasOwnRate && other.hasOwnRate)) {
    return `${both} have one quota of IndexFaces and a line each: give ${one.id} the slotLedger of ${other.id}, or both an indexFacesPerSecond`;
  }
  if (
    one.database &&
    other.database &&
    one.database.server === other.database.server &&
    one.database.schema === other.database.schema
  ) {
    return `${both} have the same schema ${one.database.schema} of the same database: give ${one.id} another schema`;
  }
  return undefined;
}
