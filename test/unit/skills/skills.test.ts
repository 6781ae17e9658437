import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../../src/core/errors.ts';
import { createSkills } from '../../../src/mcp/skills.ts';
import { VAST_QUERY_FIELDS } from '../../../src/providers/vast/offers/fields.ts';
import { parseVastQuery } from '../../../src/providers/vast/offers/query.ts';
import { TOOLS } from '../../../src/tools/index.ts';
import {
  callOf,
  codeOf,
  frontMatterOf,
  frontMatterSchema,
  linksOf,
  markdownFiles,
  skillNames,
  skillsFolder,
  vocabulary,
} from './skill-file.ts';

const version = (
  JSON.parse(readFileSync(path.join(skillsFolder, '../package.json'), 'utf8')) as {
    version: string;
  }
).version;
const textOf = (file: string): string => readFileSync(path.join(skillsFolder, file), 'utf8');

describe.each(skillNames)('skill %s', (name) => {
  const text = textOf(path.join(name, 'SKILL.md'));
  const front = frontMatterSchema.parse(frontMatterOf(text));

  it('has the front matter of Agent Skills, with version and verified month [SK-01]', () => {
    expect(front.name).toBe(name);
    expect(front.metadata.version).toBe(version);
    expect(front.description).toMatch(/\bUse (when|for)\b/);
  });

  it('is short enough to be read whole', () => {
    expect(text.split('\n').length).toBeLessThan(500);
    expect(text.length).toBeLessThan(20_000);
  });

  it('reaches each of its files within two links [SK-02]', () => {
    const reached = new Set([`${name}/SKILL.md`]);
    for (let hop = 0; hop < 2; hop += 1)
      for (const file of [...reached])
        for (const link of linksOf(textOf(file))) reached.add(path.join(path.dirname(file), link));
    const files = markdownFiles
      .map(({ file }) => file)
      .filter((file) => file.startsWith(`${name}/`));
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });
});

describe.each(markdownFiles)('$file', ({ file, text }) => {
  it('has only links that resolve inside its own skill [SK-01]', () => {
    const folder = path.join(skillsFolder, file.split(path.sep)[0] ?? '');
    for (const link of linksOf(text)) {
      const target = path.resolve(skillsFolder, path.dirname(file), link);
      expect(existsSync(target), link).toBe(true);
      expect(target.startsWith(folder + path.sep), link).toBe(true);
    }
  });

  it('calls only tools that exist, with arguments that their schemas accept', () => {
    for (const code of codeOf(text)) {
      const call = callOf(code);
      if (call === undefined) continue;
      const tool = TOOLS.find(({ name }) => name === call.tool);
      expect(tool, code).toBeDefined();
      // Ids in the text end in an ellipsis, so that nobody takes them for real ones.
      const parameters = JSON.parse(
        JSON.stringify(call.parameters).replaceAll('…', 'aaaaaa'),
      ) as object;
      const parsed = tool?.input.safeParse(parameters);
      expect(parsed?.error?.issues ?? [], code).toEqual([]);
    }
  });

  it('uses only words of the tools where it writes them as code', () => {
    const known = new Set([...vocabulary(), ...ERROR_CODES, ...skillNames]);
    const words = codeOf(text)
      .flatMap((code) => code.split(/[^A-Za-z_-]+/))
      .filter((word) => /^[a-z]+(_[a-z]+)+$/.test(word) || /^[a-z]+([A-Z][a-z]+)+$/.test(word));
    const foreign = new Set(['is_available', 'id_ed', 'actual_status', ...VAST_QUERY_FIELDS]);
    expect(words.filter((word) => !known.has(word) && !foreign.has(word))).toEqual([]);
  });
});

