import type { BookedInstance, FaultKind } from '../core/sandbox.ts';
import type { FakeCloud } from './http.ts';

/** What every fake cloud is to the sandbox around it: something that answers, and whose books can be looked at. */
export interface SandboxCloud extends FakeCloud, AsyncDisposable {
  /** Every instance and volume there ever was. */
  books(): readonly BookedInstance[];
  /** What the account still has, in dollars. */
  creditUsd(): number;
  /** Adds to the account; a negative amount takes away. */
  addCredit(usd: number): void;
  /** Variables that point a client here, the key among them. Called when the origin is known. */
  variables(): Readonly<Record<string, string>>;
  readonly faultKinds: readonly FaultKind[];
}
