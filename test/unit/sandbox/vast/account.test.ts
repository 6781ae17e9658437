import { describe, expect, it } from 'vitest';
import { type Bench, type Loose, openBench, START } from './bench.ts';

const KEY_LINE =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNvbWUgbGl2ZSB3aXRoIG1lIGFuZCBiZSBteSBrZXk me';

describe('lists', () => {
  const many = async (bench: Bench, count: number): Promise<number[]> => {
    const rows = await bench.search({ limit: 64, num_gpus: { eq: 1 }, verified: { eq: true } });
    const ids: number[] = [];
    for (const row of rows.slice(0, count))
      ids.push(
        await bench.create({ disk: 8, label: `job-${ids.length % 3}` }, row['id'] as number),
      );
    return ids;
  };

  it('come in pages of 25 with a token until all are told (vast.md 17.12, 16.1)', async () => {
    await using bench = openBench();
    const ids = await many(bench, 31);
    const first = await bench.json(
      'GET /api/v1/instances/?select_filters={}&order_by=[{"col":"id","dir":"asc"}]&limit=25',
    );
    expect(first).toMatchObject({ success: true, instances_found: 25, total_instances: 31 });
    expect(first['label_counts']).toEqual({ 'job-0': 11, 'job-1': 10, 'job-2': 10 });
    const token = String(first['next_token']);
    expect(JSON.parse(Buffer.from(token, 'base64').toString())).toEqual({
      values: { id: ids[24] },
    });
    const second = await bench.json(
      `GET /api/v1/instances/?after_token=${encodeURIComponent(token)}`,
    );
    expect(second).toMatchObject({ instances_found: 6, next_token: null });
    const told = [first, second].flatMap((page) =>
      (page['instances'] as Loose[]).map(({ id }) => id),
    );
    expect(told).toEqual(ids);
    for (const [limit, found] of [
      ['100', 25],
      ['0', 5],
      ['-3', 5],
      ['2', 2],
    ] as const)
      expect(await bench.json(`GET /api/v1/instances/?limit=${limit}`)).toMatchObject({
        instances_found: found,
      });
  });

  it('go on where they were when the row of the token is gone (vast.md 17.12)', async () => {
    await using bench = openBench();
    const ids = await many(bench, 6);
    const first = await bench.json('GET /api/v1/instances/?limit=3');
    await bench.json(`DELETE /api/v0/instances/${ids[2] ?? 0}/`);
    const second = await bench.json(
      `GET /api/v1/instances/?after_token=${encodeURIComponent(String(first['next_token']))}`,
    );
    expect((second['instances'] as Loose[]).map(({ id }) => id)).toEqual(ids.slice(3));
  });

  it('filter, order and choose columns (vast.md 17.12)', async () => {
    await using bench = openBench();
    const ids = await many(bench, 5);
    const list = async (query: string) =>
      (await bench.json(`GET /api/v1/instances/?${query}`))['instances'] as Loose[];
    const q = (value: unknown) => encodeURIComponent(JSON.stringify(value));
    expect(await list(`select_filters=${q({ label: { in: ['job-1'] } })}`)).toHaveLength(2);
    expect(await list(`select_filters=${q({ id: { gt: ids[2] } })}`)).toHaveLength(2);
    expect(await list(`select_filters=${q({ actual_status: { in: ['running'] } })}`)).toHaveLength(
      0,
    );
    await bench.advance(61);
    expect(await list(`select_filters=${q({ actual_status: { in: ['running'] } })}`)).toHaveLength(
      5,
    );
    expect((await list(`order_by=${q([{ col: 'id', dir: 'desc' }])}`)).map(({ id }) => id)).toEqual(
      ids.toReversed(),
    );
    expect(await list(`select_cols=${q(['id', 'label', 'nonsense'])}&limit=1`)).toEqual([
      { id: ids[0], label: 'job-0', nonsense: null },
    ]);
    await bench.json(`PUT /api/v0/instances/${ids[0] ?? 0}/`, { label: '' });
    expect(await list(`select_filters=${q({ label: { eq: null } })}`)).toHaveLength(1);
    expect((await bench.json('GET /api/v1/instances/'))['label_counts']).toMatchObject({ '': 1 });
  });

  it.each([
    [
      'select_filters={"dph_total":{"gt":1}}',
      'invalid_request',
      'dph_total is not a valid search key',
    ],
    ['select_filters={"nothing":{"eq":1}}', 'invalid_request', 'nothing is not a valid search key'],
    ['select_filters={"id":{"is":1}}', 'invalid_request', 'is is not a valid search key'],
    ['order_by=[{"col":"num_gpus"}]', 'invalid_request', 'num_gpus is not a valid search key'],
    ['after_token=nonsense', 'invalid_token', 'Invalid pagination token'],
  ])('%s is 400 (vast.md 17.12)', async (query, error, words) => {
    await using bench = openBench();
    for (const count of [0, 1]) {
      if (count === 1) await bench.create();
      const answer = await bench.raw(`GET /api/v1/instances/?${query}`);
      expect(answer).toMatchObject({ status: 400, body: { success: false, error } });
      expect((answer.body as Loose)['msg']).toContain(words);
    }
  });

  it('filters, counts and volumes are told beside them (vast.md 5.2, 5.3)', async () => {
    await using bench = openBench();
    await many(bench, 2);
    await bench.advance(61);
    const { filters } = await bench.json('GET /api/v0/instances/filters/');
    expect(filters).toContainEqual({
      actual_status: 'running',
      verification: 'verified',
      gpu_name: expect.any(String) as unknown,
    });
    expect(await bench.json('GET /api/v0/instances/count/')).toMatchObject({
      count: 2,
      running: 2,
    });
    expect(await bench.json('GET /api/v1/instances/lite/')).toMatchObject({ instances_found: 2 });
    const [row] = (await bench.json('GET /api/v1/instances/'))['instances'] as Loose[];
    expect(row).toHaveProperty('volume_info', []);
    expect(await bench.show(row?.['id'] as number)).not.toHaveProperty('volume_info');
  });

  it('rows have what the official tool prints without looking (vast.md 17.11)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    for (const seconds of [0, 61]) {
      await bench.advance(seconds);
      const row = await bench.show(id);
      expect(typeof row['start_date']).toBe('number');
      expect(Array.isArray(row['extra_env'])).toBe(true);
      for (const name of ['id', 'ssh_port', 'machine_id', 'gpu_totalram', 'dph_total'])
        expect(typeof row[name], name).toBe('number');
      for (const name of ['image_runtype', 'ssh_host', 'gpu_name'])
        expect(typeof row[name], name).toBe('string');
      if ('ports' in row) expect(row['ports']).toBeTypeOf('object');
    }
  });
});

