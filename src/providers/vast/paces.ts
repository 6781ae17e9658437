import type { Pace } from '../pacer.ts';

/** What leaves us so far apart arrives a little nearer together now and then. */
const SLACK = 1.1;
const apart = (seconds: number): Pace => ({ everySeconds: seconds * SLACK });

/**
 * The least seconds between two calls of one endpoint, as Vast.ai documents its limits (it answers no Retry-After). Endpoints
 * without a documented limit get one second.
 */
export const PACES = {
  search: { most: { calls: 10, perSeconds: 60 } },
  create: apart(4.5),
  show: apart(2),
  list: apart(1),
  manage: apart(1),
  destroy: apart(3),
  bid: apart(5.5),
  reboot: apart(1),
  logs: apart(1),
  keys: apart(1),
  podKeys: apart(1),
  template: apart(3),
  volumes: apart(5.5),
  user: apart(1),
} as const satisfies Readonly<Record<string, Pace>>;

export type Lane = keyof typeof PACES;

/** The first wait after a 429; creation has a penalty of its own. */
export const BACKOFF_SECONDS = 5;
export const CREATE_BACKOFF_SECONDS = 12;
