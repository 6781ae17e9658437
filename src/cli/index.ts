import { addCommand, removeCommand } from './clients/command.ts';
import type { Command, CommandHelp } from './command.ts';
import { demoCommand } from './demo/command.ts';
import { destroyCommand } from './destroy.ts';
import { doctorCommand } from './doctor.ts';
import { overview } from './help.ts';
import { podsCommand } from './pods.ts';
import { sandboxCommand } from './sandbox/command.ts';
import { verifyCommand } from './verify.ts';
import { watchCommand } from './watch.ts';

/** Served by the entry, because they live as long as the process. */
export const SERVERS: readonly CommandHelp[] = [
  {
    name: 'http',
    summary: 'Serve MCP over Streamable HTTP on 127.0.0.1; a bearer token is required.',
    usage: '',
    details:
      'One endpoint, /mcp, for clients of every protocol revision. The token comes from GPU_LEASE_HTTP_TOKEN, or is made\nand kept in the state folder.',
    options: {
      port: { type: 'string', value: 'PORT', help: 'Port to listen on.' },
      host: { type: 'string', value: 'HOST', help: 'Address to listen on (default 127.0.0.1).' },
      'allowed-hosts': {
        type: 'string',
        value: 'NAMES',
        help: 'Host names accepted besides localhost, comma separated.',
      },
    },
  },
];

/** The one list of commands for people. */
export const COMMANDS: readonly Command[] = [
  demoCommand,
  sandboxCommand,
  doctorCommand,
  podsCommand,
  watchCommand,
  destroyCommand,
  verifyCommand,
  addCommand,
  removeCommand,
];

/** The text of `gpu-lease --help`. */
export function helpText(version: string): string {
  return overview([...SERVERS, ...COMMANDS], version);
}
