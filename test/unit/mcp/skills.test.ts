import { describe, expect, it } from 'vitest';
import { splitFrontMatter } from '../../../src/mcp/skills.ts';

describe('front matter', () => {
  it.each([
    ['plain', 'description: Runs it.', 'Runs it.'],
    ['quoted', 'description: "Runs: it."', 'Runs: it.'],
    ['folded', 'description: >-\n  Runs\n  it.', 'Runs it.'],
    ['literal', 'description: |\n  Runs\n  it.', 'Runs\nit.'],
    ['over lines', 'description: Runs\n  it.', 'Runs it.'],
  ])('reads a %s text', (_kind, field, words) => {
    const { fields, body } = splitFrontMatter(`---\nname: x\n${field}\nlicense: MIT\n---\nBody\n`);
    expect(fields.get('description')).toBe(words);
    expect(fields.get('license')).toBe('MIT');
    expect(body).toBe('Body\n');
  });

  it('leaves a text without it alone, and takes any line ends', () => {
    expect(splitFrontMatter('# Hi\n').body).toBe('# Hi\n');
    const { fields, body } = splitFrontMatter('---\r\nname: x\r\n---\r\nBody');
    expect([fields.get('name'), body]).toEqual(['x', 'Body']);
  });

  it('does not take nested keys for its own', () => {
    const { fields } = splitFrontMatter('---\nmetadata:\n  name: y\nname: x\n---\n');
    expect(fields.get('name')).toBe('x');
  });
});
