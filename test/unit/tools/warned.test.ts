import { describe, expect, it } from 'vitest';
import { withWarnings } from '../../../src/tools/warned.ts';

const asked: string[][] = [];
const saying = (...said: string[]) => ({
  warnings: async (ids: readonly string[]) => {
    asked.push([...ids]);
    return Promise.resolve(said);
  },
});

describe('a result that touches a pod [CO-03]', () => {
  it('says in its summary which budgets are nearly spent', async () => {
    const output = { summary: 'Done.', next: [], pod: { podId: 'vast:1' } };
    expect(await withWarnings(output, {}, saying('Budget: a.', 'Budget: b.'))).toEqual({
      ...output,
      summary: 'Done. Budget: a. Budget: b.',
    });
    expect(output.summary).toBe('Done.');
  });

  it.each([
    ['its argument', { podId: 'vast:1', localPath: 'x' }, {}, ['vast:1']],
    ['a job', { jobId: 'job_a' }, { jobId: 'job_a', podId: 'vast:1' }, ['job_a', 'vast:1']],
    ['a session', { sessionId: 'ses_a' }, {}, ['ses_a']],
    ['a pod', {}, { pod: { podId: 'vast:1' } }, ['vast:1']],
    [
      'pods of a list',
      {},
      { pods: [{ podId: 'vast:1' }, {}, 7, { podId: 'vast:2' }] },
      ['vast:1', 'vast:2'],
    ],
    ['none', { gpu: ['A100'] }, { offers: [], podId: 9, pods: 'no' }, []],
  ])('is known by %s', async (_what, input, output, ids) => {
    asked.length = 0;
    await withWarnings({ summary: '.', ...output }, input, saying());
    expect(asked).toEqual([ids]);
  });

  it('stays as it is where nothing is to be said, or nobody knows', async () => {
    const output = { summary: 'Done.' };
    expect(await withWarnings(output, {}, saying())).toBe(output);
    expect(await withWarnings(output, {}, {})).toBe(output);
  });

  it('does not drown in them', async () => {
    const said = Array.from({ length: 9 }, (_, index) => `Budget: ${index}.`);
    const { summary } = await withWarnings({ summary: 'Done.' }, {}, saying(...said));
    expect(summary).toBe('Done. Budget: 0. Budget: 1. Budget: 2. 6 more warnings like these.');
  });
});
