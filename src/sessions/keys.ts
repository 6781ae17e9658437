import type { KEY_NAMES } from '../core/session.ts';

/** What a terminal sends for each key. */
export const KEY_BYTES: Readonly<Record<(typeof KEY_NAMES)[number], string>> = {
  enter: '\r',
  'ctrl-c': '\x03',
  'ctrl-d': '\x04',
  'ctrl-z': '\x1a',
  'ctrl-l': '\x0c',
  'ctrl-u': '\x15',
  'ctrl-\\': '\x1c',
  tab: '\t',
  escape: '\x1b',
  space: ' ',
  backspace: '\x7f',
  up: '\x1b[A',
  down: '\x1b[B',
  right: '\x1b[C',
  left: '\x1b[D',
  home: '\x1b[H',
  end: '\x1b[F',
  'page-up': '\x1b[5~',
  'page-down': '\x1b[6~',
};

/** Keys that are signals rather than bytes where the session has no terminal. */
export const KEY_SIGNALS: Readonly<Partial<Record<(typeof KEY_NAMES)[number], string>>> = {
  'ctrl-c': 'INT',
  'ctrl-z': 'TSTP',
  'ctrl-\\': 'QUIT',
};
