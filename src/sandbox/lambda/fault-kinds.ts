import type { FaultKind } from '../../core/sandbox.ts';
import { faultTable } from '../fault-table.ts';

/** Faults of a single call. */
export const ROUTE_FAULTS = {
  'rate-limit': 'The route answers 429 with an empty body.',
  'http-500': 'The route answers 500 and does nothing.',
  'http-502': 'The route answers 502 with an HTML page, as a gateway does.',
  'http-503': 'The route answers 503 in plain text.',
  'provider-unavailable': 'The route answers 503 provider/internal-unavailable and does nothing.',
  'internal-error': 'The route answers 409 global/internal-error and does nothing.',
  'late-500': 'The work is done, and the answer is a 500.',
  html: 'The route answers 200 with an HTML page instead of JSON.',
  truncated: 'The work is done, and the JSON answer is cut in the middle.',
  'drop-before': 'The connection dies before anything is done.',
  'drop-after': 'The work is done, and the connection dies before the answer.',
  stall: 'The work is done, and the answer never comes.',
  slow: 'The answer comes late: `value` seconds, else 20.',
} as const;

const LAUNCH_FAULTS = {
  'no-capacity': 'The launch is refused for want of capacity although the region is listed.',
  'capacity-vanishes': 'The map of types no longer lists the region once it has been listed.',
  'price-rise': 'The type costs `value` times as much (else 1.5) once it has been listed.',
  'quota-exceeded': 'The launch is refused by the quota of the account.',
  'account-inactive': 'The launch is refused because the account is inactive.',
  'launch-fails-with-instance':
    'The launch answers "no capacity" and makes an instance all the same.',
  'two-instances': 'The launch makes two instances instead of one.',
  'id-unknown': 'The id of the new instance answers 404 for `value` seconds, else 20.',
  'list-lag': 'The new instance is missing from lists for `value` seconds, else 20.',
} as const;

/** Faults of a machine, decided when it is launched. `afterSeconds` after it is active, where that makes sense. */
const BOOT_FAULTS = {
  'stuck-booting': 'The instance boots for ever.',
  'slow-boot': 'The boot takes `value` seconds longer, else 900.',
  'no-ip': 'The active instance has no address for `value` seconds, else 60.',
  unhealthy: 'The instance is unhealthy: at boot, or `afterSeconds` after it is active.',
  preempted: 'The instance is preempted `afterSeconds` after it is active, else 60.',
  vanishes:
    'The instance is gone without being terminated, `afterSeconds` after the launch, else 60.',
  'wrong-gpu': 'Another GPU than was sold is in the machine: `value`, else a smaller one.',
  'fewer-gpus': 'Fewer GPUs than were sold are in the machine: `value`, else one less.',
  'ssh-nowhere': 'The SSH address leads nowhere.',
  'ssh-mute': 'SSH is accepted and never sends a banner.',
  'ssh-refuses-key': 'The SSH server knows none of our keys.',
  'ssh-late': 'SSH answers `value` seconds after the instance is active, else 120.',
} as const;

/** Faults of later calls, by offer, machine or route. */
const LATER_FAULTS = {
  'terminate-fails': 'Terminate answers 500 and does nothing.',
  'terminate-ignored': 'Terminate answers with the instance and does nothing.',
  'terminate-404': 'Terminate answers 404, and the instance lives on.',
  'terminate-lingers': 'The instance stays `terminating` for `value` seconds, else 300.',
  'restart-conflict': 'Restart answers 409: another action runs.',
  'null-once': 'A living instance is answered 404 once.',
  'reads-nothing': 'A list leaves a living instance out.',
} as const;

/** Every fault that this cloud can have, with one sentence each for people. */
export const LAMBDA_FAULTS: readonly FaultKind[] = [
  ...faultTable(ROUTE_FAULTS, [
    'rate-limit',
    'http-502',
    'provider-unavailable',
    'drop-before',
    'slow',
  ]),
  ...faultTable(LAUNCH_FAULTS, ['no-capacity', 'id-unknown', 'list-lag']),
  ...faultTable(BOOT_FAULTS, ['stuck-booting', 'ssh-nowhere', 'slow-boot']),
  ...faultTable(LATER_FAULTS, ['terminate-fails', 'restart-conflict']),
];

export type RouteFault = keyof typeof ROUTE_FAULTS;
export type LambdaFault =
  | RouteFault
  | keyof typeof LAUNCH_FAULTS
  | keyof typeof BOOT_FAULTS
  | keyof typeof LATER_FAULTS;
/** Decided when the instance is made, in the order in which they are asked for. */
export const BOOT_FAULT_KINDS: readonly LambdaFault[] = Object.keys(BOOT_FAULTS).flatMap((name) =>
  isBootFault(name) ? [name] : [],
);
function isBootFault(name: string): name is keyof typeof BOOT_FAULTS {
  return Object.hasOwn(BOOT_FAULTS, name);
}
