import { expect, it } from 'vitest';
import { z } from 'zod';
import {
  faultsTable,
  replaceBetween,
  settingsTable,
  toolsPage,
  toolsTable,
} from '../../../scripts/docs/markdown.ts';
import { defineTool, resultShape } from '../../../src/tools/tool.ts';

const tool = defineTool({
  name: 'weigh_pod',
  title: 'Weigh',
  description: 'Says how heavy a pod is (v1.2). Waits a little. Next: get_pod.',
  effect: 'read',
  input: z.strictObject({
    podId: z.string().describe('Which | one.'),
    waitSeconds: z.int().min(0).max(45).default(25),
    kind: z.enum(['gross', 'net']).exactOptional(),
    labels: z.record(z.string(), z.string()).default({}),
    parts: z.array(z.string()).default([]),
  }),
  output: z.object({ grams: z.number(), note: z.string().exactOptional(), ...resultShape }),
  handle: async () => Promise.resolve({ grams: 1, summary: '', next: [] }),
  render: () => '',
});

it('the README row has the effect and the first whole sentence', () => {
  expect(toolsTable([tool])).toBe(
    [
      '| tool | effect | what it does |',
      '| --- | --- | --- |',
      '| [`weigh_pod`](docs/tools.md#weigh_pod) | read | Says how heavy a pod is (v1.2). |',
    ].join('\n'),
  );
});

it('the page of a tool shows types, limits, defaults, what is required, and the result', () => {
  const page = toolsPage([tool]);
  expect(page.slice(page.indexOf('## weigh_pod'))).toBe(`## weigh_pod

Says how heavy a pod is (v1.2). Waits a little. Next: get_pod.

Effect: read (changes nothing).

| parameter | type | default | meaning |
| --- | --- | --- | --- |
| \`podId\` * | string |  | Which \\| one. |
| \`waitSeconds\` | integer ≥ 0 ≤ 45 | \`25\` |  |
| \`kind\` | \`gross\`, \`net\` |  |  |
| \`labels\` | names to string | \`{}\` |  |
| \`parts\` | list of string | \`[]\` |  |

Result: \`grams\` (number), \`note\`? (string).
`);
});

it('the settings table leaves empty what is not set', () => {
  expect(
    settingsTable([
      { variable: 'A', flag: '--a', description: 'One.', default: '1' },
      { variable: 'B', description: 'Two.' },
    ]),
  ).toBe(
    '| variable | flag | default | meaning |\n| --- | --- | --- | --- |\n| `A` | `--a` | 1 | One. |\n| `B` |  |  | Two. |',
  );
});

it('the table of faults has a row each', () => {
  expect(faultsTable([{ kind: 'exits', summary: 'It | ends.' }])).toBe(
    '| fault | what happens |\n| --- | --- |\n| `exits` | It \\| ends. |',
  );
});

it('replaces between markers only, and refuses a text without them', () => {
  const text = 'a\n<!-- x:start -->\nold\n<!-- x:end -->\nb';
  const once = replaceBetween(text, 'x', 'new');
  expect(once).toBe('a\n<!-- x:start -->\nnew\n<!-- x:end -->\nb');
  expect(replaceBetween(once, 'x', 'new')).toBe(once);
  expect(() => replaceBetween(text, 'y', 'new')).toThrow(/y:start/);
});