it.each(['run-gpu-job', 'rent-on-vast'])('%s has eleven phases, each closed by a gate', (name) => {
  const text = textOf(`${name}/SKILL.md`);
  const phases = text.split(/^## /m).slice(1);
  expect(phases.map((phase) => /^\d+/.exec(phase)?.[0])).toEqual(
    Array.from({ length: 11 }, (_, index) => String(index + 1)),
  );
  for (const phase of phases) expect(phase).toMatch(/^Gate: /m);
});

it('every Vast query in the skills can be read', () => {
  const queries = markdownFiles.flatMap(({ text }) =>
    codeOf(text).flatMap((code) => {
      const query = callOf(code)?.parameters['vastQuery'];
      return typeof query === 'string' ? [query] : [];
    }),
  );
  expect(queries.length).toBeGreaterThan(2);
  for (const query of queries) expect(() => parseVastQuery(query), query).not.toThrow();
});

/** What the official tool has: each is answered with a call, or with why it is not offered. */
const VASTAI =
  'search offers|launch instance|create instance|show instances|show instance|start instance|stop instance|reboot instance|recycle instance|start instances|stop instances|label instance|change bid|update template|prepay instance|logs|destroy instance|destroy instances|ssh-url|scp-url|copy|execute|take snapshot|show ssh-keys|create ssh-key|attach ssh|detach ssh|delete ssh-key|search templates|create template|delete template|search volumes|create volume|show volumes|delete volume|clone volume|show user|show deposit|show invoices|create env-var|show env-vars|set api-key|create api-key|report machine'.split(
    '|',
  );
const OPTIONS =
  '--storage --limit --raw --image --disk --ssh --direct --jupyter --jupyter-dir --jupyter-lab --label --onstart --onstart-cmd --entrypoint --args --env --login --bid_price --price --template_hash --template_id --create-volume --link-volume --volume-size --volume-label --mount-path --cancel-unavail --force --user --tail --filter --daemon-logs -o -i -b -r -n -y --type=bid --type=reserved'.split(
    ' ',
  );
it('rent-on-vast knows each command and option of vastai, and leads each somewhere', () => {
  const rows = textOf('rent-on-vast/references/vastai-commands.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (?:the user knows|---)/.test(line))
    .map((line) => line.replaceAll('\\|', '/').split(' | '));
  const known = rows.map(([left = '']) => left).join('\n');
  const isKnown = (name: string): boolean =>
    new RegExp(`(?:^|[\`\\s])${name}(?=[\\s\`'=,]|$)`, 'm').test(known);
  expect(VASTAI.filter((command) => !isKnown(`vastai ${command}`))).toEqual([]);
  expect(OPTIONS.filter((option) => !isKnown(option))).toEqual([]);
  const tools = new RegExp(`\`(?:${TOOLS.map(({ name }) => name).join('|')})\\b`);
  for (const [left = '', right = ''] of rows)
    expect(
      tools.test(right) ||
        /not offered|always|already|one call each|the user sets|done |by name|nobody needs|a session/.test(
          right,
        ),
      left,
    ).toBe(true);
});

it('remote-training goes from phase -1 to 6 with a gate each', () => {
  const phases = textOf('remote-training/SKILL.md').split(/^## /m).slice(1);
  expect(phases.map((phase) => /^−?\d/.exec(phase)?.[0])).toEqual([
    '−1',
    '0',
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
  ]);
  for (const phase of phases) expect(phase).toMatch(/^Gate: /m);
});

it('the server offers each skill as it is written, references included [SK-01]', async () => {
  const skills = createSkills(skillsFolder);
  const offered = await skills.list();
  expect(offered.map(({ name }) => name)).toEqual(skillNames);
  for (const { name, description, body } of offered) {
    const text = textOf(path.join(name, 'SKILL.md'));
    expect(description).toBe(frontMatterSchema.parse(frontMatterOf(text)).description);
    expect(text.endsWith(body)).toBe(true);
  }
  const files = await skills.files();
  expect(files.map(({ uri }) => uri).toSorted()).toEqual(
    markdownFiles.map(({ file }) => `skill://${file.split(path.sep).join('/')}`).toSorted(),
  );
});

it('the final reply of use-my-pod has thirteen fields, each explained once', () => {
  const template = /```text\n([^]*?)```/.exec(textOf('use-my-pod/SKILL.md'))?.[1] ?? '';
  const fields = [...template.matchAll(/^([a-z ]+):/gm)].map(([, field]) => field);
  const table = textOf('use-my-pod/references/final-reply.md').matchAll(/^\| ([a-z ]+) \|/gm);
  const explained = [...table].map(([, field]) => field).filter((field) => field !== 'field');
  expect(fields).toHaveLength(13);
  expect(explained).toEqual(fields);
});

it('no heading stands in two files: a rule has one home [SK-11]', () => {
  const seen = new Map<string, string>();
  for (const { file, text } of markdownFiles)
    for (const [, heading = ''] of text.matchAll(/^#+ ([^−\d].+)$/gm)) {
      expect(seen.get(heading), `${heading} in ${file}`).toBeUndefined();
      seen.set(heading, file);
    }
});

describe('the checks themselves', () => {
  it('read calls, and see a wrong tool or parameter', () => {
    expect(callOf('job_wait {jobId: "job_x", waitSeconds: 5}')).toEqual({
      tool: 'job_wait',
      parameters: { jobId: 'job_x', waitSeconds: 5 },
    });
    expect(callOf('nvidia-smi -L')).toBeUndefined();
    expect(() => callOf('job_wait {jobId: }')).toThrow();
    const wait = TOOLS.find(({ name }) => name === 'job_wait');
    expect(wait?.input.safeParse({ jobId: 'job_x', seconds: 5 }).success).toBe(false);
  });

  it('read nested front matter and refuse what is not simple', () => {
    expect(frontMatterOf('---\na: "x: y"\nm:\n  b: "1"\n---\n')).toEqual({
      a: 'x: y',
      m: { b: '1' },
    });
    expect(() => frontMatterOf('---\n- a\n---\n')).toThrow();
  });
});
