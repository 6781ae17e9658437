import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { TOOLS } from '../../../src/tools/index.ts';

export const skillsFolder = path.resolve(import.meta.dirname, '../../../skills');

export interface MarkdownFile {
  /** Relative to the skills folder. */
  readonly file: string;
  readonly text: string;
}

export const skillNames = readdirSync(skillsFolder).sort();
export const markdownFiles: readonly MarkdownFile[] = readdirSync(skillsFolder, {
  recursive: true,
  encoding: 'utf8',
})
  .filter((file) => file.endsWith('.md'))
  .sort()
  .map((file) => ({ file, text: readFileSync(path.join(skillsFolder, file), 'utf8') }));

/** The common fields of Agent Skills, nothing else. */
export const frontMatterSchema = z.strictObject({
  name: z
    .string()
    .max(64)
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  description: z.string().min(100).max(1024),
  license: z.literal('MIT'),
  compatibility: z.string().max(500),
  metadata: z.strictObject({
    version: z.string().regex(/^\d+\.\d+\.\d+$/),
    verified: z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/),
  }),
});

/** `key: value` lines, values plain or in double quotes, one level of nesting: the YAML that our skills keep to. */
export function frontMatterOf(text: string): unknown {
  const block = /^---\n([^]*?)\n---\n/.exec(text)?.[1];
  if (block === undefined) throw new Error('no front matter');
  const top: Record<string, unknown> = {};
  let into = top;
  for (const line of block.split('\n')) {
    const [, indent = '', key = '', value = ''] = /^( *)([a-z-]+): ?(.*)$/.exec(line) ?? [];
    if (key === '') throw new Error(`not a "key: value" line: ${line}`);
    if (indent === '') into = top;
    if (value === '') {
      const nested: Record<string, unknown> = {};
      top[key] = nested;
      into = nested;
    } else into[key] = value.startsWith('"') ? z.string().parse(JSON.parse(value)) : value;
  }
  return top;
}

/** Relative links of a markdown text, without anchors. */
export function linksOf(text: string): readonly string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.replace(/#.*$/, ''))
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** Everything in backticks or in code blocks. */
export function codeOf(text: string): readonly string[] {
  const blocks = [...text.matchAll(/```[a-z]*\n([^]*?)```/g)].map(([, body = '']) => body);
  const spans = [...text.replace(/```[^]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, body = '']) => body,
  );
  return [...blocks.flatMap((block) => block.split('\n')), ...spans].filter(
    (code) => code.trim() !== '',
  );
}

export interface Call {
  readonly tool: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** `tool {parameter: value, …}`: the way our skills write a call. Undefined for other code; throws for a broken call. */
export function callOf(code: string): Call | undefined {
  const [, tool = '', body = ''] = /^([a-z_]+) (\{.*\})$/.exec(code.trim()) ?? [];
  if (tool === '') return undefined;
  const json = body.replace(/([{,]\s*)([a-zA-Z]+):/g, '$1"$2":');
  return { tool, parameters: z.record(z.string(), z.unknown()).parse(JSON.parse(json)) };
}

/** Every name and every fixed word of the tools' schemas: parameters, results, enum values. */
export function vocabulary(): ReadonlySet<string> {
  const words = new Set(TOOLS.map(({ name }) => name));
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (typeof node === 'object' && node !== null)
      for (const [key, value] of Object.entries(node)) {
        if (key === 'properties' && typeof value === 'object' && value !== null)
          for (const name of Object.keys(value as object)) words.add(name);
        if (key === 'enum' && Array.isArray(value))
          for (const word of value) words.add(String(word));
        visit(value);
      }
  };
  for (const { input, output } of TOOLS) {
    visit(z.toJSONSchema(input, { io: 'input' }));
    visit(z.toJSONSchema(output));
  }
  return words;
}
