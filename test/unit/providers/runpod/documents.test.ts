import { buildSchema, getIntrospectionQuery, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import * as documents from '../../../../src/providers/runpod/documents.ts';
import { READS } from '../../../../src/sandbox/runpod/graphql/schema-reads.ts';
import { WRITES } from '../../../../src/sandbox/runpod/graphql/schema-writes.ts';

const schema = buildSchema(`${READS}\n${WRITES}`);

describe('what RunPod is asked over GraphQL', () => {
  it.each(Object.entries(documents))('%s has no field that RunPod does not know', (_name, text) => {
    expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([]);
  });

  it('never asks for the schema (runpod.md 3.1)', () => {
    for (const text of Object.values(documents)) expect(text).not.toMatch(/__schema|__type\b/);
    expect(getIntrospectionQuery()).toMatch(/__schema/);
  });

  it('a field that exists nowhere would be found', () => {
    const asked = parse('{ pod(input: { podId: "x" }) { runtime { sshCommand } } }');
    expect(validate(schema, asked).map(({ message }) => message)).toEqual([
      'Cannot query field "sshCommand" on type "PodRuntime".',
    ]);
  });

  it('every operation has one name', () => {
    const names = Object.values(documents).map(
      (text) => /^(?:query|mutation) (\w+)/.exec(text)?.[1],
    );
    expect(names).not.toContain(undefined);
    expect(new Set(names).size).toBe(names.length);
  });
});
