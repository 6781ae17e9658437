import type { FaultKind } from '../../core/sandbox.ts';
import { faultTable } from '../fault-table.ts';

/** Faults of the wire: any route, before or after the work is done. */
export const ROUTE_FAULTS = {
  'rate-limit':
    'The route answers 429 with plain text, without Retry-After; its threshold is `value`, else 4.5.',
  'rate-limit-json':
    'The route answers 429 with a JSON body, without Retry-After; its threshold is `value`, else 4.5.',
  'http-500': 'The route answers 500 with a JSON error.',
  'http-502': 'The route answers 502 with an HTML page of a proxy.',
  'http-503': 'The route answers 503 with plain text.',
  'http-504': 'The route answers 504 with an empty body.',
  html: 'The route answers 200 with an HTML page instead of JSON.',
  truncated: 'The work is done, and the JSON answer is cut in the middle.',
  'drop-before': 'The connection dies before anything is done.',
  'drop-after': 'The work is done, and the connection dies before the answer.',
  stall: 'The work is done, and the answer never comes.',
  slow: 'The answer comes late: `value` seconds, else 20.',
  'success-false': 'The route answers 200 with success:false and does nothing.',
} as const;

/** Faults of the market and of the account. */
const MARKET_FAULTS = {
  'offer-taken': 'Somebody else rents the offer just before the create: 400 with no_such_ask.',
  'offer-gone-410': 'The offer is lost while it is created: 410 no_such_ask.',
  'price-rise': 'The offer costs `value` times as much (else 1.5) once it has been searched.',
  'no-credit': 'The create is refused with insufficient_credit.',
  'spend-rate-limit': 'The create is refused because the account is new.',
  'create-failed-with-contract': 'The create answers an error that still names a new contract.',
  'create-without-instance': 'The create answers success, and no instance ever appears.',
  'create-unavailable':
    'The GPU is taken while it is created: a stopped instance that bills storage.',
  'list-lag': 'The new instance is missing from lists for `value` seconds, else 20.',
} as const;

/** Faults of a machine, decided when it is rented. `afterSeconds` after it runs, where that makes sense. */
const BOOT_FAULTS = {
  'stuck-null': 'The instance never starts to boot: actual_status stays null.',
  'stuck-loading': 'The image is pulled for ever.',
  'slow-boot': 'The boot takes `value` seconds longer, else 900.',
  exits: 'The container exits: at boot, or `afterSeconds` after it runs.',
  'oci-error': 'The container is created and cannot start: OCI runtime create failed.',
  'manifest-unknown': 'The image does not exist.',
  'pull-denied': 'The registry refuses the login.',
  offline: 'The host disconnects: at boot, or `afterSeconds` after it runs.',
  unknown: 'The host sends no heartbeat: at boot, or `afterSeconds` after it runs.',
  frozen: 'The instance is frozen, which goes on billing: `afterSeconds` after it runs.',
  outbid:
    'Somebody bids more for an interruptible instance: `afterSeconds` after it runs, else 60.',
  vanishes:
    'The instance is gone without being destroyed: `afterSeconds` after it was made, else 60.',
  'rental-ends': 'The rental ends: `afterSeconds` after it was made, else 60.',
  'wrong-gpu': 'Another GPU than was sold is in the machine: `value`, else a smaller one.',
  'fewer-gpus': 'Fewer GPUs than were sold are in the machine: `value`, else one less.',
  'ssh-nowhere': 'Both SSH addresses lead nowhere.',
  'ssh-mute': 'SSH is accepted and never sends a banner.',
  'ssh-refuses-key': 'The SSH server knows none of our keys.',
  'ssh-late': 'SSH answers `value` seconds after the instance runs, else 120.',
  'direct-dead': 'The direct SSH address leads nowhere; the proxy works.',
  'proxy-dead': 'The SSH proxy leads nowhere; the direct address works.',
  'mapping-missing': 'Port 22 is never mapped, although direct SSH was asked for.',
  'mapping-private': 'The public address is a private one and the mapping leads nowhere.',
  'mapping-late': 'Port 22 is mapped `value` seconds after the instance runs, else 30.',
} as const;

/** Faults of later calls, by offer, machine or route. */
const LATER_FAULTS = {
  'start-unavailable':
    'The GPU is taken when the instance is started: 200, success:false, queued for `value` seconds, else 120.',
  'destroy-lingers':
    'Destroy answers success, and the instance lives (and bills) on for `value` seconds, else 60.',
  'destroy-ignored': 'Destroy answers success and does nothing.',
  'destroy-fails': 'Destroy answers 500 and does nothing.',
  'destroy-404': 'Destroy answers 404, and the instance lives on.',
  'null-once': 'A living instance is told as null once.',
  'reads-nothing': 'A list leaves a living instance out.',
  'logs-never': 'The log file is never uploaded.',
} as const;

/** Every fault that this cloud can have, with one sentence each for people. */
export const VAST_FAULTS: readonly FaultKind[] = [
  ...faultTable(ROUTE_FAULTS, ['rate-limit', 'http-502', 'http-503', 'drop-before', 'slow']),
  ...faultTable(MARKET_FAULTS, ['offer-taken', 'list-lag']),
  ...faultTable(BOOT_FAULTS, ['stuck-loading', 'exits', 'offline', 'oci-error', 'ssh-nowhere']),
  ...faultTable(LATER_FAULTS, ['destroy-fails', 'null-once']),
];

export type RouteFault = keyof typeof ROUTE_FAULTS;
export type VastFault =
  | RouteFault
  | keyof typeof MARKET_FAULTS
  | keyof typeof BOOT_FAULTS
  | keyof typeof LATER_FAULTS;
/** Decided when the instance is made, in the order in which they are asked for. */
export const BOOT_FAULT_KINDS: readonly VastFault[] = Object.keys(BOOT_FAULTS).flatMap((name) =>
  isBootFault(name) ? [name] : [],
);
function isBootFault(name: string): name is keyof typeof BOOT_FAULTS {
  return Object.hasOwn(BOOT_FAULTS, name);
}
