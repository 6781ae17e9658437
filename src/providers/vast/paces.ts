import type { Pace } from '../pacer.ts';

/**
 * The least seconds between two calls of one endpoint, as Vast.ai documents its limits (it answers no Retry-After). Endpoints
 * without a documented limit get one second.
 */
export const PACES = {
  search: { most: { calls: 10, perSeconds: 60 } },
  create: { everySeconds: 4.5 },
  show: { everySeconds: 2 },
  list: { everySeconds: 1 },
  manage: { everySeconds: 1 },
  destroy: { everySeconds: 3 },
  bid: { everySeconds: 5.5 },
  reboot: { everySeconds: 1 },
  logs: { everySeconds: 1 },
  keys: { everySeconds: 1 },
  podKeys: { everySeconds: 1 },
  template: { everySeconds: 3 },
  volumes: { everySeconds: 5.5 },
  user: { everySeconds: 1 },
} as const satisfies Readonly<Record<string, Pace>>;

export type Lane = keyof typeof PACES;

/** The first wait after a 429; creation has a penalty of its own. */
export const BACKOFF_SECONDS = 5;
export const CREATE_BACKOFF_SECONDS = 12;
