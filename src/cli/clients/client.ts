import path from 'node:path';

export const SCOPES = ['user', 'project'] as const;
export type Scope = (typeof SCOPES)[number];

/** How a client starts the server. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
}

/** Where a person keeps settings, on this platform. */
export interface Places {
  readonly userHome: string;
  readonly projectFolder: string;
  readonly platform: NodeJS.Platform;
  readonly settingsFolder?: string | undefined;
}

/** The dialect that the owning client reads. What it cannot read, we do not write and do not repair. */
export type Dialect = 'json' | 'json-with-comments' | 'toml';

export interface McpClient {
  readonly name: string;
  /** What people call it too. */
  readonly aliases: readonly string[];
  readonly title: string;
  readonly dialect: Dialect;
  /** Key of the object that holds one entry for each server. */
  readonly container: string;
  /** Written into each entry besides command and args. */
  readonly extra: Readonly<Record<string, string>>;
  /** The settings file, absolute. */
  file(places: Places, scope: Scope): string;
  /** What exists where the client is installed, absolute. */
  traces(places: Places): readonly string[];
}

export const CLIENTS: readonly McpClient[] = [
  {
    name: 'claude-code',
    aliases: ['claude'],
    title: 'Claude Code',
    dialect: 'json',
    container: 'mcpServers',
    extra: { type: 'stdio' },
    file: ({ userHome, projectFolder }, scope) =>
      scope === 'user'
        ? path.join(userHome, '.claude.json')
        : path.join(projectFolder, '.mcp.json'),
    traces: ({ userHome }) => [path.join(userHome, '.claude.json'), path.join(userHome, '.claude')],
  },
  {
    name: 'cursor',
    aliases: [],
    title: 'Cursor',
    dialect: 'json-with-comments',
    container: 'mcpServers',
    extra: {},
    file: (places, scope) => path.join(base(places, scope), '.cursor', 'mcp.json'),
    traces: ({ userHome }) => [path.join(userHome, '.cursor')],
  },
  {
    name: 'codex',
    aliases: [],
    title: 'Codex',
    dialect: 'toml',
    container: 'mcp_servers',
    extra: {},
    file: (places, scope) => path.join(base(places, scope), '.codex', 'config.toml'),
    traces: ({ userHome }) => [path.join(userHome, '.codex')],
  },
  {
    name: 'vscode',
    aliases: ['code'],
    title: 'VS Code',
    dialect: 'json-with-comments',
    container: 'servers',
    extra: { type: 'stdio' },
    file: (places, scope) =>
      scope === 'user'
        ? path.join(codeFolder(places), 'mcp.json')
        : path.join(places.projectFolder, '.vscode', 'mcp.json'),
    traces: (places) => [codeFolder(places)],
  },
  {
    name: 'gemini',
    aliases: ['gemini-cli'],
    title: 'Gemini CLI',
    dialect: 'json-with-comments',
    container: 'mcpServers',
    extra: {},
    file: (places, scope) => path.join(base(places, scope), '.gemini', 'settings.json'),
    traces: ({ userHome }) => [path.join(userHome, '.gemini')],
  },
];

/** Under which name every client knows us. */
export const ENTRY_NAME = 'gpu-lease';

/**
 * A package that was installed is started by name, so that it survives updates; a clone by the absolute paths of
 * this node and this file, because nothing else finds it.
 */
export function launchOf(
  paths: { readonly nodePath: string; readonly mainPath: string },
  platform: NodeJS.Platform,
): Launch {
  if (!paths.mainPath.split(/[\\/]/).includes('node_modules'))
    return { command: paths.nodePath, args: [paths.mainPath] };
  return platform === 'win32'
    ? { command: 'cmd', args: ['/c', 'npx', '-y', ENTRY_NAME] }
    : { command: 'npx', args: ['-y', ENTRY_NAME] };
}

function base({ userHome, projectFolder }: Places, scope: Scope): string {
  return scope === 'user' ? userHome : projectFolder;
}

function codeFolder({ userHome, platform, settingsFolder }: Places): string {
  if (platform === 'darwin')
    return path.join(userHome, 'Library', 'Application Support', 'Code', 'User');
  const settings =
    settingsFolder ??
    path.join(userHome, ...(platform === 'win32' ? ['AppData', 'Roaming'] : ['.config']));
  return path.join(settings, 'Code', 'User');
}
