import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { Json } from './answers.ts';
import type { Instance } from './instance.ts';
import type { Life } from './life.ts';
import type { ApiKey, World } from './world.ts';

/** One request on its way through a route. */
export interface Call {
  readonly world: World;
  readonly life: Life;
  readonly request: FakeRequest;
  readonly body: Json;
  /** What stood for `{}` in the route's path. */
  readonly params: readonly string[];
  /** `undefined`: nobody said who they are, where that is allowed. */
  readonly identity: ApiKey | undefined;
  /** "PUT /api/v0/asks/123/", as faults name it. */
  readonly route: string;
}

export type Category =
  | 'instance_read'
  | 'instance_write'
  | 'user_read'
  | 'user_write'
  | 'misc'
  | 'billing_read';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Without slashes at the ends; `{}` stands for one word. */
  readonly path: string;
  /** What a key must be allowed; `undefined`: no key is needed, and none is looked at. */
  readonly category: Category | undefined;
  /** The permission of this one route: "api.instance.request_logs". */
  readonly permission?: string;
  /** Works without a key, but not with a wrong one. */
  readonly keyOptional?: boolean;
  /** Which key of one instance may call it: that of the instance in the path. */
  readonly forInstanceKey?: boolean;
  /** Seconds between two calls. */
  readonly threshold?: number;
  /** The most calls within 60 seconds. */
  readonly perMinute?: number;
  readonly handle: (call: Call) => FakeAnswer | Promise<FakeAnswer>;
}

/** The number in the path, `NaN` when it is none. */
export const idOf = ({ params }: Call, index = 0): number => Number(params[index] ?? Number.NaN);

/** A contract that is there. */
export function living(world: World, id: number): Instance | undefined {
  const instance = world.instances.get(id);
  return instance === undefined || instance.endedAt !== undefined ? undefined : instance;
}
