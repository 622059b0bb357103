"""Shutting a process in: namespaces, mounts, limits, capabilities, system calls.

A forked process calls these in turn before it runs a student's code, so that it is as confined as
in a sandbox of its own: it sees no other process, no network, nothing to write on but an empty
scratch folder, and cannot start another process. Linux only.
"""

import ctypes
import os
import platform
import resource
import struct
from dataclasses import dataclass

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_THREAD = 0x00010000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
CAPABILITIES = 64
SCRATCH = "/scratch"

# Denied inside: name, number on x86_64, number on aarch64 (None: it has no such call). Starting
# processes and programs, reaching into others, namespaces and mounts, kernel services that keep
# state outside of what limits count, those by which one process sees what another does with a
# file that both may read (two submissions, or two runs of one, could tell each other things), and
# what concerns the whole machine: its log, its disks.
DENIED = (
    *(("fork", 57, None), ("vfork", 58, None), ("execve", 59, 221), ("execveat", 322, 281)),
    *(("ptrace", 101, 117), ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271)),
    *(("unshare", 272, 97), ("setns", 308, 268), ("mount", 165, 40), ("umount2", 166, 39)),
    *(("pivot_root", 155, 41), ("chroot", 161, 51), ("open_tree", 428, 428)),
    *(("move_mount", 429, 429), ("fsopen", 430, 430), ("fsconfig", 431, 431)),
    *(("fsmount", 432, 432), ("fspick", 433, 433), ("mount_setattr", 442, 442)),
    *(("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219)),
    *(("bpf", 321, 280), ("perf_event_open", 298, 241), ("userfaultfd", 323, 282)),
    *(("io_uring_setup", 425, 425), ("io_uring_enter", 426, 426)),
    *(("io_uring_register", 427, 427), ("memfd_create", 319, 279), ("shmget", 29, 194)),
    *(("msgget", 68, 186), ("semget", 64, 190), ("mq_open", 240, 180), ("socket", 41, 198)),
    *(("name_to_handle_at", 303, 264), ("open_by_handle_at", 304, 265)),
    *(("pidfd_getfd", 438, 438), ("personality", 135, 92), ("flock", 73, 32)),
    *(("inotify_init", 253, None), ("inotify_init1", 294, 26), ("fanotify_init", 300, 262)),
    *(("syslog", 103, 116), ("sync", 162, 81), ("io_setup", 206, 0)),
    *(("preadv2", 327, 286), ("fadvise64", 221, 223), ("readahead", 187, 213)),
    *(("mincore", 27, 232), ("cachestat", 451, 451), ("pipe", 22, None), ("pipe2", 293, 59)),
    *(("socketpair", 53, 199), ("futex_waitv", 449, 449), ("futex_wake", 454, 454)),
    *(("futex_wait", 455, 455), ("futex_requeue", 456, 456)),
)
CLONE = {"x86_64": 56, "aarch64": 220}
FCNTL = {"x86_64": 72, "aarch64": 25}
FUTEX = {"x86_64": 202, "aarch64": 98}
# Of its operations: all that may reach another process, apart from waiting, as for a thread's end.
FUTEX_PRIVATE, FUTEX_COMMANDS, FUTEX_WAITS = 128, 127, (0, 9)
# Of its commands: locks (F_GETLK to F_SETLKW, F_OFD_GETLK to F_OFD_SETLKW), leases, notices.
FCNTL_DENIED = (5, 6, 7, 36, 37, 38, 1024, 1025, 1026)
CLONE3 = 435
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Limits:
    """What one process of a student's may use.

    Attributes
    ----------
    cpu : int
        Processor time in seconds.
    memory : int
        Bytes of address space on top of what the process starts with.
    threads : int
        Processes and threads together.
    files : int
        Open files.
    scratch : int
        Bytes in the scratch folder, and in one file.
    """

    cpu: int = 120
    memory: int = 1 << 30
    threads: int = 32
    files: int = 64
    scratch: int = 1 << 26


def enter_namespaces() -> None:
    """Give the calling process, and what it forks, namespaces of its own."""
    user, group = os.getuid(), os.getgid()
    # A process that has changed its user may not write its own maps until it is dumpable again.
    _call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)
    _call("unshare", CLONE_NEWUSER)
    _put("/proc/self/setgroups", "deny")
    _put("/proc/self/uid_map", f"{user} {user} 1")
    _put("/proc/self/gid_map", f"{group} {group} 1")
    others = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    _call("unshare", others)


