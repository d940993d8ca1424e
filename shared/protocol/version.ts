/** The protocol this code speaks. A request names it, so that an old client is told, not misunderstood. */
export const PROTOCOL_VERSION = 1;
