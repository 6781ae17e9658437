import path from 'node:path';
import {
  type Command,
  type CommandContext,
  choice,
  EXIT_FAILED,
  EXIT_OK,
  flag,
} from '../command.ts';

const ERAS = ['2026', '2025'] as const;

export const demoCommand: Command = {
  name: 'demo',
  summary: 'The whole life cycle, live and free, on pods of this machine.',
  usage: '',
  details:
    'A real MCP client drives this server through a day of work: rent, shell, sync, train, kill -9, results, destroy.\nIt has its own state folder and workspace; yours are not touched.',
  positionals: { min: 0, max: 0 },
  options: {
    era: {
      type: 'string',
      value: 'YEAR',
      help: 'Protocol: 2026 (default) or 2025 (raw JSON-RPC).',
    },
    keep: { type: 'boolean', help: 'Keep state and results afterwards, and say where.' },
  },
  run: async ({ values, out, clock, signal, nodePath, mainPath, version }: CommandContext) => {
    const era = choice(values, 'era', ERAS, '2026');
    const open =
      era === '2026'
        ? (await import('./sdk-server.ts')).openWithSdk
        : (await import('./raw-server.ts')).openRaw;
    const { DAY } = await import('./steps.ts');
    const { EXAMPLE } = await import('./steps-work.ts');
    const { runDemo } = await import('./runner.ts');
    const ok = await runDemo({
      steps: DAY,
      open,
      spec: { nodePath, mainPath, version },
      example: { folder: path.join(mainPath, '..', '..', 'examples', EXAMPLE), name: EXAMPLE },
      out,
      clock,
      signal,
      keep: flag(values, 'keep'),
    });
    return ok ? EXIT_OK : EXIT_FAILED;
  },
};