describe('logs and commands', () => {
  const fetchLog = async (bench: Bench, url: unknown, key: string | null = null) =>
    bench.raw(`GET ${new URL(String(url)).pathname}`, undefined, { key });

  it('are an address on the same origin, 403 first, then text (vast.md 17.15, 16.21)', async () => {
    await using bench = openBench({ options: { logPolls: 2 } });
    const id = await bench.create();
    await bench.advance(61);
    const asked = await bench.json(`PUT /api/v0/instances/request_logs/${id}/`, {
      tail: '2',
      daemon_logs: 'true',
    });
    expect(asked).toMatchObject({
      success: true,
      result_url: expect.stringMatching(
        /^http:\/\/127\.0\.0\.1:1\/instance_logs\/[0-9a-f]{40}\.log$/,
      ) as unknown,
    });
    const { result_url: url } = asked;
    expect(await fetchLog(bench, url)).toMatchObject({
      status: 403,
      contentType: 'application/xml',
    });
    expect(await fetchLog(bench, url)).toMatchObject({ status: 403 });
    const log = await fetchLog(bench, url);
    expect(log).toMatchObject({ status: 200, contentType: 'text/plain' });
    expect(log.text?.trimEnd().split('\n')).toHaveLength(2);
    expect(log.text).toContain('success, running');
    expect(await fetchLog(bench, url, 'vast-sandbox-key')).toMatchObject({ status: 400 });
    const filtered = await bench.json(`PUT /api/v0/instances/request_logs/${id}/`, {
      filter: 'Pulling',
      daemon_logs: 'true',
    });
    await fetchLog(bench, filtered['result_url']);
    await fetchLog(bench, filtered['result_url']);
    expect((await fetchLog(bench, filtered['result_url'])).text).toBe(
      'Pulling from pytorch/pytorch\n',
    );
    expect(await bench.raw('PUT /api/v0/instances/request_logs/99/', {})).toMatchObject({
      status: 404,
      body: { error: 'invalid_id' },
    });
    expect(await fetchLog(bench, 'http://x/instance_logs/none.log')).toMatchObject({ status: 404 });
  });

  it('may never be uploaded', async () => {
    await using bench = openBench({ faults: [{ kind: 'logs-never', times: 1 }] });
    const id = await bench.create();
    const { result_url: url } = await bench.json(`PUT /api/v0/instances/request_logs/${id}/`, {});
    for (let index = 0; index < 50; index += 1)
      expect((await fetchLog(bench, url)).status).toBe(403);
  });

  it('only ls, rm and du can be executed (vast.md 8.2)', async () => {
    await using bench = openBench({ options: { logPolls: 0 } });
    const id = await bench.create();
    const run = async (command: unknown) =>
      bench.raw(`PUT /api/v0/instances/command/${id}/`, { command });
    expect(await run('ls -l')).toMatchObject({ status: 400, body: { error: 'invalid_container' } });
    await bench.advance(61);
    const made = await run('ls -l');
    expect(made).toMatchObject({
      status: 200,
      body: { success: true, writeable_path: expect.any(String) as unknown },
    });
    expect((await fetchLog(bench, (made.body as Loose)['result_url'])).status).toBe(200);
    for (const command of ['cat /etc/passwd', 'ls; reboot', `ls ${'x'.repeat(600)}`, '', 7])
      expect(await run(command)).toMatchObject({
        status: 400,
        body: { error: 'invalid_args', msg: 'Invalid command given.' },
      });
    expect(
      await bench.raw(`PUT /api/v0/instances/command/${id}/`, undefined, { rawBody: '{' }),
    ).toMatchObject({ status: 483 });
    expect(await bench.raw('PUT /api/v0/instances/command/99/', { command: 'ls' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_container_id' },
    });
  });
});

describe('SSH keys', () => {
  it('are `key` in the list and `public_key` when made (vast.md 16.15, 10.1)', async () => {
    await using bench = openBench();
    expect(await bench.json('GET /api/v0/ssh/')).toEqual([]);
    const made = await bench.json('POST /api/v0/ssh/', { ssh_key: `${KEY_LINE}\0` });
    expect(made).toMatchObject({ success: true, key: { public_key: KEY_LINE, deleted_at: null } });
    const { id } = made['key'] as Loose;
    expect(await bench.json('GET /api/v0/ssh/')).toMatchObject([{ id, key: KEY_LINE }]);
    expect(
      await bench.json(`PUT /api/v0/ssh/${String(id)}/`, { id, ssh_key: 'ssh-rsa BBBB x' }),
    ).toMatchObject({ key: { public_key: 'ssh-rsa BBBB x' } });
    expect(await bench.json(`DELETE /api/v0/ssh/${String(id)}/`, {})).toEqual({ success: true });
    expect(await bench.raw(`DELETE /api/v0/ssh/${String(id)}/`, {})).toMatchObject({
      status: 400,
      body: { error: 'no_ssh_key' },
    });
    expect(await bench.raw('POST /api/v0/ssh/', {})).toMatchObject({
      status: 400,
      body: { error: 'no_ssh_key', msg: 'No ssh key provided' },
    });
    await using other = openBench({ options: { noKeysStatus: 404 } });
    expect(await other.raw('GET /api/v0/ssh/')).toMatchObject({
      status: 404,
      body: { msg: 'No SSH keys found for the user.' },
    });
  });

  it('of the account reach new instances only; attached ones reach theirs (vast.md 10)', async () => {
    await using bench = openBench();
    const before = await bench.create();
    await bench.json('POST /api/v0/ssh/', { ssh_key: KEY_LINE });
    const after = await bench.create();
    const keysOf = async (id: number): Promise<Loose[]> => {
      const { ssh_keys: text } = await bench.json(`GET /api/v0/instances/${id}/ssh/`);
      expect(text).toBeTypeOf('string');
      return JSON.parse(String(text)) as Loose[];
    };
    expect(await keysOf(before)).toEqual([]);
    expect(await keysOf(after)).toMatchObject([{ public_key: KEY_LINE }]);
    expect(
      await bench.json(`POST /api/v0/instances/${before}/ssh/`, { ssh_key: KEY_LINE }),
    ).toEqual({ success: true, msg: 'SSH key attached successfully' });
    await bench.json(`POST /api/v0/instances/${before}/ssh/`, { ssh_key: KEY_LINE });
    const [attached, ...more] = await keysOf(before);
    expect(more).toEqual([]);
    expect(
      await bench.json(`DELETE /api/v0/instances/${before}/ssh/${String(attached?.['id'])}/`),
    ).toEqual({ success: true, msg: 'SSH key removed from instance.' });
    expect(await bench.raw(`DELETE /api/v0/instances/${before}/ssh/1/`)).toMatchObject({
      status: 404,
      body: { error: 'no_such_ssh_key' },
    });
    expect(await bench.raw('DELETE /api/v0/instances/99/ssh/1/')).toMatchObject({
      status: 404,
      body: { error: 'no_such_instance' },
    });
    expect(
      await bench.raw(`POST /api/v0/instances/${before}/ssh/`, { ssh_key: '-----BEGIN' }),
    ).toMatchObject({ status: 400 });
  });

  it('are not for teams (vast.md 1.6)', async () => {
    await using bench = openBench();
    const key = bench.cloud.addApiKey(undefined, true);
    expect(await bench.raw('POST /api/v0/ssh/', { ssh_key: KEY_LINE }, { key })).toMatchObject({
      status: 400,
      body: { error: 'team_ssh_keys_not_supported' },
    });
  });
});

describe('API keys', () => {
  it('of an instance may show, start, stop and destroy that one and nothing else (vast.md 17.19, 14)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    const other = await bench.create();
    await bench.advance(61);
    const key = bench.cloud.instances.get(id)?.apiKey ?? '';
    const call = async (line: string, body?: unknown) =>
      (await bench.raw(line, body, { key })).status;
    expect(await call(`GET /api/v0/instances/${id}/`)).toBe(200);
    expect(await call(`PUT /api/v0/instances/${id}/`, { state: 'stopped' })).toBe(200);
    expect(await call(`PUT /api/v0/instances/${id}/`, { state: 'running' })).toBe(200);
    for (const line of [
      `GET /api/v0/instances/${other}/`,
      `DELETE /api/v0/instances/${other}/`,
      'GET /api/v1/instances/',
      'GET /api/v0/ssh/',
      'GET /api/v0/users/current',
      'DELETE /api/v0/instances/',
      `PUT /api/v0/instances/reboot/${id}/`,
      `POST /api/v0/instances/${id}/ssh/`,
    ])
      expect(await call(line, {}), line).toBe(403);
    expect(await call(`DELETE /api/v0/instances/${id}/`, {})).toBe(200);
    expect(await call(`GET /api/v0/instances/${id}/`)).toBe(404);
    expect(bench.cloud.books().filter(({ billing }) => billing)).toHaveLength(1);
  });

  it('with a scope may do what its categories hold (vast.md 17.19, 1.6)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    const made = await bench.json('POST /api/v0/auth/apikeys/', {
      name: 'ci',
      permissions: { api: { misc: {}, instance_read: {}, user_read: {} } },
    });
    const key = String(made['key']);
    const call = async (line: string, body?: unknown) => bench.raw(line, body, { key });
    for (const line of [
      'GET /api/v1/instances/',
      `GET /api/v0/instances/${id}/`,
      'GET /api/v0/ssh/',
      'GET /api/v0/users/current',
      'GET /api/v0/volumes',
      'GET /api/v0/template/',
      'GET /api/v0/secrets/',
    ])
      expect((await call(line)).status, line).toBe(200);
    for (const [line, group] of [
      ['PUT /api/v0/asks/1/', 'instance_write'],
      [`DELETE /api/v0/instances/${id}/`, 'instance_write'],
      ['POST /api/v0/ssh/', 'user_write'],
      ['GET /api/v0/charges/', 'billing_read'],
    ] as const)
      expect(await call(line, {})).toMatchObject({
        status: 403,
        body: { msg: `Your key lacks the ${group} permission group` },
      });
    const { apikeys } = await bench.json('GET /api/v0/auth/apikeys/');
    expect(JSON.stringify(apikeys)).not.toContain(key);
    expect(await bench.json(`DELETE /api/v0/auth/apikeys/${String(made['id'])}/`)).toBe(
      'Successfully Deleted API Key',
    );
    expect((await call('GET /api/v0/ssh/')).status).toBe(404);
    expect(await bench.raw('POST /api/v0/auth/apikeys/', { name: 'x' })).toMatchObject({
      status: 400,
      body: { error: 'missing_permissions' },
    });
    expect(
      await bench.raw('POST /api/v0/auth/apikeys/', { name: 'x', permissions: { read: true } }),
    ).toMatchObject({ status: 400, body: { error: 'invalid_permissions' } });
  });

  it('may be narrowed to one route of one instance (vast.md 17.19, 1.6)', async () => {
    await using bench = openBench();
    const id = await bench.create();
    const key = bench.cloud.addApiKey({
      api: { instance_read: { 'api.instance.request_logs': { constraints: { id: { eq: id } } } } },
    });
    const status = async (line: string) => (await bench.raw(line, {}, { key })).status;
    expect(await status(`PUT /api/v0/instances/request_logs/${id}/`)).toBe(200);
    expect(await status(`PUT /api/v0/instances/request_logs/${id + 1}/`)).toBe(403);
    expect(await status(`GET /api/v0/instances/${id}/`)).toBe(403);
  });
});

