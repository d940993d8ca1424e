import type { JsonObject } from '../conflict/index.ts';
import type { ChangeError } from '../protocol/index.ts';
import { compileDocumentSchema, type SchemaFault } from '../validation/validator.ts';
import { changeError, type Prepared, type PreparedChange } from './prepare.ts';
import type { SyncConfig } from './sync-config.ts';

/** What a document breaks, as the application's own rules tell it. */
export interface Violation {
  /** JSON Pointer into the document. */
  readonly pointer: string;
  /** Stable name of the rule. */
  readonly rule: string;
  /** For people; it is sent to the client. */
  readonly message: string;
}

/** A document as it would be stored. */
export interface Candidate {
  readonly scope: string;
  readonly collection: string;
  readonly documentId: string;
  readonly userId: string;
  readonly data: JsonObject;
}

/**
 * Asks the application's rules about a document.
 *
 * @returns null where it breaks none
 * @throws Error where they cannot be asked, or did not answer in time
 */
export type AskRules = (candidate: Candidate) => Promise<Violation | null>;

/** What content must hold beside being JSON: the schema of its collection, then the application's own rules. */
export interface Rules {
  /** Undefined: only `check` can tell. */
  checkNow(change: PreparedChange, content: JsonObject): ChangeError | null | undefined;
  check(change: PreparedChange, content: JsonObject): Promise<ChangeError | null>;
}

/** @param ask null where the application has no rules beside its schemas */
export function createRules({ collections }: SyncConfig, ask: AskRules | null): Rules {
  const schemas = new Map<string, (value: unknown) => SchemaFault | null>();
  for (const [name, { schema }] of collections) {
    if (schema !== null) schemas.set(name, compileDocumentSchema(schema));
  }
  const checkNow = ({ address }: PreparedChange, content: JsonObject): ChangeError | null | undefined => {
    const fault = schemas.get(address.collection)?.(content) ?? null;
    if (fault === null) return ask === null ? null : undefined;
    const pointer = `/data${fault.pointer}`;
    return {
      ...changeError('schema_violation', pointer, `\`${pointer}\` ${fault.reason}.`),
      rule: fault.rule,
    };
  };
  return {
    checkNow,
    check: async (change, data) => {
      const known = checkNow(change, data);
      if (known !== undefined || ask === null) return known ?? null;
      const { scope, collection, documentId } = change.address;
      try {
        const { userId } = change.incoming.writer;
        const violation = await ask({ scope, collection, documentId, userId, data });
        if (violation === null) return null;
        const { pointer, rule, message } = violation;
        return { ...changeError('rule_violation', `/data${pointer}`, message), rule };
      } catch {
        // Told to the log by whoever asked. Nobody knows whether the document is right: the change may come again.
        return changeError('rules_unavailable');
      }
    },
  };
}

/**
 * Asks the rules about every upsert of a request. What a patch makes is asked when the stored document is known.
 *
 * @returns the same changes, with those refused that break a rule
 */
export const checkRules = (changes: readonly Prepared[], rules: Rules): Promise<Prepared[]> =>
  Promise.all(
    changes.map(async (change): Promise<Prepared> => {
      if (change.rejection !== null || change.incoming.type !== 'upsert' || change.incoming.data === null)
        return change;
      const error = await rules.check(change, change.incoming.data);
      if (error === null) return change;
      const { index, scope, changeId, position, transaction, address } = change;
      return { index, scope, changeId, position, transaction, address, rejection: error };
    }),
  );
