import { bundled } from './bundle.ts';

/** The argv that starts the pod program. */
export async function podProgram(): Promise<readonly string[]> {
  return [process.execPath, await bundled('src/pod/main.ts')];
}
