import type { FakeAnswer, FakeRequest } from '../http.ts';
import { answer, failure } from './answers.ts';
import { isOperator, passes } from './filters.ts';
import { isObject } from './foreign.ts';
import type { Found } from './routes.ts';
import type { ApiKey, World } from './world.ts';

export type Admission =
  | { readonly identity: ApiKey | undefined }
  | { readonly refused: FakeAnswer };

/** The key of a request: a bearer token, or the query parameter that some clients still use. */
export function keyOf({ headers, query }: FakeRequest): string | undefined {
  const [, token] = /^Bearer\s+(.+)$/i.exec(headers['authorization'] ?? '') ?? [];
  return token?.trim() ?? query.get('api_key') ?? undefined;
}

const lacks = (category: string): FakeAnswer =>
  failure(403, 'auth_error', `Your key lacks the ${category} permission group`);

/** Who asks, and whether they may. */
export function admit(world: World, request: FakeRequest, { route, params }: Found): Admission {
  const { category } = route;
  if (category === undefined) return { identity: undefined };
  const key = keyOf(request);
  if (key === undefined) {
    if (route.keyOptional === true) return { identity: undefined };
    if (route.path === 'api/v0/volumes' && route.method === 'GET')
      return {
        refused: answer({ detail: 'Authentication credentials were not provided.' }, 401),
      };
    return { refused: failure(403, 'auth_error', 'This action requires login.') };
  }
  const identity = [...world.apiKeys.values()].find((one) => one.key === key);
  if (identity === undefined)
    return { refused: failure(world.options.badKeyStatus, 'auth_error', 'Invalid user key') };
  if (identity.instanceId !== undefined) {
    const isOwn = route.forInstanceKey === true && Number(params[0]) === identity.instanceId;
    return isOwn ? { identity } : { refused: lacks(category) };
  }
  return isAllowed(identity, category, route.permission, params)
    ? { identity }
    : { refused: lacks(category) };
}

/** A category is allowed whole (`{}`), or only the routes that it names, each with constraints. */
function isAllowed(
  { permissions }: ApiKey,
  category: string,
  permission: string | undefined,
  params: readonly string[],
): boolean {
  if (permissions === undefined) return true;
  const api = permissions['api'];
  if (!isObject(api)) return false;
  const group = api[category];
  if (!isObject(group)) return false;
  if (Object.keys(group).length === 0) return true;
  const one = permission === undefined ? undefined : group[permission];
  if (!isObject(one)) return false;
  const constraints = one['constraints'];
  if (!isObject(constraints)) return true;
  return Object.entries(constraints).every(([name, tests]) => {
    if (name !== 'id' || !isObject(tests)) return false;
    return Object.entries(tests).every(
      ([operator, wanted]) => isOperator(operator) && passes(Number(params[0]), operator, wanted),
    );
  });
}
