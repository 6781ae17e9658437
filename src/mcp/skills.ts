import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface Skill {
  readonly name: string;
  readonly description: string;
  /** SKILL.md without its front matter. */
  readonly body: string;
}
export interface SkillFile {
  readonly uri: string;
  readonly name: string;
  readonly description?: string | undefined;
  readonly text: string;
}
export interface Skills {
  list(): Promise<readonly Skill[]>;
  files(): Promise<readonly SkillFile[]>;
}

const NAME = /^[a-z0-9-]{1,64}$/;

/** The skills that ship with the package. Read on first use and kept; a folder that is not there holds none. */
export function createSkills(folder: string): Skills {
  let loaded: Promise<readonly (readonly [Skill, readonly SkillFile[]])[]> | undefined;
  const load = async () => (loaded ??= readSkills(folder));
  return {
    list: async () => (await load()).map(([skill]) => skill),
    files: async () => (await load()).flatMap(([, files]) => files),
  };
}

async function readSkills(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
    .map((entry) => entry.name)
    .toSorted();
  const skills = await Promise.all(names.map(async (name) => readSkill(folder, name)));
  return skills.filter((skill) => skill !== undefined);
}

async function readSkill(
  folder: string,
  name: string,
): Promise<readonly [Skill, readonly SkillFile[]] | undefined> {
  const root = path.join(folder, name);
  const source = await readFile(path.join(root, 'SKILL.md'), 'utf8').catch(() => undefined);
  if (source === undefined) return undefined;
  const { fields, body } = splitFrontMatter(source);
  const description = fields.get('description') ?? '';
  const relative = (await readdir(root, { recursive: true, encoding: 'utf8' }))
    .filter((file) => file.endsWith('.md'))
    .map((file) => file.split(path.sep).join('/'))
    .toSorted();
  const files = await Promise.all(
    relative.map(async (file) => ({
      uri: `skill://${name}/${file}`,
      name: `${name}/${file}`,
      ...(file === 'SKILL.md' ? { description } : {}),
      text: await readFile(path.join(root, file), 'utf8'),
    })),
  );
  return [{ name: fields.get('name') ?? name, description, body }, files];
}

/** The top-level scalars of YAML front matter: plain, quoted, folded and literal. Enough for Agent Skills. */
export function splitFrontMatter(source: string): {
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
} {
  const match = /^---\r?\n([\s\S]*?)\r?\n---\r?\n?/.exec(source);
  const fields = new Map<string, string>();
  if (match === null) return { fields, body: source };
  const head = (match[1] ?? '').split(/\r?\n/);
  for (let index = 0; index < head.length; index += 1) {
    const field = /^([A-Za-z][\w-]*):\s*(.*)$/.exec(head[index] ?? '');
    if (field === null) continue;
    const [, name = '', first = ''] = field;
    const more: string[] = [];
    while (/^\s+\S/.test(head[index + 1] ?? '')) {
      more.push((head[index + 1] ?? '').trim());
      index += 1;
    }
    const start = /^[>|][+-]?$/.test(first.trim()) ? [] : [first.trim()];
    fields.set(name, unquoted([...start, ...more].join(first.startsWith('|') ? '\n' : ' ')));
  }
  return { fields, body: source.slice(match[0].length) };
}

const unquoted = (value: string): string => /^(["'])(.*)\1$/s.exec(value)?.[2] ?? value;
