import { clientAddress } from '../../../shared/auth/access.ts';

const addressOf = (forwarded: string | null) =>
  clientAddress({ get: (name) => (name === 'x-forwarded-for' ? forwarded : null) });

describe('The address of a caller', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1:4711', '10.0.0.1'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    // What the caller wrote stands before what the platform adds.
    ['6.6.6.6, 10.0.0.1:4711', '10.0.0.1'],
    ['<script>, 10.0.0.1', '10.0.0.1'],
  ])('of %j is %s', (forwarded, address) => expect(addressOf(forwarded)).toBe(address));

  it.each([null, '', ',', 'unknown', '10.0.0.1\nmint', 'x'.repeat(100), '1'.repeat(46)])(
    'of %j is none',
    (forwarded) => expect(addressOf(forwarded)).toBeNull(),
  );
});
