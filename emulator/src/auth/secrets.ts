import { channel } from 'node:diagnostics_channel';

/**
 * Every key and every resource token that an emulator of this process makes is published here as a text, for tests that
 * search what a program wrote for secrets. Nothing is kept, and without a subscriber nothing happens.
 */
export const secrets = channel('tidemark.emulator.secrets');
