import { describe, expect, it } from 'vitest';
import { serveClouds } from '../../../../src/sandbox/http.ts';
import { createRequestLog } from '../../../../src/sandbox/request-log.ts';
import { type Bench, type Loose, openBench } from './bench.ts';

/** Python's `quote_plus(json.dumps(value))`, as the tool encodes what is no text. */
const encoded = (value: unknown): string =>
  encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(
    '%20',
    '+',
  );

/** The official tool as it is seen on the wire: encodings, headers, the `{}` of every body, `?owner=me`. */
async function withTool(
  bench: Bench,
  work: (
    tool: (method: string, path: string, given?: { query?: Loose; body?: Loose }) => Promise<Loose>,
    url: string,
  ) => Promise<void>,
): Promise<void> {
  await using served = await serveClouds([bench.cloud], {
    port: 0,
    log: createRequestLog(bench.clock),
    clock: bench.clock,
  });
  const url = served.urlOf('vast');
  await work(async (method, path, { query = {}, body = {} } = {}) => {
    const words = Object.entries(query).map(([name, value]) => `${name}=${encoded(value)}`);
    const answer = await fetch(
      `${url}/api${path}${words.length > 0 ? '?' : ''}${words.join('&')}`,
      {
        method,
        headers: {
          Authorization: `Bearer ${bench.cloud.options.apiKey}`,
          'User-Agent': 'vastai-cli/1.0',
          ...(method === 'GET' ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(method === 'GET' ? {} : { body: JSON.stringify(body) }),
      },
    );
    expect(answer.status, `${method} ${path}`).toBe(200);
    // The tool compares it to the letter.
    expect(answer.headers.get('Content-Type')).toBe('application/json');
    return (await answer.json()) as Loose;
  }, url);
}
const OWNER = { owner: 'me' };

/** `vastai ssh-url`: direct where port 22 is mapped, else the proxy, one port further with a notebook. */
function sshUrl(row: Loose): string {
  const ports = (row['ports'] ?? {}) as Record<string, { HostPort: string }[] | undefined>;
  const direct = ports['22/tcp']?.[0];
  if (direct !== undefined)
    return `ssh://root@${String(row['public_ipaddr']).trim()}:${direct.HostPort}`;
  const jupyter = String(row['image_runtype']).includes('jupyter');
  return `ssh://root@${String(row['ssh_host'])}:${Number(row['ssh_port']) + (jupyter ? 1 : 0)}`;
}

describe('the official tool (vast.md 17.2, 2)', () => {
  it('finds, rents, watches, labels, stops and destroys', async () => {
    await using bench = openBench();
    await withTool(bench, async (tool, url) => {
      await tool('GET', '/v0/gpu_names/unique/');
      expect(await tool('GET', '/v0/ssh/')).toEqual([]);
      await tool('POST', '/v0/ssh/', { body: { ssh_key: 'ssh-ed25519 AAAA me' } });
      expect(await tool('GET', '/v0/users/current', { query: OWNER })).toHaveProperty('credit');
      const { offers } = await tool('POST', '/v0/bundles/', {
        body: {
          verified: { eq: true },
          external: { eq: false },
          rentable: { eq: true },
          gpu_ram: { gte: 24_000 },
          num_gpus: { eq: '1' },
          reliability: { gt: '0.9' },
          disk_space: { gte: '64' },
          direct_port_count: { gte: '2' },
          order: [['dph_total', 'asc']],
          type: 'on-demand',
          allocated_storage: 5,
        },
      });
      const rows = offers as Loose[];
      expect(rows.length).toBeGreaterThan(1);
      const create = async (offer: unknown, changes: Loose): Promise<number> => {
        const made = await tool('PUT', `/v0/asks/${String(offer)}/`, {
          body: {
            client_id: 'me',
            image: 'pytorch/pytorch',
            env: {},
            price: null,
            disk: 64,
            label: 'claude-job-1',
            extra: null,
            onstart: null,
            image_login: null,
            python_utf8: false,
            lang_utf8: false,
            use_jupyter_lab: false,
            jupyter_dir: null,
            force: false,
            cancel_unavail: false,
            template_hash_id: null,
            user: null,
            runtype: 'ssh_proxy',
            ...changes,
          },
        });
        expect(made['success']).toBe(true);
        return made['new_contract'] as number;
      };
      const proxy = await create(rows[0]?.['id'], {});
      const direct = await create(rows[1]?.['id'], { runtype: 'ssh_direc ssh_proxy' });
      const notebook = await create(rows[2]?.['id'], { runtype: 'jupyter_proxy ssh_proxy' });
      await bench.advance(61);
      const single = await tool('GET', `/v0/instances/${proxy}/`, { query: OWNER });
      expect(single['instances']).toMatchObject({ actual_status: 'running', id: proxy });
      const { instances, next_token } = await tool('GET', '/v1/instances/', {
        query: { select_filters: {}, order_by: [{ col: 'id', dir: 'asc' }], limit: 25 },
      });
      expect(next_token).toBeNull();
      const listed = instances as Loose[];
      const urls = [proxy, direct, notebook].map((id) =>
        sshUrl(listed.find((row) => row['id'] === id) ?? {}),
      );
      const doors = [proxy, direct, notebook].map((id) => bench.cloud.instances.get(id));
      expect(urls).toEqual([
        `ssh://root@127.0.0.1:${doors[0]?.proxy?.port ?? 0}`,
        `ssh://root@127.0.0.1:${doors[1]?.mapped.get('22/tcp')?.port ?? 0}`,
        `ssh://root@127.0.0.1:${doors[2]?.proxy?.port ?? 0}`,
      ]);
      await tool('GET', '/v0/instances/filters/', { query: OWNER });
      await tool('GET', '/v1/instances/', {
        query: { select_filters: { actual_status: { in: ['running'] } }, limit: 25 },
      });

      const { result_url: log } = await tool('PUT', `/v0/instances/request_logs/${proxy}/`, {
        body: { tail: '50' },
      });
      const address = String(log).replace('http://127.0.0.1:1', url);
      const statuses: number[] = [];
      while (statuses.at(-1) !== 200 && statuses.length < 30)
        statuses.push((await fetch(address)).status);
      expect(statuses).toEqual([403, 403, 200]);

      await tool('PUT', `/v0/instances/${proxy}/`, { body: { label: 'hello' } });
      await tool('POST', `/v0/instances/${proxy}/ssh/`, {
        body: { ssh_key: 'ssh-ed25519 BBBB me' },
      });
      await tool('GET', `/v0/instances/${proxy}/ssh/`, { query: OWNER });
      await tool('PUT', `/v0/instances/reboot/${proxy}/`);
      await bench.advance(20);
      await tool('PUT', `/v0/instances/${proxy}/`, { body: { state: 'stopped' } });
      await bench.advance(5);
      await tool('PUT', `/v0/instances/${proxy}/`, { body: { state: 'running' } });
      await tool('PUT', '/v0/instances/', { body: { state: 'stopped', ids: [direct, notebook] } });
      expect(await tool('DELETE', `/v0/instances/${proxy}/`)).toMatchObject({ success: true });
      // It says so six times.
      for (let index = 0; index < 6; index += 1)
        await tool('DELETE', '/v0/instances/', { body: { instance_ids: [direct, notebook] } });
      expect(await tool('GET', `/v0/instances/${proxy}/`, { query: OWNER })).toEqual({
        instances: null,
      });
      expect(bench.meter.billing()).toEqual([]);
    });
  });

  it('bids, and changes its bid', async () => {
    await using bench = openBench();
    await withTool(bench, async (tool) => {
      const { offers } = await tool('POST', '/v0/bundles/', {
        body: { type: 'bid', limit: 1, disk_space: { gte: '20' } },
      });
      const [row] = offers as Loose[];
      const made = await tool('PUT', `/v0/asks/${String(row?.['id'])}/`, {
        body: {
          client_id: 'me',
          image: 'a',
          disk: 10,
          price: row?.['min_bid'],
          runtype: 'ssh_proxy',
          cancel_unavail: false,
        },
      });
      const id = String(made['new_contract']);
      await bench.advance(61);
      await tool('PUT', `/v0/instances/bid_price/${id}/`, { body: { client_id: 'me', price: 5 } });
      expect(
        (await tool('GET', `/v0/instances/${id}/`, { query: OWNER }))['instances'],
      ).toMatchObject({ is_bid: true, dph_base: 5, actual_status: 'running' });
    });
  });

  it('looks for templates and volumes, and makes a volume with an instance', async () => {
    await using bench = openBench();
    await withTool(bench, async (tool) => {
      const { templates } = await tool('GET', '/v0/template/', {
        query: { select_cols: ['*'], select_filters: { name: { eq: 'PyTorch (Vast)' } } },
      });
      const [template] = templates as Loose[];
      const { offers } = await tool('POST', '/v0/bundles/', {
        body: {
          avail_vol_size: { gte: '50' },
          num_gpus: { eq: '1' },
          disk_space: { gte: '80' },
          limit: 1,
        },
      });
      const [row] = offers as Loose[];
      const { offers: volumeOffers } = await tool('POST', '/v0/volumes/search/', {
        body: {
          disk_space: { gte: '1' },
          machine_id: { eq: String(row?.['machine_id']) },
          order: [['score', 'desc']],
          allocated_storage: 1,
        },
      });
      const [volumeOffer] = volumeOffers as Loose[];
      expect(volumeOffer?.['id']).toBe(row?.['avail_vol_ask_id']);
      const made = await tool('PUT', `/v0/asks/${String(row?.['id'])}/`, {
        body: {
          client_id: 'me',
          image: null,
          env: {},
          price: null,
          disk: 64,
          onstart: null,
          template_hash_id: template?.['hash_id'],
          cancel_unavail: false,
          volume_info: {
            mount_path: '/root/data',
            create_new: true,
            volume_id: volumeOffer?.['id'],
            size: 20,
          },
        },
      });
      const { volumes } = await tool('GET', '/v0/volumes', {
        query: { owner: 'me', type: 'all_volume' },
      });
      const [volume] = volumes as Loose[];
      expect(volume).toMatchObject({ disk_space: 20, instances: [{ id: made['new_contract'] }] });
      await tool('DELETE', `/v0/instances/${String(made['new_contract'])}/`);
      await bench.advance(31);
      await tool('DELETE', '/v0/volumes/', { query: { id: volume?.['id'] } });
      expect(bench.meter.billing()).toEqual([]);
    });
  });
});
