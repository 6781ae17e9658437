/* How much a run moves. */
export interface Scale {
  readonly name: 'full' | 'quick';
  /** Of everything that takes longer than a command. */
  readonly rounds: number;
  readonly commandRuns: number;
  readonly smallFiles: number;
  readonly mixedFiles: number;
  readonly fileMebibytes: number;
  /** Over links that carry tens of megabytes a second. */
  readonly farMebibytes: number;
  readonly movedMebibytes: number;
  readonly editRounds: number;
  readonly neededMebibytes: number;
}

export const FULL: Scale = {
  name: 'full',
  rounds: 5,
  commandRuns: 60,
  smallFiles: 10_000,
  mixedFiles: 2000,
  fileMebibytes: 1024,
  farMebibytes: 1024,
  movedMebibytes: 10 * 1024,
  editRounds: 20,
  neededMebibytes: 6 * 1024,
};
export const QUICK: Scale = {
  name: 'quick',
  rounds: 3,
  commandRuns: 20,
  smallFiles: 2000,
  mixedFiles: 400,
  fileMebibytes: 128,
  farMebibytes: 64,
  movedMebibytes: 2 * 1024,
  editRounds: 4,
  neededMebibytes: 2 * 1024,
};
