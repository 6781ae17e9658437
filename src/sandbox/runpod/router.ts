import type { FakeAnswer, FakeRequest } from '../http.ts';
import type { Identity } from './identity.ts';
import type { Life } from './life.ts';
import { Refusal } from './refusal.ts';
import type { World } from './world.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
/** One REST request on its way through a route. */
export interface Call {
  readonly world: World;
  readonly life: Life;
  readonly request: FakeRequest;
  /** What stood for `{}` in the route's path. */
  readonly params: readonly string[];
  readonly identity: Identity;
  /** "POST /v2/pods", as faults name it. */
  readonly route: string;
}
export type Handle = (call: Call) => FakeAnswer | Promise<FakeAnswer>;
export interface Route {
  readonly method: Method;
  /** `{}` stands for one word. */
  readonly pattern: RegExp;
  readonly handle: Handle;
}

/** A table of routes from lines like "GET /pods/{}". */
export const routesFrom = (
  lines: Readonly<Record<`${Method} /${string}`, Handle>>,
): readonly Route[] =>
  Object.entries(lines).map(([line, handle]) => {
    const [method = 'GET', path = ''] = line.split(' ');
    return {
      method: methodOf(method),
      pattern: new RegExp(`^${path.replaceAll('{}', '([^/]+)')}/?$`),
      handle,
    };
  });
const methodOf = (word: string): Method =>
  word === 'POST' || word === 'PUT' || word === 'PATCH' || word === 'DELETE' ? word : 'GET';

export type Found =
  | { readonly route: Route; readonly params: readonly string[] }
  | { readonly allowed: readonly Method[] };
/** The route of a path below the API's own; `allowed` when there is none: the methods that the path has. */
export function findRoute(routes: readonly Route[], method: string, path: string): Found {
  const fitting = routes.filter(({ pattern }) => pattern.test(path));
  const route = fitting.find((one) => one.method === method);
  if (route === undefined) return { allowed: fitting.map((one) => one.method) };
  const [, ...words] = route.pattern.exec(path) ?? [];
  return { route, params: words.map(decoded) };
}
function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

export const paramOf = ({ params }: Call, index = 0): string => params[index] ?? '';

/** Does the work; what the cloud refuses is worded by the API. */
export async function refusable(
  work: () => FakeAnswer | Promise<FakeAnswer>,
  word: (refusal: Refusal) => FakeAnswer,
): Promise<FakeAnswer> {
  try {
    return await work();
  } catch (failure) {
    if (failure instanceof Refusal) return word(failure);
    throw failure;
  }
}
