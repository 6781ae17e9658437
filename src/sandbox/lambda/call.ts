import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { Json } from '../vast/answers.ts';
import type { Life } from './life.ts';
import type { World } from './world.ts';

/** One request on its way through a route. */
export interface Call {
  readonly world: World;
  readonly life: Life;
  readonly request: FakeRequest;
  readonly body: Json;
  /** What stood for `{}` in the path. */
  readonly id: string;
  /** "POST /api/v1/instance-operations/launch", as faults name it. */
  readonly route: string;
}

export interface Route {
  readonly method: string;
  /** `{}` stands for one word. */
  readonly path: string;
  readonly handle: (call: Call) => FakeAnswer | Promise<FakeAnswer>;
}
