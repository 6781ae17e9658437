import type { Finding } from '../../src/core/job.ts';
import type { Pod } from '../../src/core/pods.ts';

/** What tests read of a result, whichever tool it is of: absent where the tool does not have it. */
export interface Answer extends Readonly<Record<string, unknown>> {
  readonly summary: string;
  readonly next: readonly {
    readonly tool: string;
    readonly why: string;
    readonly arguments?: Record<string, unknown>;
  }[];
  readonly pods: readonly Pod[];
  readonly omitted: readonly string[];
  readonly findings: readonly Finding[];
  readonly output: string;
  readonly offset: number;
  readonly nextOffset: number;
  readonly hasMore: boolean;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
