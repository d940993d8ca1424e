/**
 * Codes of query errors. The SC codes are the service's own, seen in its error bodies
 * (`{"errors":[{"severity":"Error","location":{"start","end"},"code","message"}]}`):
 *
 * - `SC1001` syntax error
 * - `SC2001` an identifier could not be resolved
 * - `SC2005` not a built-in function
 * - `SC2040` `SELECT *` with more than one input set
 * - `SC2102` a property in the select list that is neither aggregated nor grouped by
 * - `SC2206` ORDER BY over something that is not a document path
 *
 * Two are ours: `SC2000` for semantic errors whose number at the service is not known to us, and
 * `UNSUPPORTED` for what the service has and this engine has not (answer 501, not 400).
 */
export type QueryErrorCode =
  'SC1001' | 'SC2001' | 'SC2005' | 'SC2040' | 'SC2102' | 'SC2206' | 'SC2000' | 'UNSUPPORTED';

/** Half-open range of UTF-16 positions in the query text. */
export interface Span {
  start: number;
  end: number;
}

/** The only error this engine throws: the query (never the data) is at fault. */
export class QueryError extends Error {
  readonly code: QueryErrorCode;
  readonly start: number;
  readonly end: number;

  constructor(code: QueryErrorCode, message: string, at: Span) {
    super(message);
    this.name = 'QueryError';
    this.code = code;
    this.start = at.start;
    this.end = at.end;
  }

  /** True for what Cosmos DB can do and this engine cannot. */
  get unsupported(): boolean {
    return this.code === 'UNSUPPORTED';
  }
}
