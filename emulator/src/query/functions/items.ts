import { propertyOf } from '../values.ts';
import { define, isString } from './define.ts';
import type { BuiltIns } from './define.ts';

export const itemFunctions: BuiltIns = {
  /** The number of a document in its container: the last eight of the sixteen bytes of its `_rid`. */
  DOCUMENTID: define(1, 1, ([document]) => {
    const rid = propertyOf(document, '_rid');
    // The alphabet of resource ids has '-' in the place of '/'.
    const bytes = isString(rid) ? Buffer.from(rid.replaceAll('-', '/'), 'base64') : Buffer.alloc(0);
    return bytes.length === 16 ? Number(bytes.readBigUInt64LE(8)) : undefined;
  }),
};