describe('volumes', () => {
  const open = async (bench: Bench) => {
    const [offer] = await bench.search({
      avail_vol_size: { gte: 100 },
      disk_space: { gte: 100 },
      num_gpus: { eq: 1 },
    });
    return {
      id: offer?.['id'] as number,
      volumeAsk: offer?.['avail_vol_ask_id'] as number,
      machineId: offer?.['machine_id'] as number,
    };
  };

  it('are made with an instance on its machine, outlive it, and free a moment later (vast.md 17.18, 12)', async () => {
    await using bench = openBench();
    const { id: offer, volumeAsk, machineId } = await open(bench);
    const bad = await bench.cheapest({ machine_id: { neq: machineId }, disk_space: { gte: 50 } });
    const info = {
      create_new: true,
      volume_id: volumeAsk,
      size: 20,
      mount_path: '/root/data',
      name: 'mine',
    };
    expect(
      await bench.raw(`PUT /api/v0/asks/${bad}/`, { image: 'a', disk: 8, volume_info: info }),
    ).toMatchObject({ status: 400 });
    expect(bench.cloud.books()).toEqual([]);
    const id = await bench.create({ disk: 8, volume_info: info, runtype: 'ssh' }, offer);
    const list = async () =>
      (await bench.json('GET /api/v0/volumes?owner=me&type=all_volume'))['volumes'] as Loose[];
    const [volume] = await list();
    expect(volume).toMatchObject({
      label: 'mine',
      status: 'in-use',
      machine_id: machineId,
      disk_space: 20,
      instances: [{ id }],
      start_date: START,
    });
    const [row] = (await bench.json('GET /api/v1/instances/'))['instances'] as Loose[];
    expect(row?.['volume_info']).toMatchObject([{ id: volume?.['id'], mount_path: '/root/data' }]);
    const remove = async () =>
      bench.raw(`DELETE /api/v0/volumes/?id=${String(volume?.['id'])}`, {});
    expect(await remove()).toMatchObject({ status: 400 });
    await bench.json(`DELETE /api/v0/instances/${id}/`);
    expect(await remove()).toMatchObject({ status: 400 });
    await bench.advance(31);
    expect((await list())[0]).toMatchObject({ status: 'created', instances: [] });
    expect(bench.cloud.books()).toContainEqual(
      expect.objectContaining({ id: `V.${String(volume?.['id'])}`, kind: 'volume', billing: true }),
    );
    const [again] = await bench.search({ machine_id: { eq: machineId }, num_gpus: { eq: 1 } });
    const link = { create_new: false, volume_id: volume?.['id'], mount_path: '/data' };
    const second = await bench.create(
      { disk: 8, volume_info: link, runtype: 'ssh' },
      again?.['id'] as number,
    );
    expect((await list())[0]).toMatchObject({ status: 'in-use', instances: [{ id: second }] });
    expect(
      await bench.raw(`PUT /api/v0/asks/${bad}/`, { image: 'a', disk: 8, volume_info: link }),
    ).toMatchObject({ status: 400 });
    expect(
      await bench.raw(`PUT /api/v0/asks/${bad}/`, {
        image: 'a',
        disk: 8,
        volume_info: { ...link, mount_path: undefined },
      }),
    ).toMatchObject({ status: 400 });
    await bench.json(`DELETE /api/v0/instances/${second}/`);
    await bench.advance(31);
    expect(await remove()).toEqual({ status: 200, body: { success: true } });
    expect(await remove()).toMatchObject({
      status: 404,
      body: { error: 'no_such_volume', msg: 'Volume with that ID does not exist.' },
    });
    expect(bench.meter.billing()).toEqual([]);
  });

  it('are searched and made alone, with a name that is one (vast.md 12)', async () => {
    await using bench = openBench();
    const { offers } = await bench.json('POST /api/v0/volumes/search/', {
      verified: { eq: true },
      disk_space: { gte: '50' },
      order: [['disk_space', 'desc']],
      allocated_storage: 1,
    });
    const rows = offers as Loose[];
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows) {
      expect(row['verification']).toBe('verified');
      expect(row['disk_space'] as number).toBeGreaterThanOrEqual(50);
    }
    const id = rows[0]?.['id'];
    expect(await bench.raw('PUT /api/v0/volumes/', { size: 20, id, name: 'my vol' })).toMatchObject(
      { status: 422 },
    );
    expect(await bench.raw('PUT /api/v0/volumes/', { size: 100_000, id })).toMatchObject({
      status: 400,
    });
    expect(await bench.raw('PUT /api/v0/volumes/', { size: 20, id: 1 })).toMatchObject({
      status: 404,
    });
    const made = await bench.json('PUT /api/v0/volumes/', { size: 20, id, name: 'my_vol' });
    expect(made).toMatchObject({
      success: true,
      volume_name: expect.stringMatching(/^V\.\d+$/) as unknown,
    });
    expect(await bench.json('GET /api/v0/volumes?owner=me&type=network_volume')).toEqual({
      volumes: [],
    });
    expect(await bench.json('DELETE /api/v0/volumes/', { id: made['volume_id'] })).toEqual({
      success: true,
    });
    expect(await bench.raw('DELETE /api/v0/volumes/', {})).toMatchObject({ status: 400 });
  });
});

