import { shellQuote } from '../core/shell-quote.ts';

export interface WatchUnit {
  readonly nodePath: string;
  readonly mainPath: string;
  /** Of the person, mode 0600: keys and settings. */
  readonly environmentFile: string;
  readonly home: string;
}

/** No double dash: XML comments hold none. */
const MARK = 'Written by gpu-lease for its watcher';

/** Whether a file is one that we wrote. */
export function isOurUnit(content: string): boolean {
  return content.includes(MARK);
}

/** A systemd user unit. It holds paths, no key. */
export function systemdUnit({ nodePath, mainPath, environmentFile, home }: WatchUnit): string {
  const command = [nodePath, mainPath, 'watch', '--wait', '--home', home].map(systemdWord);
  return `# ${MARK}. gpu-lease watch --uninstall removes it.
[Unit]
Description=gpu-lease: keeps the deadlines and budgets of rented GPU machines
After=network-online.target

[Service]
EnvironmentFile=${environmentFile.replaceAll('%', '%%')}
ExecStart=${command.join(' ')}
Restart=always
RestartSec=10
UMask=0077

[Install]
WantedBy=default.target
`;
}

/** One word of an ExecStart line, in which `%` and `$` mean something. */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${escaped.replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
}

/** A launchd agent. launchd reads no environment file, so a shell does. */
export function launchAgent({ nodePath, mainPath, environmentFile, home }: WatchUnit): string {
  const words = [nodePath, mainPath, 'watch', '--wait', '--home', home].map(shellQuote);
  const script = `set -a; . ${shellQuote(environmentFile)}; set +a; exec ${words.join(' ')}`;
  const strings = ['/bin/sh', '-c', script].map((word) => `    <string>${xml(word)}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- ${MARK} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>gpu-lease.watch</string>
  <key>ProgramArguments</key>
  <array>
${strings.join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
</dict>
</plist>
`;
}

function xml(word: string): string {
  return word.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
