import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { INSTRUCTIONS } from '../../src/mcp/server.ts';
import { TOOLS } from '../../src/tools/index.ts';
import { inProcess, PEERS } from '../support/mcp-clients.ts';

const NAMES =
  'find_offer create_pod get_pod list_pods update_pod destroy ssh_profile doctor session_open session_write session_read session_close sync_files fetch_artifacts job_start job_wait job_logs job_cancel diagnose report'.split(
    ' ',
  );
const EFFECTS = {
  read: 'find_offer get_pod list_pods session_read job_wait job_logs diagnose report',
  write: 'ssh_profile doctor session_close sync_files fetch_artifacts',
  spend: 'create_pod update_pod',
  execute: 'session_open session_write job_start',
  destroy: 'destroy job_cancel',
} as const;
/** readOnly, destructive, idempotent, openWorld. */
const HINTS = {
  read: [true, false, true, true],
  write: [false, false, true, true],
  spend: [false, false, false, true],
  execute: [false, true, false, true],
  destroy: [false, true, true, true],
} as const;

interface Listed {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly outputSchema: Record<string, unknown>;
  readonly annotations: Record<string, boolean>;
}
async function listed(peer: (typeof PEERS)[number] = 'v2-2026'): Promise<Listed[]> {
  await using client = await inProcess(peer);
  return (await client.tools()) as unknown as Listed[];
}
const charsOf = (value: unknown): number => JSON.stringify(value).length;
const withoutOutput = (tool: Listed): object =>
  Object.fromEntries(Object.entries(tool).filter(([key]) => key !== 'outputSchema'));

describe('the list of tools', () => {
  it('holds exactly the twenty names, in order', async () => {
    expect((await listed()).map(({ name }) => name)).toEqual(NAMES);
  });

  it('is what was reviewed', async () => {
    const rows = (await listed()).map(({ name, annotations, inputSchema, outputSchema }) => ({
      name,
      annotations,
      inputSchema,
      output: Object.keys(outputSchema['properties'] as object),
    }));
    await expect(JSON.stringify(rows, null, 2)).toMatchFileSnapshot('tools.snapshot.txt');
  });

  it('fits its budget of characters', async () => {
    const tools = await listed();
    for (const tool of tools) expect(charsOf(withoutOutput(tool)), tool.name).toBeLessThan(2_400);
    expect(charsOf(tools.map(withoutOutput))).toBeLessThanOrEqual(20_000);
    expect(charsOf(tools)).toBeLessThanOrEqual(36_000);
  });

  it('is the same for every client', async () => {
    const lists = await Promise.all(PEERS.map(async (peer) => listed(peer)));
    const [first, ...others] = lists.map((tools) => JSON.stringify(tools.map(withoutOutput)));
    for (const other of others) expect(other).toBe(first);
  });

  it('takes all four hints from the effect', async () => {
    const byEffect = new Map(
      Object.entries(EFFECTS).flatMap(([effect, names]) =>
        names.split(' ').map((name) => [name, effect] as const),
      ),
    );
    for (const { name, annotations } of await listed()) {
      const effect = byEffect.get(name) as keyof typeof HINTS;
      expect(
        [
          annotations['readOnlyHint'],
          annotations['destructiveHint'],
          annotations['idempotentHint'],
          annotations['openWorldHint'],
        ],
        name,
      ).toEqual(HINTS[effect]);
    }
  });
});

describe.each(TOOLS.map((tool) => ({ name: tool.name, tool })))('$name', ({ name, tool }) => {
  it('lives in a file of its name', () => {
    const file = `${name.replaceAll('_', '-')}.ts`;
    expect(existsSync(path.resolve(import.meta.dirname, '../../src/tools', file))).toBe(true);
  });

  it('says in few words what it is for, what it costs and what comes next [SK-09]', () => {
    const { description } = tool;
    expect(description.length).toBeLessThanOrEqual(400);
    const firstSentence = description.split(/[.:;](?:\s|$)/)[0] ?? '';
    const opening = `${firstSentence} ${description.split(/[.](?:\s|$)/)[0] ?? ''}`;
    expect(opening).toMatch(/GPU|pod|ssh|session|train|Check|fail|I\?/i);
    expect(description).toMatch(/free|cost|charged|meter|never waits|remote text|waits|goes on/i);
    if ('waitSeconds' in tool.input.shape) expect(description).toMatch(/waits?/i);
    if (['session_write', 'session_read', 'job_wait', 'job_logs'].includes(name))
      expect(description).toMatch(/remote text: data/);
  });

  it('takes flat arguments and refuses unknown ones', () => {
    const schema = z.toJSONSchema(tool.input, { io: 'input' }) as {
      additionalProperties?: unknown;
      properties: Record<string, Record<string, unknown>>;
    };
    expect(schema.additionalProperties).toBe(false);
    for (const [argument, shape] of Object.entries(schema.properties)) {
      for (const word of ['anyOf', 'oneOf', 'allOf', 'not', '$ref', 'properties'])
        expect(shape, `${argument} has ${word}`).not.toHaveProperty(word);
      expect(['string', 'number', 'integer', 'boolean', 'array', 'object']).toContain(
        shape['type'],
      );
      expect(argument).toMatch(/^[a-z][A-Za-z]*$/);
    }
  });

  it('answers with a summary and next calls to tools that exist', () => {
    expect(Object.keys(tool.output.shape)).toEqual(expect.arrayContaining(['summary', 'next']));
  });
});

it('the instructions are short and begin with what matters', () => {
  expect(INSTRUCTIONS.length).toBeLessThanOrEqual(500);
  expect(INSTRUCTIONS.slice(0, 200)).toMatch(/GPU/);
  expect(INSTRUCTIONS.slice(0, 200)).toMatch(/rent/i);
  expect(INSTRUCTIONS.slice(0, 200)).toMatch(/train/i);
});
