import { describe, expect, it } from 'vitest';
import { type Bench, type Loose, openBench } from './bench.ts';

/** `create instance 123 --image pytorch/pytorch --disk 64 --ssh ...`, as the official tool sends it. */
const TOOL_BODY = {
  client_id: 'me',
  image: 'pytorch/pytorch',
  env: { A: '1', '-p 8080:8080': '1' },
  price: null,
  disk: 64,
  label: 'claude-job-1',
  extra: null,
  onstart: 'pip install x',
  image_login: '-u u -p p registry.example.com',
  python_utf8: false,
  lang_utf8: false,
  use_jupyter_lab: false,
  jupyter_dir: null,
  force: false,
  cancel_unavail: false,
  template_hash_id: null,
  user: null,
  runtype: 'ssh_proxy',
};
const roomy = async (bench: Bench): Promise<number> =>
  bench.cheapest({ disk_space: { gte: 200 }, direct_port_count: { gte: 2 } });
const put = async (bench: Bench, body: Loose, id?: number) =>
  bench.raw(`PUT /api/v0/asks/${id ?? (await roomy(bench))}/`, body);

describe('create', () => {
  it('takes the body of the official tool (vast.md 17.6, 4.2, 16.11)', async () => {
    await using bench = openBench();
    const made = await put(bench, TOOL_BODY);
    expect(made.status).toBe(200);
    const body = made.body as { success: boolean; new_contract: number; instance_api_key: string };
    expect(body.success).toBe(true);
    expect(body.instance_api_key).toMatch(/^[0-9a-f]{64}$/);
    expect(await bench.show(body.new_contract)).toMatchObject({
      label: 'claude-job-1',
      image_uuid: 'pytorch/pytorch',
      image_runtype: 'ssh_proxy',
      onstart: 'pip install x',
      disk_space: 64,
      extra_env: [
        ['A', '1'],
        ['-p 8080:8080', '1'],
      ],
      template_hash_id: null,
    });
  });

  it('an env that is no object is silently not applied (vast.md 16.11)', async () => {
    await using bench = openBench();
    const id = await bench.create({ env: '-e A=1' });
    expect(await bench.show(id)).toMatchObject({ extra_env: [] });
  });

  it('consumes the offer; ids go up; each instance has a key of its own (vast.md 17.6)', async () => {
    await using bench = openBench();
    const offer = await roomy(bench);
    const first = await bench.create({}, offer);
    const second = await bench.create();
    expect(second).toBeGreaterThan(first);
    expect(await bench.search({ ask_contract_id: { eq: offer } })).toEqual([]);
  });

  it('holds what is too long or too small to its limits (vast.md 17.6, 1.4)', async () => {
    await using bench = openBench();
    const good = { image: 'a', disk: 8 };
    const tooLong = {
      error: 'invalid_args',
      msg: 'error 400/3471: Invalid args: len(image) > 1024, or len(args) > 16384, or len(label) > 256',
    };
    for (const body of [
      { ...good, image: 'x'.repeat(1_025) },
      { ...good, label: 'x'.repeat(257) },
      { ...good, onstart: 'x'.repeat(16_385) },
      { ...good, onstart: 'x'.repeat(16_000), args: ['y'.repeat(385)] },
    ])
      expect(await put(bench, body)).toMatchObject({ status: 400, body: tooLong });
    for (const body of [
      { disk: 8 },
      { ...good, disk: 7 },
      { ...good, runtype: 'telnet' },
      { ...good, template_hash_id: 'nope' },
    ])
      expect(await put(bench, body)).toMatchObject({
        status: 400,
        body: { error: 'invalid_args' },
      });
    for (const price of [0, 0.0001, 129, 'cheap'])
      expect(await put(bench, { ...good, price })).toMatchObject({
        status: 400,
        body: { error: 'invalid_price' },
      });
    expect(await bench.raw('PUT /api/v0/asks/none/', good)).toMatchObject({
      status: 400,
      body: { msg: "error 400/3467: Invalid args: 'id' is required and must be a valid offer ID" },
    });
    expect(bench.cloud.books()).toEqual([]);
    expect(
      (await put(bench, { ...good, onstart: 'x'.repeat(16_384), label: 'y'.repeat(256) })).status,
    ).toBe(200);
  });

  it('a second create on the same offer is no_such_ask, with two spaces and ask_id (vast.md 17.7)', async () => {
    await using bench = openBench();
    const offer = await roomy(bench);
    await bench.create({}, offer);
    expect(await put(bench, { image: 'a', disk: 8 }, offer)).toEqual({
      status: 400,
      body: {
        success: false,
        error: 'invalid_args',
        msg: `error 404/3603: no_such_ask  Instance type by id ${offer} is not available.`,
        ask_id: offer,
      },
    });
    await using documented = openBench({ options: { takenStatus: 404 } });
    expect(await put(documented, { image: 'a', disk: 8 }, 1)).toMatchObject({ status: 404 });
  });

  it('an offer that is lost on the way is 410 when that is asked for (vast.md 17.7)', async () => {
    await using bench = openBench({ faults: [{ kind: 'create-unavailable', times: 1 }] });
    expect(await put(bench, { image: 'a', disk: 8, cancel_unavail: true })).toMatchObject({
      status: 410,
      body: { error: 'no_such_ask' },
    });
    expect(bench.cloud.books()).toEqual([]);
  });

  it('without cancel_unavail a GPU that is gone leaves a stopped instance that bills storage (vast.md 16.9)', async () => {
    await using bench = openBench({ faults: [{ kind: 'create-unavailable', times: 1 }] });
    const made = await put(bench, { ...TOOL_BODY });
    expect(made).toMatchObject({ status: 200, body: { success: true } });
    const id = (made.body as { new_contract: number }).new_contract;
    expect(await bench.show(id)).toMatchObject({
      actual_status: 'stopped',
      intended_status: 'stopped',
      cur_state: 'stopped',
    });
    expect(bench.booked(id)).toMatchObject({ billing: true });
  });

  it('a bid below the lowest is an error that still names a stopped instance (vast.md 17.8, 16.10)', async () => {
    await using bench = openBench();
    const offer = await roomy(bench);
    const [row] = await bench.search({ ask_contract_id: { eq: offer } });
    const low = (row?.['min_bid'] as number) - 0.001;
    const answer = await put(bench, { image: 'a', disk: 8, price: low }, offer);
    expect(answer).toMatchObject({ status: 400, body: { success: false } });
    const id = (answer.body as { new_contract: number }).new_contract;
    expect(await bench.show(id)).toMatchObject({ actual_status: 'stopped', is_bid: true });
    expect(bench.booked(id).billing).toBe(true);
  });

  it('a price is a bid, and none is on-demand at the full price, also after a search for bids (vast.md 16.8)', async () => {
    await using bench = openBench();
    const [row] = await bench.search({ type: 'bid', disk_space: { gte: 200 } });
    const offer = row?.['id'] as number;
    const id = await bench.create({ price: null }, offer);
    const shown = await bench.show(id);
    expect(shown['is_bid']).toBe(false);
    expect(shown['dph_base']).toBeGreaterThan(row?.['min_bid'] as number);
    const other = await roomy(bench);
    const bid = await bench.create({ price: 30 }, other);
    expect(await bench.show(bid)).toMatchObject({ is_bid: true, dph_base: 30 });
  });

  it.each([
    ['offer-taken', 400, 'no_such_ask'],
    ['offer-gone-410', 410, 'no_such_ask'],
    ['no-credit', 400, 'insufficient_credit'],
    ['spend-rate-limit', 400, 'spend_rate_limit'],
  ])('%s leaves nothing behind', async (kind, status, word) => {
    await using bench = openBench({ faults: [{ kind, times: 1 }] });
    const answer = await put(bench, TOOL_BODY);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(word);
    expect(bench.cloud.books()).toEqual([]);
  });

  it('may fail and leave a contract, or succeed and leave none (vast.md 16.10, 4.6)', async () => {
    await using bench = openBench({
      faults: [
        { kind: 'create-failed-with-contract', times: 1 },
        { kind: 'create-without-instance', skip: 1, times: 1 },
      ],
    });
    const failed = await put(bench, TOOL_BODY);
    const left = (failed.body as { new_contract: number }).new_contract;
    expect(failed.status).toBe(400);
    expect(bench.booked(left).billing).toBe(true);
    const empty = await put(bench, TOOL_BODY);
    expect(empty).toMatchObject({ status: 200, body: { success: true } });
    expect(await bench.show((empty.body as { new_contract: number }).new_contract)).toBeNull();
    expect(bench.cloud.books()).toHaveLength(1);
  });

  it('rents the first offer that a query finds (vast.md 4.7)', async () => {
    await using bench = openBench();
    const q = {
      num_gpus: { eq: 1 },
      gpu_name: { eq: 'RTX 4090' },
      order: [['dph_total', 'asc']],
      disk_space: { gte: 50 },
    };
    const [cheapest] = await bench.search(q);
    const made = await bench.json('PUT /api/v0/launch_instance/', { q, image: 'a', disk: 8 });
    expect(await bench.show(made['new_contract'] as number)).toMatchObject({
      machine_id: cheapest?.['machine_id'],
    });
    expect(
      await bench.raw('PUT /api/v0/launch_instance/', { q: { num_gpus: { eq: 99 } }, image: 'a' }),
    ).toMatchObject({ status: 404 });
    const bulk = await bench.json('POST /api/v0/asks/bulk/', {
      ids: [await roomy(bench), 1],
      image: 'a',
      disk: 8,
    });
    expect(bulk['results']).toMatchObject([{ success: true }, { success: false, ask_id: 1 }]);
  });

  it.each([
    ['ssh', 'ssh_proxy', []],
    ['ssh_proxy', 'ssh_proxy', []],
    ['ssh_direct', 'ssh_direc ssh_proxy', ['22/tcp']],
    ['ssh_direc ssh_proxy', 'ssh_direc ssh_proxy', ['22/tcp']],
    ['ssh ssh_direc ssh_proxy', 'ssh_direc ssh_proxy', ['22/tcp']],
    ['jupyter_proxy ssh_proxy', 'jupyter_proxy ssh_proxy', []],
    [
      'jupyter_direc ssh_direc ssh_proxy',
      'jupyter_direc ssh_direc ssh_proxy',
      ['22/tcp', '8080/tcp'],
    ],
    ['jupyter_direct', 'jupyter_direc ssh_direc ssh_proxy', ['22/tcp', '8080/tcp']],
    ['args', 'args', []],
  ])('runtype %s is stored as %s (vast.md 4.3)', async (runtype, stored, ports) => {
    await using bench = openBench();
    const id = await bench.create({ runtype });
    await bench.advance(61);
    const row = await bench.show(id);
    expect(row['image_runtype']).toBe(stored);
    expect(Object.keys((row['ports'] ?? {}) as Loose).sort()).toEqual(ports);
    expect(row['ssh_host']).toBe(stored === 'args' ? null : '127.0.0.1');
  });

  it('a host without open ports gives the proxy alone; a wish for an identity port gets one (vast.md 14)', async () => {
    await using bench = openBench();
    const closed = await bench.cheapest({ direct_port_count: { eq: 0 }, disk_space: { gte: 100 } });
    const id = await bench.create({}, closed);
    const open = await bench.create({ env: { '-p 70001:70001': '1' } });
    await bench.advance(61);
    const row = await bench.show(id);
    expect(row).not.toHaveProperty('ports');
    expect(row['ssh_port']).toBeGreaterThan(1024);
    const ports = Object.entries(
      (await bench.show(open))['ports'] as Record<string, { HostPort: string }[]>,
    );
    const [name, [door]] = ports.find(([port]) => port !== '22/tcp') ?? ['', [{ HostPort: '' }]];
    expect(name).toBe(`${door?.HostPort ?? ''}/tcp`);
  });
});

