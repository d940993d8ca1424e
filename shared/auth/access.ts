import { RequestError, Unavailable } from '../errors.ts';
import { ERRORS, type RequestErrorCode } from '../protocol/index.ts';
import type { Audit, AuditEvent } from './audit.ts';
import { NOBODY } from './audit.ts';
import type { Headers } from './authenticate.ts';
import type { DenyList } from './deny-list.ts';
import { isAdmin, type Identity } from './identity.ts';

/** The part of a request that is looked at. */
export interface Call {
  readonly headers: Headers;
}

/** What is called, for the audit. */
export interface Operation {
  readonly functionName: string;
}

export interface AccessDependencies {
  readonly authenticate: (headers: Headers) => Promise<Identity>;
  /** Takes a request of a user; answers 0, or for how many milliseconds the user has to wait. */
  readonly takeTurn: (userId: string) => number;
  readonly denyList: DenyList;
  readonly audit: Audit;
}

/** What else the audit should tell of a call. */
export type AuditNote = Pick<AuditEvent, 'code' | 'scope' | 'mode' | 'deviceId' | 'expiresAt' | 'entry'>;

/** Who may come in: every function asks here, and nowhere else. */
export interface Access {
  /**
   * Tells who is calling, and refuses who is locked out.
   *
   * @throws RequestError, Unavailable
   */
  authenticate(call: Call): Promise<Identity>;
  /** As `authenticate`, for administrators only. */
  authenticateAdmin(call: Call): Promise<Identity>;
  /**
   * Refuses a device that is locked out. A user with one on the list has to name a device.
   *
   * @throws RequestError, Unavailable
   */
  checkDevice(call: Call, identity: Identity, deviceId: string | null): Promise<void>;
  /** What the audit tells of this call, whatever becomes of it. */
  note(call: Call, note: AuditNote): void;
  /** Puts into the audit what was done for this call. */
  record(call: Call, operation: Operation, event: AuditEvent['event'], note: AuditNote): void;
  /** Told of everything that a call ended with: what concerns who may do what goes into the audit. */
  refused(call: Call, operation: Operation, error: unknown): void;
}

/** Statuses that say who may do what. */
const REFUSALS: readonly number[] = [401, 403];
/** Functions whose refusals are all of interest, those of a wrong request too. */
const GUARDED = /^(?:GetCosmosToken|Manage)/;

/** The code that the audit tells of an error with; null: the error is none of its business. */
function codeOf(error: unknown, functionName: string, isKnown: boolean): RequestErrorCode | null {
  // Whether a caller is who they say could not be told.
  if (error instanceof Unavailable) return isKnown ? null : 'unavailable';
  if (!(error instanceof RequestError)) return null;
  return REFUSALS.includes(ERRORS[error.code].status) || GUARDED.test(functionName) ? error.code : null;
}

export function createAccess({ authenticate, takeTurn, denyList, audit }: AccessDependencies): Access {
  /** What is known of the calls that are being served. */
  const known = new WeakMap<Call, { identity?: Identity; note: AuditNote }>();
  const of = (call: Call) => {
    const found = known.get(call) ?? { note: {} };
    known.set(call, found);
    return found;
  };

  const eventOf = (call: Call, { functionName }: Operation): Omit<AuditEvent, 'event'> => {
    const { identity, note } = of(call);
    const from = clientAddress(call.headers);
    return {
      userId: identity?.userId ?? NOBODY,
      operation: functionName,
      ...(from === null ? {} : { from }),
      ...(identity === undefined || identity.tokenId === null ? {} : { tokenId: identity.tokenId }),
      ...note,
    };
  };

  const enter = async (call: Call): Promise<Identity> => {
    const identity = await authenticate(call.headers);
    of(call).identity = identity;
    const wait = takeTurn(identity.userId);
    if (wait > 0) {
      throw new RequestError('rate_limited', {
        headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
      });
    }
    await denyList.check(identity);
    return identity;
  };

  const note = (call: Call, more: AuditNote): void => {
    const found = of(call);
    found.note = { ...found.note, ...more };
  };

  return {
    authenticate: enter,

    authenticateAdmin: async (call) => {
      const identity = await enter(call);
      if (!isAdmin(identity)) throw new RequestError('role_insufficient');
      return identity;
    },

    checkDevice: (call, identity, deviceId) => {
      if (deviceId) note(call, { deviceId });
      // An empty name is none.
      return denyList.checkDevice(identity, deviceId || null);
    },

    note,

    record: (call, operation, event, more) => audit.record({ event, ...eventOf(call, operation), ...more }),

    refused: (call, operation, error) => {
      const code = codeOf(error, operation.functionName, of(call).identity !== undefined);
      if (code === null) return;
      audit.record({
        event: code === 'access_denied' ? 'denied' : 'refused',
        ...eventOf(call, operation),
        code,
      });
    },
  };
}

/**
 * The address that the platform saw: it puts the one it took the request from at the end of `x-forwarded-for`, behind
 * whatever the caller wrote there.
 */
export function clientAddress(headers: Headers): string | null {
  const last = headers.get('x-forwarded-for')?.split(',').at(-1)?.trim();
  if (last === undefined || last === '') return null;
  const address = /^\[([0-9a-f:.]+)\](?::\d+)?$/i.exec(last)?.[1] ?? last.replace(/^([\d.]+):\d+$/, '$1');
  return /^[0-9a-f:.]{2,45}$/i.test(address) ? address : null;
}
