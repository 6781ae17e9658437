import type { Collection, Collections, LogEntry, Store } from '../core/store.ts';

/** The same laws as the SQLite store, for tests and dry runs. One process, no disk. */
export function createMemoryStore(): Store {
  let state = emptyState();
  let queue: Promise<unknown> = Promise.resolve();

  const collections = (current: () => State): Collections => ({
    leases: over(() => current().leases),
    quotes: over(() => current().quotes),
    receipts: over(() => current().receipts),
    chain: over(() => current().chain),
    code: over(() => current().code),
    sessions: over(() => current().sessions),
    jobs: over(() => current().jobs),
    artifacts: over(() => current().artifacts),
    profiles: over(() => current().profiles),
    hostKeys: over(() => current().hostKeys),
    hosts: over(() => current().hosts),
    watchers: over(() => current().watchers),
    log: {
      append: async (entry) => {
        current().log.push(entry);
        return Promise.resolve();
      },
      list: async (podId) =>
        Promise.resolve(
          current().log.filter((entry) => podId === undefined || entry.podId === podId),
        ),
    },
  });

  return {
    ...collections(() => state),
    async transaction<T>(work: (tx: Collections) => Promise<T>): Promise<T> {
      const run = queue.then(async () => {
        const draft = copyState(state);
        const result = await work(collections(() => draft));
        state = draft;
        return result;
      });
      queue = run.catch(() => undefined);
      return run;
    },
    async [Symbol.asyncDispose]() {
      await queue;
    },
  };
}

function emptyState() {
  return {
    leases: new Map<string, Collections['leases'] extends Collection<infer T> ? T : never>(),
    quotes: new Map<string, Collections['quotes'] extends Collection<infer T> ? T : never>(),
    receipts: new Map<string, Collections['receipts'] extends Collection<infer T> ? T : never>(),
    chain: new Map<string, Collections['chain'] extends Collection<infer T> ? T : never>(),
    code: new Map<string, Collections['code'] extends Collection<infer T> ? T : never>(),
    sessions: new Map<string, Collections['sessions'] extends Collection<infer T> ? T : never>(),
    jobs: new Map<string, Collections['jobs'] extends Collection<infer T> ? T : never>(),
    artifacts: new Map<string, Collections['artifacts'] extends Collection<infer T> ? T : never>(),
    profiles: new Map<string, Collections['profiles'] extends Collection<infer T> ? T : never>(),
    hostKeys: new Map<string, Collections['hostKeys'] extends Collection<infer T> ? T : never>(),
    hosts: new Map<string, Collections['hosts'] extends Collection<infer T> ? T : never>(),
    watchers: new Map<string, Collections['watchers'] extends Collection<infer T> ? T : never>(),
    log: new Array<LogEntry>(),
  };
}
type State = ReturnType<typeof emptyState>;

function copyState(state: State): State {
  return {
    leases: new Map(state.leases),
    quotes: new Map(state.quotes),
    receipts: new Map(state.receipts),
    chain: new Map(state.chain),
    code: new Map(state.code),
    sessions: new Map(state.sessions),
    jobs: new Map(state.jobs),
    artifacts: new Map(state.artifacts),
    profiles: new Map(state.profiles),
    hostKeys: new Map(state.hostKeys),
    hosts: new Map(state.hosts),
    watchers: new Map(state.watchers),
    log: [...state.log],
  };
}

function over<T>(records: () => Map<string, T>): Collection<T> {
  return {
    get: async (id) => Promise.resolve(records().get(id)),
    list: async () => Promise.resolve([...records().values()]),
    put: async (id, record) => {
      records().set(id, record);
      return Promise.resolve();
    },
    delete: async (id) => {
      records().delete(id);
      return Promise.resolve();
    },
  };
}
