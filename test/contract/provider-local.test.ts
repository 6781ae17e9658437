import { openLocalProvider } from '../support/local-provider.ts';
import { describeProvider, unknownPodIdOf } from './provider-contract.ts';

describeProvider('local', async () => ({
  ...(await openLocalProvider()),
  unknownPodId: unknownPodIdOf('local'),
  tooLowUsdPerHour: -0.01,
}));
