import { bundled } from './bundle.ts';

/** The program of the transfer thread. */
export async function transferProgram(): Promise<string> {
  return bundled('src/transfer-worker.ts');
}
