/** What no result of a training needs, by module; `*` is all of it. Opening a pickle calls what it names. */
const HOSTILE: Readonly<Record<string, '*' | readonly string[]>> = {
  os: '*',
  posix: '*',
  nt: '*',
  subprocess: '*',
  _posixsubprocess: '*',
  sys: '*',
  socket: '*',
  _socket: '*',
  shutil: '*',
  runpy: '*',
  pty: '*',
  importlib: '*',
  'importlib._bootstrap': '*',
  imp: '*',
  pkgutil: '*',
  ctypes: '*',
  _ctypes: '*',
  code: '*',
  codeop: '*',
  pdb: '*',
  bdb: '*',
  cProfile: '*',
  profile: '*',
  timeit: '*',
  trace: '*',
  pip: '*',
  venv: '*',
  ensurepip: '*',
  webbrowser: '*',
  antigravity: '*',
  commands: '*',
  popen2: '*',
  pickle: '*',
  _pickle: '*',
  cPickle: '*',
  marshal: '*',
  shelve: '*',
  _thread: '*',
  multiprocessing: '*',
  'multiprocessing.context': '*',
  asyncio: '*',
  'asyncio.subprocess': '*',
  'asyncio.unix_events': '*',
  'concurrent.futures': '*',
  tempfile: '*',
  ssl: '*',
  ftplib: '*',
  smtplib: '*',
  telnetlib: '*',
  httplib: '*',
  'http.client': '*',
  'urllib.request': '*',
  urllib: '*',
  urllib2: '*',
  requests: '*',
  'requests.api': '*',
  aiohttp: '*',
  builtins: [
    'eval',
    'exec',
    'execfile',
    'compile',
    'open',
    'input',
    'setattr',
    'delattr',
    'globals',
    'locals',
    'apply',
    'breakpoint',
    '__import__',
    'help',
  ],
  operator: ['attrgetter', 'itemgetter', 'methodcaller'],
  _operator: ['attrgetter', 'itemgetter', 'methodcaller'],
  functools: ['reduce'],
  io: ['open', 'open_code', 'FileIO'],
  _io: ['open', 'open_code', 'FileIO'],
  codecs: ['open'],
  pydoc: ['locate', 'pipepager', 'tempfilepager', 'plainpager'],
  inspect: ['getattr_static'],
  'torch.serialization': ['load'],
  torch: ['load', 'hub'],
  'torch.hub': '*',
  'torch._dynamo.guards': ['GuardBuilder'],
  'torch.utils.collect_env': '*',
  'torch.utils.data.datapipes.utils.decoder': ['basichandlers'],
  'torch.utils.bottleneck.__main__': '*',
  'torch._inductor.codecache': ['compile_file'],
  'numpy.testing._private.utils': '*',
  'numpy.f2py': '*',
  'numpy.f2py.crackfortran': '*',
  'numpy.distutils': '*',
  'distutils.file_util': '*',
  site: '*',
  platform: ['popen'],
};
/** Older names of `builtins`. */
const SAME: Readonly<Record<string, string>> = {
  __builtin__: 'builtins',
  __builtins__: 'builtins',
};

/** Builds code, or opens a pickle inside the pickle: what that does cannot be seen from here. */
const OPAQUE: Readonly<Record<string, '*' | readonly string[]>> = {
  builtins: ['getattr', 'vars'],
  types: ['CodeType', 'FunctionType', 'ModuleType'],
  dill: '*',
  'dill._dill': '*',
  cloudpickle: '*',
  'cloudpickle.cloudpickle': '*',
  'cloudpickle.cloudpickle_fast': '*',
  'torch.storage': ['_load_from_bytes'],
};
/** Words that reach for code through an innocent object, once something can look names up. */
const REACHING =
  /^(?:system|popen|exec|eval|compile|spawn\w*|exec[lv]\w*|check_output|Popen|__(?:import|globals|builtins|subclasses|code|getattribute)__)$/;

/** What is hostile in a name that a pickle would look up, in our own words; undefined when nothing is. */
export function hostileGlobal(module: string, name: string): string | undefined {
  const plain = SAME[module] ?? module;
  const steps = name.split('.');
  // `os` and `system` are reached from any module that imports them by a name with dots.
  const through =
    steps.length < 2 ? undefined : steps.find((step) => entryOf(HOSTILE, step) === '*');
  if (through !== undefined) return `the module ${through}`;
  const known = entryOf(HOSTILE, plain);
  if (known === '*') return `the module ${plain}`;
  const first = known?.find((hostile) => hostile === steps[0]);
  if (first !== undefined) return `${plain}.${first}`;
  return steps.length > 1 && steps.some(isReaching) ? 'a name that reaches for code' : undefined;
}

export function isOpaqueGlobal(module: string, name: string): boolean {
  const known = entryOf(OPAQUE, SAME[module] ?? module);
  return known === '*' || known?.includes(name) === true;
}

export function isReaching(word: string): boolean {
  return REACHING.test(word);
}

function entryOf<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
