import { openLocalProvider } from '../support/local-provider.ts';
import { podProgram } from '../support/pod-program.ts';
import { describeProvider, unknownPodIdOf } from './provider-contract.ts';

const TRAITS = { isRemote: false, hasKey: false, canStop: true, holdsDeadlines: true };

describeProvider('local', TRAITS, async () => {
  const program = [...(await podProgram())];
  return {
    ...(await openLocalProvider(program)),
    unknownPodId: unknownPodIdOf('local'),
    tooLowUsdPerHour: -0.01,
    // The folder, which is the pod, is there before its program is found not to start.
    failAfterMachine: () => {
      program[0] = '/no/such/program';
    },
  };
});