describe('the rest of an account', () => {
  it('says who it is and what is left', async () => {
    await using bench = openBench({ creditUsd: 25 });
    expect(await bench.json('GET /api/v0/users/current')).toMatchObject({
      id: 123_456,
      email: 'you@example.com',
      credit: 25,
      balance: 0,
      ssh_key: '',
    });
  });

  it('keeps variables for every container, and never tells them (vast.md 13)', async () => {
    await using bench = openBench();
    expect(
      await bench.json('POST /api/v0/secrets/', { key: 'hf_token', value: 'abc-1.2' }),
    ).toEqual({ success: true, msg: 'Environment variable added successfully' });
    expect(await bench.json('GET /api/v0/secrets/')).toEqual({
      success: true,
      secrets: { HF_TOKEN: '*****' },
    });
    for (const [method, body, error] of [
      ['POST', { key: 'HF_TOKEN', value: 'x' }, 'existing_key'],
      ['POST', { key: 'A' }, 'missing_input'],
      ['PUT', { key: 'B', value: 'x' }, 'nonexistent_key'],
      ['DELETE', { key: 'B' }, 'nonexistent_key'],
      ['POST', { key: 'A', value: 'a b' }, 'missing_input'],
    ] as const)
      expect(await bench.raw(`${method} /api/v0/secrets/`, body)).toMatchObject({
        status: 400,
        body: { error },
      });
    expect(await bench.json('PUT /api/v0/secrets/', { key: 'HF_TOKEN', value: 'y' })).toMatchObject(
      { success: true },
    );
    expect(await bench.json('DELETE /api/v0/secrets/', { key: 'HF_TOKEN' })).toMatchObject({
      success: true,
    });
    expect(await bench.json('GET /api/v0/secrets/')).toEqual({ success: true, secrets: {} });
  });

  it('prepays and tells deposits', async () => {
    await using bench = openBench();
    const id = await bench.create();
    expect(await bench.json(`PUT /api/v0/instances/prepay/${id}/`, { amount: 10 })).toMatchObject({
      success: true,
    });
    expect(await bench.json(`GET /api/v0/instances/balance/${id}/`)).toMatchObject({
      success: true,
      refundable_deposit: 10,
    });
    expect(await bench.raw(`PUT /api/v0/instances/prepay/${id}/`, { amount: 1_000 })).toMatchObject(
      { status: 411, body: { msg: 'Insufficient credit' } },
    );
    expect(await bench.raw('PUT /api/v0/instances/prepay/99/', { amount: 1 })).toMatchObject({
      status: 400,
    });
    expect(await bench.raw('GET /api/v0/instances/balance/99/')).toMatchObject({ status: 404 });
  });
});
