import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, PEERS } from '../support/mcp-clients.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-skills-'));
  await mkdir(path.join(folder, 'run-it', 'references'), { recursive: true });
  await mkdir(path.join(folder, 'Not a skill'));
  await mkdir(path.join(folder, 'empty'));
  await writeFile(
    path.join(folder, 'run-it', 'SKILL.md'),
    '---\nname: run-it\ndescription: >-\n  Runs it.\n  Use when asked.\n---\n# Run it\n\nCall find_offer.\n',
  );
  await writeFile(path.join(folder, 'run-it', 'references', 'more.md'), '# More\n');
  await writeFile(path.join(folder, 'secret.md'), 'outside');
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

describe.each(PEERS)('skills for a %s client', (peer) => {
  it('are prompts', async () => {
    await using client = await inProcess(peer, { skillsFolder: folder });
    expect((await client.client.listPrompts()).prompts).toEqual([
      { name: 'run-it', description: 'Runs it. Use when asked.' },
    ]);
    const prompt = await client.client.getPrompt({ name: 'run-it' });
    expect(prompt.messages).toEqual([
      { role: 'user', content: { type: 'text', text: '# Run it\n\nCall find_offer.\n' } },
    ]);
    await expect(client.client.getPrompt({ name: 'other' })).rejects.toMatchObject({
      code: -32602,
    });
  });

  it('are resources, and nothing else of the disk is', async () => {
    await using client = await inProcess(peer, { skillsFolder: folder });
    const { resources } = await client.client.listResources();
    expect(resources.map(({ uri }: { uri: string }) => uri)).toEqual([
      'skill://run-it/SKILL.md',
      'skill://run-it/references/more.md',
    ]);
    const read = await client.client.readResource({ uri: 'skill://run-it/references/more.md' });
    expect(read.contents).toMatchObject([{ mimeType: 'text/markdown', text: '# More\n' }]);
    for (const uri of ['skill://run-it/../secret.md', 'file:///etc/passwd', 'skill://secret.md'])
      await expect(client.client.readResource({ uri })).rejects.toThrow(/not found/i);
  });

  it('may be missing altogether', async () => {
    await using client = await inProcess(peer);
    expect((await client.client.listPrompts()).prompts).toEqual([]);
    expect((await client.client.listResources()).resources).toEqual([]);
  });
});

it('are not read before somebody asks', async () => {
  const late = path.join(folder, 'late');
  await using client = await inProcess('v1', { skillsFolder: late });
  await client.tools();
  await mkdir(path.join(late, 'new-one'), { recursive: true });
  await writeFile(path.join(late, 'new-one', 'SKILL.md'), '---\nname: new-one\n---\nHi.\n');
  expect((await client.client.listPrompts()).prompts).toMatchObject([{ name: 'new-one' }]);
});
