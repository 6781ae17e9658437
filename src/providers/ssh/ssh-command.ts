import { InputError } from '../../core/errors.ts';

/** The facts in a pasted ssh command. */
export interface SshCommandFacts {
  readonly host?: string;
  readonly alias?: string;
  readonly user?: string;
  readonly port?: number;
  readonly keyPath?: string;
}

/** Options that say nothing about where the machine is: terminal, quiet, verbose, agent, address family, compression. */
const HARMLESS = 'tTqvAa46Cnkx';

/** Settings of the connection itself. Host keys are pinned by us, whatever the command says of them. */
const SETTINGS_OF_NO_PLACE: ReadonlySet<string> = new Set([
  ...['stricthostkeychecking', 'userknownhostsfile', 'globalknownhostsfile', 'checkhostip'],
  ...['hashknownhosts', 'updatehostkeys', 'visualhostkey', 'verifyhostkeydns', 'loglevel'],
  ...['serveraliveinterval', 'serveralivecountmax', 'tcpkeepalive', 'connecttimeout'],
  ...['connectionattempts', 'batchmode', 'identitiesonly', 'addkeystoagent', 'forwardagent'],
  ...['compression', 'requesttty', 'escapechar', 'addressfamily', 'ipqos', 'rekeylimit'],
  ...['preferredauthentications', 'pubkeyauthentication', 'passwordauthentication'],
  ...['kbdinteractiveauthentication', 'challengeresponseauthentication', 'hostbasedauthentication'],
  ...['numberofpasswordprompts', 'controlmaster', 'controlpath', 'controlpersist', 'sendenv'],
  ...['pubkeyacceptedkeytypes', 'pubkeyacceptedalgorithms', 'hostkeyalgorithms', 'ciphers', 'macs'],
  ...['kexalgorithms', 'casignaturealgorithms', 'exitonforwardfailure', 'clearallforwardings'],
]);

/**
 * Reads a pasted ssh command without running anything (PR-03, PR-04). Of `-o` those are left out that say nothing about where
 * the machine is and who logs in; an option that is not known is refused by name, since dropping it could lead to another
 * machine. A destination without a user is an alias.
 */
export function parseSshCommand(command: string): SshCommandFacts {
  const [program, ...words] = splitWords(command);
  if (program === undefined || !/^(?:.*\/)?ssh$/.test(program))
    throw refused('It must start with "ssh".');
  const facts: { user?: string; port?: number; keyPath?: string } = {};
  let destination: string | undefined;
  let onlyWords = false;

  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (!onlyWords && word === '--') onlyWords = true;
    else if (!onlyWords && word.startsWith('-')) index += readOption(word, words[index + 1], facts);
    else if (destination === undefined) destination = word;
    else throw refused('It runs a command on the machine; leave the command out.');
  }
  if (destination === undefined) throw refused('It names no destination.');
  return { ...readDestination(destination, facts.user !== undefined), ...facts };
}

/** Answers how many further words were used up. */
function readOption(
  word: string,
  following: string | undefined,
  facts: { user?: string; port?: number; keyPath?: string },
): number {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word.charAt(at);
    if (HARMLESS.includes(letter)) continue;
    if (!'pilo'.includes(letter))
      throw refused(
        `Option -${printable(letter)} is not supported.${letter === 'J' ? ' A jump host belongs into ~/.ssh/config: give the machine an alias with ProxyJump there, and pass "ssh ALIAS".' : ''}`,
      );
    const attached = word.slice(at + 1);
    const value = attached === '' ? following : attached;
    if (value === undefined) throw refused(`Option -${letter} needs a value.`);
    if (letter === 'p') facts.port = toPort(value);
    if (letter === 'i') facts.keyPath = value;
    if (letter === 'l') facts.user = value;
    if (letter === 'o') readSetting(value, facts);
    return attached === '' ? 1 : 0;
  }
  if (word === '-') throw refused('A lone "-" is no option.');
  return 0;
}

/** "Name=value" or "Name value", as a line of the configuration. What was given by its own option counts. */
function readSetting(
  setting: string,
  facts: { user?: string; port?: number; keyPath?: string },
): void {
  const [, name = '', value = ''] =
    /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)"?(.*?)"?\s*$/.exec(setting) ?? [];
  const known = name.toLowerCase();
  if (name === '' || value === '') throw refused('Option -o needs NAME=VALUE.');
  if (known === 'port') facts.port ??= toPort(value);
  else if (known === 'user') facts.user ??= value;
  else if (known === 'identityfile') facts.keyPath ??= value;
  else if (!SETTINGS_OF_NO_PLACE.has(known) && !/^(?:forwardx11|gssapi)/.test(known))
    throw refused(
      `Option -o ${name.slice(0, 40)} is not supported. Where it leads the way or lets somebody in, it belongs into ~/.ssh/config: give the machine an alias with it there, and pass "ssh ALIAS"; else leave it out.`,
    );
}

function readDestination(destination: string, hasUser: boolean): SshCommandFacts {
  const address = destination.replace(/^ssh:\/\//, '');
  const split = address.lastIndexOf('@');
  const user = split > 0 ? address.slice(0, split) : undefined;
  const place = address.slice(split + 1).replace(/\/$/, '');
  if (place === '' || split === 0) throw refused('Its destination is incomplete.');
  const [, host = place, port] =
    address === destination ? [] : (/^(.*?)(?::(\d+))?$/.exec(place) ?? []);
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return {
    ...(user === undefined && !hasUser && address === destination
      ? { alias: bare }
      : { host: bare }),
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: toPort(port) }),
  };
}

function toPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw refused('Option -p needs a port from 1 to 65535.');
  return port;
}

/** Words as a POSIX shell splits them, without any expansion. */
function splitWords(command: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: "'" | '"' | undefined;
  for (let at = 0; at < command.length; at += 1) {
    const char = command.charAt(at);
    if (char === '\\' && quote !== "'") {
      at += 1;
      if (at >= command.length) throw refused('It ends in a backslash.');
      const next = command.charAt(at);
      // Inside double quotes a backslash only protects these; a line end behind it joins two lines.
      if (next === '\n') continue;
      word = (word ?? '') + (quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next);
    } else if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else word = (word ?? '') + char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (quote !== undefined) throw refused('A quote is not closed.');
  if (word !== undefined) words.push(word);
  return words;
}

function printable(letter: string): string {
  return /[A-Za-z0-9]/.test(letter) ? letter : '(unreadable)';
}

function refused(why: string): InputError {
  return new InputError('invalid_input', `sshCommand cannot be used. ${why}`, {
    hint: 'Pass host, port, user and keyPath instead, or a plain "ssh -p PORT user@host" command.',
  });
}
