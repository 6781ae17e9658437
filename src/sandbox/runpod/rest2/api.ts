import type { FakeAnswer } from '../../http.ts';
import { allows } from '../identity.ts';
import { problem } from '../problem.ts';
import { type Call, findRoute, refusable, routesFrom } from '../router.ts';
import { ContractBreach, wordBreach, wordRefusal } from './answers.ts';
import { cpus, dataCenters, gpus, oneCpu, oneDataCenter, oneGpu } from './catalog.ts';
import { actOnPod, allPods, changePod, createPod, deletePod, onePod, podLogs } from './pods.ts';
import * as things from './things.ts';

const MAX_BODY_BYTES = 102_400;

const ROUTES = routesFrom({
  'GET /account/ssh-keys': things.keys,
  'PUT /account/ssh-keys': things.putKeys,
  'GET /account/secrets': things.secrets,
  'POST /account/secrets': things.newSecret,
  'GET /account/secrets/{}': things.oneSecret,
  'PATCH /account/secrets/{}': things.changeSecret,
  'DELETE /account/secrets/{}': things.removeSecret,
  'GET /pods': allPods,
  'POST /pods': createPod,
  'GET /pods/{}': onePod,
  'PATCH /pods/{}': changePod,
  'DELETE /pods/{}': deletePod,
  'POST /pods/{}/action': actOnPod,
  'GET /pods/{}/logs': podLogs,
  'GET /templates': things.templates,
  'POST /templates': things.createTemplate,
  'GET /templates/{}': things.oneTemplate,
  'PATCH /templates/{}': things.changeTemplate,
  'DELETE /templates/{}': things.removeTemplate,
  'GET /network-volumes': things.volumes,
  'POST /network-volumes': things.newVolume,
  'GET /network-volumes/{}': things.oneVolume,
  'PATCH /network-volumes/{}': things.editVolume,
  'DELETE /network-volumes/{}': things.removeVolume,
  'GET /registries': things.registries,
  'POST /registries': things.newRegistry,
  'GET /registries/{}': things.oneRegistry,
  'DELETE /registries/{}': things.removeRegistry,
  'GET /catalog/gpus': gpus,
  'GET /catalog/gpus/{}': oneGpu,
  'GET /catalog/cpus': cpus,
  'GET /catalog/cpus/{}': oneCpu,
  'GET /catalog/datacenters': dataCenters,
  'GET /catalog/datacenters/{}': oneDataCenter,
  'GET /catalog/templates': things.catalogTemplates,
});

/** REST v2, below its base path. Who calls is known; the body is not yet looked at. */
export async function answerV2(call: Call, path: string): Promise<FakeAnswer> {
  const { request, identity, world } = call;
  const found = findRoute(ROUTES, request.method, path);
  if ('allowed' in found) {
    const { allowed } = found;
    return allowed.length === 0
      ? problem(404, 'The requested path was not found.')
      : {
          ...problem(405, 'The requested method is not allowed for this path.'),
          headers: { Allow: allowed.join(', ') },
        };
  }
  if (path === '/pods' && Buffer.byteLength(request.rawBody) > MAX_BODY_BYTES)
    return problem(413, 'request body too large');
  if (identity === 'nobody') return problem(401, 'missing bearer token');
  if (identity === 'stranger') return problem(401, 'invalid bearer token');
  const access = request.method === 'GET' ? 'read' : 'write';
  const isOwn =
    identity.podId !== undefined && world.options.podKeyRest && identity.podId === found.params[0];
  if (!isOwn && !allows(identity.rest, access)) return problem(403, 'access denied');
  try {
    return await refusable(
      async () => found.route.handle({ ...call, params: found.params }),
      wordRefusal,
    );
  } catch (failure) {
    if (failure instanceof ContractBreach) return wordBreach(failure);
    throw failure;
  }
}
