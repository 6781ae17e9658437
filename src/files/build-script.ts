import { shellQuote } from '../core/shell-quote.ts';
import { dotted } from './pod-names.ts';

/** Of `buildScript`: its input ended or was no line of ours; a file that was to be patched has gone or is shorter. */
export const BUILD_EXIT = { cut: 53, base: 54, write: 52 } as const;

/**
 * Writes files into the current folder from lines of standard input, each ending with the token:
 * `b FILE BASED` begins one, `w AT BYTES` is followed by bytes, `e FILE BYTES` ends it. What is between comes from the file
 * of the same name in the folder above. Each byte is hashed as it is written; the hash goes to a file of its own.
 */
const PYTHON = `import hashlib, os, queue, stat, sys, threading
token, names = sys.argv[1], sys.argv[2:]
chunk = 1 << 20
source = open(0, "rb", chunk)
try:
    import fcntl
    fcntl.fcntl(0, 1031, chunk)
except (ImportError, OSError):
    pass
def end(code, why=""):
    sys.stderr.write(str(why) + "\\n")
    sys.stderr.flush()
    os._exit(code)
class File:
    def __init__(self, name, based):
        self.at = 0
        self.base = -1
        if based:
            try:
                self.base = os.open("../" + name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                if not stat.S_ISREG(os.fstat(self.base).st_mode):
                    end(${BUILD_EXIT.base})
            except OSError as why:
                end(${BUILD_EXIT.base}, why)
        self.fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        self.hash = hashlib.sha256()
        self.todo = queue.Queue(8)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
    def work(self):
        for b in iter(self.todo.get, None):
            self.hash.update(b)
    def put(self, b):
        self.todo.put(b)
        v = memoryview(b)
        while v:
            v = v[os.write(self.fd, v):]
        self.at += len(b)
    def copy(self, to):
        while self.at < to:
            b = os.pread(self.base, min(chunk, to - self.at), self.at) if self.base >= 0 else b""
            if not b:
                end(${BUILD_EXIT.base})
            self.put(b)
    def receive(self, count):
        while count:
            b = source.read(min(chunk, count))
            if not b:
                end(${BUILD_EXIT.cut})
            count -= len(b)
            self.put(b)
    def finish(self, number):
        self.todo.put(None)
        self.thread.join()
        os.close(self.fd)
        if self.base >= 0:
            os.close(self.base)
        with open(".gpu-lease-sum-%s-%d" % (token, number), "w") as f:
            f.write(self.hash.hexdigest() + "\\n")
f = None
try:
    for line in source:
        w = line.decode("latin1").split()
        if len(w) != 4 or w[3] != token or not line.endswith(b"\\n"):
            end(${BUILD_EXIT.cut})
        x, y = int(w[1]), int(w[2])
        if w[0] == "b":
            f = File(names[x - 1], y)
        elif w[0] == "w":
            f.copy(x)
            f.receive(y)
        else:
            f.copy(y)
            f.finish(x)
            f = None
except OSError as why:
    end(${BUILD_EXIT.write}, why)
if f:
    end(${BUILD_EXIT.cut})`;

/** `names` are below the current folder, of which python3 loads no program. */
export function buildScript(names: readonly string[], token: string): string {
  return `python3 -I -S -c ${shellQuote(PYTHON)} ${[token, ...names.map(dotted)].map(shellQuote).join(' ')}`;
}

/** The file that holds the hash of the `number`th file, below the staging folder. */
export function sumName(token: string, number: number): string {
  return `.gpu-lease-sum-${token}-${number}`;
}
