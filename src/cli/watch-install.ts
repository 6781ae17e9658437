import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isMissing } from '../core/json-file.ts';
import { type CommandContext, EXIT_FAILED, EXIT_OK, flag, text, UsageError } from './command.ts';
import { shown } from './output.ts';
import { readSettings } from './watch-settings.ts';
import { isOurUnit, launchAgent, systemdUnit } from './watch-unit.ts';

export const WATCH_INSTALL_OPTIONS = {
  install: {
    type: 'boolean',
    help: 'Show a systemd user unit (macOS: launchd agent) that watches from login on; write it with --yes.',
  },
  uninstall: { type: 'boolean', help: 'Show which file would go; remove it with --yes.' },
  // Not "env-file": node takes a flag of that name for its own, wherever it stands.
  settings: {
    type: 'string',
    value: 'FILE',
    help: 'With --install: your file with the keys and settings, NAME=value a line, mode 0600.',
  },
  yes: { type: 'boolean', help: 'Do what is shown.' },
} as const;

interface Place {
  readonly file: string;
  readonly on: readonly string[];
  readonly off: readonly string[];
}

/** Shows the unit, and writes it when the person says --yes. Starts nothing: how to is printed. */
export async function installWatch(context: CommandContext): Promise<number> {
  const { out, values, nodePath, mainPath, platform, stateFolder } = context;
  const place = placeOf(context);
  if (place === undefined) return unsupported(context);
  const given = text(values, 'settings');
  if (given === undefined)
    throw new UsageError(
      '--install needs --settings FILE: a file of yours, mode 0600, with the keys and limits that the watcher shall have, one NAME=value a line (VAST_API_KEY=...). The unit itself holds none.',
    );
  const environmentFile = path.resolve(context.workingFolder, given);
  const names = await readSettings(environmentFile);
  const unit = { nodePath, mainPath, environmentFile, home: stateFolder };
  const content = platform === 'darwin' ? launchAgent(unit) : systemdUnit(unit);
  const before = await textOf(place.file);
  if (before !== undefined && !isOurUnit(before)) return strange(context, place.file);
  const isSame = before === content;
  const isWritten = flag(values, 'yes') && !isSame;
  if (isWritten) {
    await mkdir(path.dirname(place.file), { recursive: true });
    await writeFile(place.file, content, { mode: 0o600 });
    await chmod(place.file, 0o600);
  }
  const outcome = isSame ? 'unchanged' : isWritten ? 'written' : 'shown';
  out.value({
    outcome,
    file: place.file,
    content,
    names,
    next: outcome === 'shown' ? [] : place.on,
  });
  out.line(content);
  out.line(`File: ${shown(place.file)}`);
  out.line(`${shown(environmentFile)} sets ${names.join(', ')}.`);
  if (outcome === 'shown') out.line('Nothing was written. Add --yes to write it.');
  else {
    out.line(isSame ? 'It is there already, as shown.' : 'It was written. To start it now:');
    for (const line of place.on) out.line(`  ${line}`);
  }
  return EXIT_OK;
}

/** Removes what `installWatch` wrote, and nothing else. */
export async function uninstallWatch(context: CommandContext): Promise<number> {
  const { out, values } = context;
  const place = placeOf(context);
  if (place === undefined) return unsupported(context);
  const before = await textOf(place.file);
  if (before !== undefined && !isOurUnit(before)) return strange(context, place.file);
  const isRemoved = before !== undefined && flag(values, 'yes');
  if (isRemoved) await rm(place.file);
  const outcome = before === undefined ? 'absent' : isRemoved ? 'removed' : 'shown';
  out.value({ outcome, file: place.file, next: before === undefined ? [] : place.off });
  if (before === undefined) out.line(`There is no ${shown(place.file)}.`);
  else {
    out.line(
      isRemoved
        ? `Removed ${shown(place.file)}.`
        : `${shown(place.file)} would be removed. Add --yes to do it.`,
    );
    out.line('To stop what runs of it:');
    for (const line of place.off) out.line(`  ${line}`);
  }
  return EXIT_OK;
}

function placeOf({ platform, userHome, settingsFolder }: CommandContext): Place | undefined {
  if (platform === 'darwin') {
    const file = path.join(userHome, 'Library/LaunchAgents/gpu-lease.watch.plist');
    return {
      file,
      on: [`launchctl bootstrap gui/$(id -u) '${file}'`],
      off: ['launchctl bootout gui/$(id -u)/gpu-lease.watch'],
    };
  }
  if (platform !== 'linux') return undefined;
  const settings = settingsFolder ?? path.join(userHome, '.config');
  return {
    file: path.join(settings, 'systemd/user/gpu-lease-watch.service'),
    on: [
      'systemctl --user daemon-reload',
      'systemctl --user enable --now gpu-lease-watch.service',
      'loginctl enable-linger   # also while nobody is logged in',
    ],
    off: ['systemctl --user disable --now gpu-lease-watch.service'],
  };
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((failure: unknown) => {
    if (isMissing(failure)) return undefined;
    throw failure;
  });
}

function strange({ out }: CommandContext, file: string): number {
  out.value({ outcome: 'refused', file });
  out.line(`${shown(file)} was not written by gpu-lease. It is left as it is.`);
  return EXIT_FAILED;
}

function unsupported({ out }: CommandContext): number {
  const words =
    'Here is neither systemd nor launchd. Run `gpu-lease watch --once` from a scheduler.';
  out.value({ outcome: 'unsupported' });
  out.line(words);
  return EXIT_FAILED;
}