describe('templates', () => {
  const template = {
    name: 'mine',
    image: 'pytorch/pytorch',
    tag: '2.4.0',
    env: `-e A=1 -e B="b c" -p 8080:8080 --gpus all`,
    onstart: 'echo from template',
    runtype: 'ssh',
    ssh_direct: true,
    recommended_disk_space: 40,
    docker_login_repo: 'registry.example.com',
    docker_login_user: 'u',
    docker_login_pass: 'p',
  };

  it('fill in what a create does not say, key by key for env; null is not said (vast.md 17.6, 11)', async () => {
    await using bench = openBench();
    const made = await bench.json('POST /api/v0/template/', template);
    const { hash_id } = made['template'] as Loose;
    const id = await bench.create({
      ...TOOL_BODY,
      image: null,
      onstart: null,
      disk: undefined,
      image_login: null,
      env: { A: '2' },
      runtype: undefined,
      template_hash_id: hash_id,
    });
    expect(await bench.show(id)).toMatchObject({
      image_uuid: 'pytorch/pytorch:2.4.0',
      onstart: 'echo from template',
      disk_space: 40,
      image_runtype: 'ssh_direc ssh_proxy',
      template_hash_id: hash_id,
      template_name: 'mine',
      extra_env: [
        ['A', '2'],
        ['B', 'b c'],
        ['-p 8080:8080', '1'],
      ],
    });
    const own = await bench.create({
      image: 'other',
      template_hash_id: hash_id,
      runtype: undefined,
    });
    expect(await bench.show(own)).toMatchObject({ image_uuid: 'other' });
  });

  it('of runtype args give no SSH (vast.md 16.7)', async () => {
    await using bench = openBench();
    const made = await bench.json('POST /api/v0/template/', {
      name: 'n',
      image: 'vllm/vllm-openai',
    });
    const { hash_id } = made['template'] as Loose;
    const id = await bench.create({
      image: undefined,
      runtype: undefined,
      template_hash_id: hash_id,
    });
    await bench.advance(61);
    expect(await bench.show(id)).toMatchObject({ image_runtype: 'args', ssh_host: null });
  });

  it('keep their id and change their hash; the same content is the same template (vast.md 11)', async () => {
    await using bench = openBench();
    const first = (await bench.json('POST /api/v0/template/', template))['template'] as Loose;
    expect(first['hash_id']).toMatch(/^[0-9a-f]{32}$/);
    expect((await bench.json('POST /api/v0/template/', template))['template']).toEqual(first);
    const edited = (
      await bench.json('PUT /api/v0/template/', { hash_id: first['hash_id'], onstart: 'x' })
    )['template'] as Loose;
    expect(edited['id']).toBe(first['id']);
    expect(edited['hash_id']).not.toBe(first['hash_id']);
    const find = async (filters: unknown) =>
      bench.json(
        `GET /api/v0/template/?select_cols=["*"]&select_filters=${encodeURIComponent(JSON.stringify(filters))}`,
      );
    expect(await find({ id: { eq: first['id'] } })).toMatchObject({
      success: true,
      templates_found: 1,
      templates: [{ hash_id: edited['hash_id'], docker_login_pass: '*****' }],
    });
    expect(await find({ name: { eq: 'PyTorch (Vast)' } })).toMatchObject({ templates_found: 1 });
    expect(await find({ secret: { eq: 1 } })).toMatchObject({ success: false });
    expect(
      await bench.raw('DELETE /api/v0/template/', { hash_id: edited['hash_id'] }),
    ).toMatchObject({ status: 400 });
    expect(await bench.json('DELETE /api/v0/template/', { template_id: first['id'] })).toEqual({
      success: true,
    });
    expect(await find({ id: { eq: first['id'] } })).toMatchObject({
      templates_found: 0,
      templates: [],
    });
  });
});