def cover_folders(scratch: int) -> None:
    """Mount an empty scratch folder, and cover what shows other processes."""
    _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    size = f"size={scratch},nr_inodes=4096,mode=0700".encode()
    _call("mount", b"tmpfs", SCRATCH.encode(), b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, size)
    for folder in (b"/dev/shm", b"/dev/pts", b"/proc"):
        flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
        _call("mount", b"tmpfs", folder, b"tmpfs", flags, b"size=4096,nr_inodes=2")
    os.chdir(SCRATCH)


def set_limits(limits: Limits) -> None:
    """Set the resource limits of the calling process."""
    # If the machine runs out of memory, this process goes first, not the grader.
    _put("/proc/self/oom_score_adj", "1000")
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    for kind, value in (
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, size + limits.memory),
        (resource.RLIMIT_NPROC, limits.threads),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_FSIZE, limits.scratch),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        # Some machines allow less already.
        _, most = resource.getrlimit(kind)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    for capability in range(CAPABILITIES):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    header = struct.pack("<Ii", 0x20080522, 0)
    _call("capset", header, struct.pack("<6I", *[0] * 6))
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def filter_system_calls() -> bool:
    """Deny the system calls in `DENIED`, and new processes; threads stay possible.

    Returns
    -------
    bool
        Whether there is a filter for this kind of processor.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURE:
        return False
    on_x86 = machine == "x86_64"
    columns = ((x86 if on_x86 else arm) for _, x86, arm in DENIED)
    numbers = sorted({number for number in columns if number is not None})
    looked_at = CLONE[machine], FUTEX[machine], FCNTL[machine]
    program = _filter(ARCHITECTURE[machine], *looked_at, numbers)
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, pointer, 0, 0)
    return True


def _filter(architecture: int, clone: int, futex: int, fcntl: int, numbers: list[int]) -> bytes:
    """Return the classic BPF program; offsets are those of ``struct seccomp_data``."""
    load, equal, at_least, bits, mask, leave = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
    number, first_argument, second_argument = 0, 16, 24
    kill, allow, refused, absent = 0x80000000, 0x7FFF0000, 0x00050001, 0x00050026

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, value)

    steps = [
        step(load, 4),
        step(equal, architecture, yes=1),
        step(leave, kill),
        step(load, number),
        step(at_least, X32, no=1),
        step(leave, refused),
        # ENOSYS, so that the C library falls back to clone, whose flags can be looked at.
        step(equal, CLONE3, no=1),
        step(leave, absent),
    ]
    for denied in numbers:
        steps += [step(equal, denied, no=1), step(leave, refused)]
    steps += [
        step(equal, clone, no=3),
        step(load, first_argument),
        step(bits, CLONE_THREAD, yes=1),
        step(leave, refused),
        step(load, number),
        step(equal, futex, no=4 + len(FUTEX_WAITS)),
        step(load, second_argument),
        step(bits, FUTEX_PRIVATE, yes=2 + len(FUTEX_WAITS)),
        step(mask, FUTEX_COMMANDS),
        *(step(equal, w, yes=len(FUTEX_WAITS) - i) for i, w in enumerate(FUTEX_WAITS)),
        step(leave, refused),
        step(load, number),
        step(equal, fcntl, no=1 + 2 * len(FCNTL_DENIED)),
        step(load, second_argument),
    ]
    for command in FCNTL_DENIED:
        steps += [step(equal, command, no=1), step(leave, refused)]
    return b"".join([*steps, step(leave, allow)])


def _call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _put(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
