import { openWithSdk } from '../../src/cli/demo/sdk-server.ts';
import type { OpenServer } from '../../src/cli/demo/server.ts';
import { MAIN } from './built-server.ts';

/** The built server on a state folder and a workspace, driven by the client of the official SDK on the newest revision. */
export async function openBuilt(
  { home, workspace }: { readonly home: string; readonly workspace: string },
  signal: AbortSignal,
): ReturnType<OpenServer> {
  const program = { nodePath: process.execPath, mainPath: MAIN, version: '0.0.0' };
  return openWithSdk({ ...program, home, workspace, onLog: () => undefined }, { signal });
}
