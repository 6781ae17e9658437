import { afterEach, describe, expect, it } from 'vitest';
import { type Bench, type Loose, ORDER, openBench, RTX_4090 } from './bench.ts';

describe('the GraphQL of the fake RunPod', () => {
  let bench: Bench;
  afterEach(async () => bench[Symbol.asyncDispose]());

  it('answers without an errors key on success, and the catalogue without a key (runpod.md 2.1, 3.1)', async () => {
    bench = openBench();
    const answer = await bench.graphql(
      '{ gpuTypes { id displayName lowestPrice(input: { gpuCount: 1, secureCloud: true }) { stockStatus uninterruptablePrice } } dataCenters { id storageSupport listed } }',
      {},
      null,
    );
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(['data']);
    const types = answer.data?.['gpuTypes'] as Loose[];
    expect(types.find(({ id }) => id === RTX_4090)).toMatchObject({
      displayName: 'RTX 4090',
      lowestPrice: { stockStatus: expect.any(String) as unknown, uninterruptablePrice: 0.69 },
    });
    // A sentinel that nobody can rent stands in the real list too (4.8).
    expect(types.at(-1)).toMatchObject({ id: 'unknown' });
  });

  it.each([
    [
      '{ pod(input: { podId: "x" }) { runtime { sshCommand } } }',
      'Cannot query field "sshCommand" on type "PodRuntime".',
    ],
    ['{ myself { nope } }', 'Cannot query field "nope" on type "User".'],
    [
      'mutation { podTerminate(input: { podId: "x" }) { id } }',
      'Field "podTerminate" must not have a selection since type "Void" has no subfields.',
    ],
    [
      'mutation { podResume(input: { podId: "x", allowedCudaVersions: ["12.8"] }) { id } }',
      'Field "allowedCudaVersions" is not defined by type "PodResumeInput".',
    ],
  ])('refuses %s with 400 before anything is done (runpod.md 3.1)', async (query, message) => {
    bench = openBench();
    const { status, errors, body } = await bench.graphql(query);
    expect(status).toBe(400);
    expect(body).not.toHaveProperty('data');
    expect(errors?.[0]).toMatchObject({
      message,
      extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
    });
  });

  it('refuses an unknown key of a variable with the words of graphql-js (runpod.md 3.1)', async () => {
    bench = openBench();
    const { status, errors } = await bench.graphql(
      'mutation Deploy($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id } }',
      { input: { ...ORDER, objectMounts: [] } },
    );
    expect(status).toBe(400);
    expect(errors?.[0]?.message).toMatch(
      /^Variable "\$input" got invalid value .*; Field "objectMounts" is not defined by type "PodFindAndDeployOnDemandInput"\./,
    );
    expect(bench.cloud.pods.size).toBe(0);
  });

  it('allows no introspection and every __typename (runpod.md 3.1)', async () => {
    bench = openBench();
    const { status, errors } = await bench.graphql('{ __schema { types { name } } }');
    expect(status).toBe(400);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('introspection is not allowed by Apollo Server') as unknown,
      extensions: {
        code: 'GRAPHQL_VALIDATION_FAILED',
        validationErrorCode: 'INTROSPECTION_DISABLED',
      },
    });
    expect((await bench.graphql('{ myself { __typename } }')).data).toEqual({
      myself: { __typename: 'User' },
    });
  });

  it('tells a missing, a wrong, a narrow and a pod key apart (runpod.md 2.2, 6)', async () => {
    bench = openBench();
    const nobody = await bench.graphql('{ myself { id } }', {}, null);
    expect([nobody.status, nobody.body]).toEqual([200, { data: { myself: null } }]);
    expect((await bench.graphql('{ myself { id } }', {}, 'rpa_WRONG')).status).toBe(401);

    const id = await bench.create();
    const own = bench.cloud.pods.get(id)?.apiKey ?? '';
    const scoped = await bench.graphql('{ myself { id } }', {}, own);
    expect(scoped.status).toBe(200);
    expect(scoped.body).toMatchObject({
      data: { myself: null },
      errors: [{ message: 'Unauthorized', path: ['myself'], extensions: { code: 'RUNPOD' } }],
    });
    const read = bench.cloud.addApiKey({ graphql: 'read', rest: 'read' });
    const stop = `mutation { podStop(input: { podId: "${id}" }) { id } }`;
    expect((await bench.graphql(stop, {}, read)).errors?.[0]?.message).toBe('Unauthorized');
    // A pod ends itself with the key that was put into it.
    const end = `mutation { podTerminate(input: { podId: "${id}" }) }`;
    expect((await bench.graphql(end, {}, own)).body).toEqual({ data: { podTerminate: null } });
    expect(await bench.pod(id)).toBeNull();
    const again = await bench.graphql(end);
    expect(again.errors?.[0]).toMatchObject({
      message: 'pod not found to terminate',
      extensions: { code: 'POD_NOT_FOUND' },
    });
  });

  it('says no capacity with its code, and serves the other cloud (runpod.md 3.1, 17.1.8)', async () => {
    bench = openBench();
    bench.cloud.setStock({ gpuTypeId: RTX_4090, cloud: 'COMMUNITY' }, 0);
    const deploy = async (cloudType: string) =>
      bench.graphql(
        'mutation Deploy($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id } }',
        { input: { ...ORDER, cloudType } },
      );
    const none = await deploy('COMMUNITY');
    expect(none.status).toBe(200);
    expect(none.body).toMatchObject({
      data: { podFindAndDeployOnDemand: null },
      errors: [
        {
          message:
            'There are no longer any instances available with the requested specifications. Please refresh and try again.',
          extensions: { code: 'SUPPLY_CONSTRAINT' },
        },
      ],
    });
    expect((await deploy('SECURE')).errors).toBeUndefined();
  });

  it('needs an hour of money, and a disk beside a template (runpod.md 4.4, 7)', async () => {
    bench = openBench({ creditUsd: 0.5 });
    await expect(bench.create()).rejects.toThrow(/INSUFFICIENT_BALANCE/);
    bench.cloud.addCredit(50);
    await expect(
      bench.create({ templateId: 'runpod-torch-v280', containerDiskInGb: null }),
    ).rejects.toThrow(/not enough disk space/);
    await expect(bench.create({ templateId: 'nobodys' })).rejects.toThrow(/template not found/);
    expect(bench.cloud.pods.size).toBe(0);
  });

  it('merges the variables of a template one by one and injects the account keys only where none is set (runpod.md 5.3)', async () => {
    bench = openBench();
    await bench.graphql(
      'mutation($k: String!) { updateUserSettings(input: { pubKey: $k }) { id } }',
      {
        k: 'ssh-ed25519 AAAA a\n\nssh-ed25519 BBBB b',
      },
    );
    const made = await bench.graphql(
      'mutation($input: SaveTemplateInput!) { saveTemplate(input: $input) { id } }',
      {
        input: {
          name: 'mine',
          imageName: 'runpod/base:1',
          containerDiskInGb: 10,
          volumeInGb: 0,
          dockerArgs: '',
          startJupyter: false,
          env: [
            { key: 'A', value: '1' },
            { key: 'B', value: 'x=y' },
          ],
        },
      },
    );
    const templateId = (made.data?.['saveTemplate'] as Loose)['id'];
    const id = await bench.create({ templateId, imageName: null, env: [{ key: 'A', value: '2' }] });
    expect((await bench.pod(id))?.['env']).toEqual([
      'A=2',
      'B=x=y',
      'PUBLIC_KEY=ssh-ed25519 AAAA a\nssh-ed25519 BBBB b',
    ]);
    const own = await bench.create({ env: [{ key: 'PUBLIC_KEY', value: 'ssh-ed25519 CCCC c' }] });
    expect((await bench.pod(own))?.['env']).toEqual(['PUBLIC_KEY=ssh-ed25519 CCCC c']);
    // In use, and a while longer.
    const drop = 'mutation { deleteTemplate(templateName: "mine") }';
    expect((await bench.graphql(drop)).errors?.[0]?.message).toMatch(/in use/);
    await bench.graphql(`mutation { podTerminate(input: { podId: "${id}" }) }`);
    expect((await bench.graphql(drop)).errors?.[0]?.message).toMatch(/in use/);
    await bench.clock.advance(121);
    expect((await bench.graphql(drop)).body).toEqual({ data: { deleteTemplate: null } });
  });
});
