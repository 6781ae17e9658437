/** What a container is started with. */
export interface Runtype {
  /** The stored spelling: "ssh_direc ssh_proxy", "args". */
  readonly stored: string;
  readonly ssh: boolean;
  readonly direct: boolean;
  readonly jupyter: boolean;
}

/**
 * Both vocabularies: `ssh_direct` of the documentation and the command-line tool's `ssh_direc ssh_proxy`.
 * `undefined`: a word that means nothing.
 */
export function parseRuntype(text: string): Runtype | undefined {
  const words = text.trim().split(/\s+/).filter(Boolean);
  const known = words.every((word) =>
    /^(?:args|(?:ssh|jupyter)(?:_(?:proxy|direct?))?)$/.test(word),
  );
  if (!known || words.length === 0) return undefined;
  const jupyter = words.some((word) => word.startsWith('jupyter'));
  const direct = words.some((word) => /^(?:ssh|jupyter)_direc/.test(word));
  const ssh = jupyter || words.some((word) => word.startsWith('ssh'));
  if (!ssh) return { stored: 'args', ssh: false, direct: false, jupyter: false };
  const stored = [
    ...(jupyter ? [direct ? 'jupyter_direc' : 'jupyter_proxy'] : []),
    ...(direct ? ['ssh_direc'] : []),
    'ssh_proxy',
  ];
  return { stored: stored.join(' '), ssh, direct, jupyter };
}

/** The ports a container opens, as "8080/tcp": those of its runtype and every `-p A:B[/udp]` of its env. */
export function portsOf(
  { ssh, direct, jupyter }: Runtype,
  env: readonly (readonly [string, string])[],
): readonly string[] {
  const ports = new Set<string>();
  if (ssh && direct) ports.add('22/tcp');
  if (jupyter && direct) ports.add('8080/tcp');
  for (const [name] of env) {
    const match = /^-p\s+(?:\d+:)?(\d{1,6})(?:\/(tcp|udp))?$/.exec(name);
    if (match !== null) ports.add(`${match[1] ?? ''}/${match[2] ?? 'tcp'}`);
  }
  return [...ports].slice(0, 64);
}
