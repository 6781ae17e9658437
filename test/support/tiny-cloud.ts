import type { BookedInstance } from '../../src/core/sandbox.ts';
import type { SandboxCloud } from '../../src/sandbox/cloud.ts';
import type { FakeAnswer } from '../../src/sandbox/http.ts';
import type { CloudMaker, CloudParts } from '../../src/sandbox/sandbox.ts';
import { RTX_4090 } from './sandbox-machines.ts';

const RATES = { gpuUsdPerHour: 0.36, diskUsdPerHour: 0 };
const KINDS = [
  { kind: 'broken', summary: 'It answers 500.', chaos: true },
  { kind: 'lost', summary: 'The answer is lost.' },
];

/** The smallest cloud there can be: `PUT /pods/ID` rents, `DELETE /pods/ID` ends, `GET /pods/ID` looks. */
export const TINY: CloudMaker = { name: 'tiny', faultKinds: KINDS, make: tinyCloud };

function tinyCloud({ machines, meter, faults, clock, origin, apiKey }: CloudParts): SandboxCloud {
  const pods = new Map<string, { state: string; readonly bornAt: number; endedAt?: number }>();
  let credit = 10;
  const rent = async (id: string, key: string): Promise<FakeAnswer> => {
    pods.set(id, { state: 'running', bornAt: clock.nowSeconds() });
    meter.set(id, RATES);
    await machines.start({ id, label: id, authorizedKeys: [key], env: {}, gpu: RTX_4090 });
    return { status: 200, body: { id } };
  };
  const end = async (id: string): Promise<FakeAnswer> => {
    const pod = pods.get(id);
    if (pod === undefined) return { status: 404, text: 'none' };
    pod.state = 'destroyed';
    pod.endedAt = clock.nowSeconds();
    meter.end(id);
    await machines.destroy(id);
    return { status: 200, body: { ok: true } };
  };
  const book = (id: string): BookedInstance => {
    const { state, bornAt, endedAt } = pods.get(id) ?? { state: 'gone', bornAt: 0 };
    const billing = meter.billing().find((one) => one.id === id);
    return {
      id,
      state,
      billing: billing !== undefined,
      usdPerHour: billing?.usdPerHour ?? 0,
      spentUsd: meter.spentUsd(id),
      billedSeconds: (endedAt ?? clock.nowSeconds()) - bornAt,
      createdAtSeconds: bornAt,
      endedAtSeconds: endedAt,
    };
  };
  return {
    name: 'tiny',
    faultKinds: KINDS,
    async handle({ method, path, body }) {
      const route = `${method} ${path}`;
      if (faults.next('broken', { route }) !== undefined) return { status: 500, text: 'broken' };
      const lost = faults.next('lost', { route }) === undefined ? {} : { fault: 'drop' as const };
      const id = path.slice('/pods/'.length);
      if (method === 'PUT')
        return { ...(await rent(id, (body as { key?: string } | undefined)?.key ?? '')), ...lost };
      if (method === 'DELETE') return { ...(await end(id)), ...lost };
      return { status: 200, body: await machines.look(id), ...lost };
    },
    books: () => [...pods.keys()].map(book),
    creditUsd: () => credit - meter.spentUsd(),
    addCredit: (usd) => {
      credit += usd;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(),
    variables: () => ({ TINY_API_KEY: apiKey ?? "tiny'key", TINY_URL: origin() }),
  };
}
