import type { CallOptions } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { DoctorProvider } from '../core/health.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Provider } from '../core/provider.ts';

export interface KnownProvider {
  readonly name: ProviderName;
  /** Absent: always on. */
  readonly keyVariable?: string | undefined;
}
/** What this version can rent from. */
export const KNOWN_PROVIDERS: readonly KnownProvider[] = [
  { name: 'local' },
  { name: 'vast', keyVariable: 'VAST_API_KEY' },
  { name: 'runpod', keyVariable: 'RUNPOD_API_KEY' },
  { name: 'lambda', keyVariable: 'LAMBDA_API_KEY' },
];

const CHECK_LIMIT_SECONDS = 20;
/** Below this a night's work may end in the middle. */
const LOW_HOURS = 12;

/** One cloud: whether its key is there and works, what is on the account and how long that lasts. Never throws but for an abort. */
export async function checkProvider(
  provider: Provider | undefined,
  { name, keyVariable }: KnownProvider,
  options: CallOptions,
): Promise<DoctorProvider> {
  if (provider === undefined) return { provider: name, configured: false, keySource: keyVariable };
  try {
    const signal = AbortSignal.any([
      options.signal,
      AbortSignal.timeout(CHECK_LIMIT_SECONDS * 1000),
    ]);
    const account = await provider.checkAccount({ ...options, signal });
    const burn = await burnOf(provider, account.balanceUsd, { ...options, signal });
    return {
      provider: name,
      configured: true,
      ...account,
      ...burn,
      ...madeUp(provider),
    };
  } catch (thrown) {
    options.signal.throwIfAborted();
    const problem = isAppError(thrown)
      ? `${thrown.message} ${thrown.hint}`
      : `It did not answer within ${CHECK_LIMIT_SECONDS} s, or failed unexpectedly.`;
    return {
      provider: name,
      configured: true,
      ...madeUp(provider),
      keySource: keyVariable,
      reachable: false,
      problem,
    };
  }
}

/** Nothing of a cloud at an address of this machine is real. */
const madeUp = ({ isMadeUp }: Provider): Pick<DoctorProvider, 'isMadeUp'> =>
  isMadeUp === true ? { isMadeUp } : {};

/** What all running machines of the account cost, ours or not: they draw on the same balance [KE-02]. */
async function burnOf(
  provider: Provider,
  balanceUsd: number | undefined,
  options: CallOptions,
): Promise<Pick<DoctorProvider, 'usdPerHour' | 'hoursLeft'>> {
  if (balanceUsd === undefined) return {};
  const pods = await provider.listPods(options).catch((failure: unknown) => {
    options.signal.throwIfAborted();
    if (isAppError(failure)) return undefined;
    throw failure;
  });
  if (pods === undefined) return {};
  const usdPerHour = pods
    .filter(({ status }) => status !== 'stopped' && status !== 'failed')
    .reduce((sum, pod) => sum + pod.usdPerHour, 0);
  return usdPerHour > 0
    ? { usdPerHour, hoursLeft: Math.max(0, balanceUsd / usdPerHour) }
    : { usdPerHour };
}

/** What stands in the way on the accounts, each with the way out. */
export function accountNotes(
  providers: readonly DoctorProvider[],
  known: readonly KnownProvider[],
): readonly string[] {
  return providers.flatMap((found) => {
    const { provider, configured, reachable, sshKeyRegistered, problem } = found;
    const variable = known.find(({ name }) => name === provider)?.keyVariable;
    if (!configured)
      return variable === undefined
        ? []
        : [`${provider} is off: set ${variable} and restart the server to use it.`];
    if (reachable === false)
      return [`${provider} cannot be used: ${problem ?? 'it does not answer.'}`];
    return [
      ...(problem === undefined ? [] : [`${provider}: ${problem}`]),
      ...balanceNotes(found),
      ...(sshKeyRegistered === false
        ? [
            `Our SSH key is not on the ${provider} account yet: the first pod registers it, or now fix "register_ssh_key".`,
          ]
        : []),
    ];
  });
}

function balanceNotes({ provider, balanceUsd, hoursLeft }: DoctorProvider): readonly string[] {
  if (balanceUsd !== undefined && balanceUsd <= 0)
    return [
      `The ${provider} account has no credit: nothing can be rented, running pods are stopped. Ask the user to add some.`,
    ];
  if (hoursLeft !== undefined && hoursLeft < LOW_HOURS)
    return [
      `The ${provider} balance lasts ${hoursLeft.toFixed(1)} h at what runs now: then every pod there stops. Ask the user to add some.`,
    ];
  return [];
}
