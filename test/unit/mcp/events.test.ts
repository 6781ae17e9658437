import { describe, expect, it } from 'vitest';
import { finished } from '../../../src/mcp/events.ts';
import { TOOLS } from '../../../src/tools/index.ts';

const kinds = (name: string, output: Record<string, unknown>): string[] => {
  const tool = TOOLS.find((each) => each.name === name);
  if (tool === undefined) throw new Error(`There is no ${name}.`);
  const events = finished(tool, { summary: 'What happened.', ...output });
  for (const event of events)
    expect(event).toMatchObject({ message: 'What happened.', stage: name });
  return events.map(({ kind }) => kind);
};

describe('what a person hears of the end of a call [PG-01, PG-07]', () => {
  it.each([
    ['create_pod', { status: 'ready' }, ['milestone', 'completed']],
    ['create_pod', { status: 'needs_confirmation' }, ['needs_input', 'completed']],
    ['create_pod', { status: 'failed' }, ['warning', 'completed']],
    ['get_pod', { reached: true }, ['milestone', 'completed']],
    ['get_pod', { reached: false }, ['completed']],
    ['sync_files', { dryRun: false }, ['milestone', 'completed']],
    ['sync_files', { dryRun: true }, ['completed']],
    ['job_wait', { status: 'running' }, ['completed']],
    ['job_wait', { status: 'completed' }, ['milestone', 'completed']],
    ['job_wait', { status: 'failed' }, ['warning', 'completed']],
    ['destroy', { outcome: 'gone' }, ['milestone', 'completed']],
    ['destroy', { outcome: 'blocked' }, ['warning', 'completed']],
    ['destroy', { outcome: 'unknown' }, ['warning', 'completed']],
    ['session_write', {}, ['completed']],
    ['session_read', {}, ['completed']],
  ])('%s %j: %j', (name, output, expected) => {
    expect(kinds(name, output)).toEqual(expected);
  });

  it('questions, warnings and milestones have no slot: nothing that follows replaces them [PG-03]', () => {
    const [tool] = TOOLS;
    if (tool === undefined) throw new Error('There are no tools.');
    for (const output of [{ status: 'needs_confirmation' }, { outcome: 'present' }])
      expect(finished(tool, output)[0]).not.toHaveProperty('slot');
  });
});
