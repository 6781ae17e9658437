/** Why the cloud does not do what it was asked to; each API words it in its own way. */
export type RefusalKind =
  | 'no-capacity'
  | 'host-full'
  | 'unfit'
  | 'balance'
  | 'not-found'
  | 'gone'
  | 'scope'
  | 'invalid'
  | 'conflict'
  | 'contract'
  | 'internal';

/** Thrown by the work that all three APIs share. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: RefusalKind;

  constructor(kind: RefusalKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export const WRONG = 'Something went wrong. Please try again later or contact support.';
export const NO_CAPACITY =
  'There are no longer any instances available with the requested specifications. Please refresh and try again.';
export const NO_SPOT =
  'There are no longer any instances available with the request specifications. Please try again later.';
export const NO_INSTANCES = 'There are no instances currently available';
export const HOST_FULL = 'There are not enough free GPUs on the host machine to start this pod.';
export const UNFIT =
  'This machine does not have the resources to deploy your pod. Please try a different machine';
export const LOW_BALANCE =
  'Your account balance is too low to rent a pod. Please add funds to your account.';
