"""Tries system calls that the server never makes, one line each: runs in the unit's place, where its filter holds.

Invariant: what turns out to be allowed changes nothing but this process. The program that is shipped cannot make these
calls: they are not safe, and it has no code that is not.
"""

import ctypes
import errno
import platform

X86, ARM = "x86_64", "aarch64"
# asm/unistd.h; the newer calls have the same number everywhere.
NUMBERS = {
    "bpf": {X86: 321, ARM: 280},
    "io_uring_setup": {X86: 425, ARM: 425},
    "keyctl": {X86: 250, ARM: 219},
    "mlock": {X86: 149, ARM: 228},
    "mlockall": {X86: 151, ARM: 230},
    "mprotect": {X86: 10, ARM: 226},
    "open_by_handle_at": {X86: 304, ARM: 265},
    "perf_event_open": {X86: 298, ARM: 241},
    "pkey_mprotect": {X86: 329, ARM: 288},
    "userfaultfd": {X86: 323, ARM: 282},
}
READ, WRITE, EXECUTE = 1, 2, 4
PRIVATE_ANONYMOUS = 0x22
PAGE = 4096
FAILED = ctypes.c_void_p(-1).value

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.syscall.restype = ctypes.c_long


def call(name, *arguments):
    number = NUMBERS[name][platform.machine()]
    words = [ctypes.c_void_p(argument) if isinstance(argument, int) else argument for argument in arguments]
    return libc.syscall(ctypes.c_long(number), *words) != -1


def pages(protection):
    place = libc.mmap(None, PAGE, protection, PRIVATE_ANONYMOUS, -1, 0)
    return None if place == FAILED else place


def zeros():
    return ctypes.create_string_buffer(256)


TRIES = {
    "map-plain": lambda: pages(READ | WRITE) is not None,
    "map-writable-code": lambda: pages(READ | WRITE | EXECUTE) is not None,
    "make-data-code": lambda: call("mprotect", pages(READ | WRITE), PAGE, READ | EXECUTE),
    "make-data-code-key": lambda: call("pkey_mprotect", pages(READ | WRITE), PAGE, READ | EXECUTE, -1),
    "lock-memory": lambda: call("mlock", pages(READ | WRITE), PAGE),
    # No flag is an error of its own: only the filter refuses otherwise.
    "lock-all-memory": lambda: call("mlockall", 0),
    # KEYCTL_GET_KEYRING_ID of the process's own keyring, which is not made for it.
    "ask-for-keyring": lambda: call("keyctl", 0, -2, 0),
    # BPF_MAP_CREATE with nothing in it.
    "bpf": lambda: call("bpf", 0, zeros(), 0),
    "io-uring": lambda: call("io_uring_setup", 1, zeros()),
    "perf-event": lambda: call("perf_event_open", zeros(), 0, -1, -1, 0),
    "page-faults": lambda: call("userfaultfd", -1),
    "open-by-handle": lambda: call("open_by_handle_at", -1, zeros(), 0),
}


def main():
    for name, attempt in TRIES.items():
        ctypes.set_errno(0)
        allowed = attempt()
        detail = "-" if allowed else errno.errorcode[ctypes.get_errno()]
        print(f"{name:<20} {'allowed' if allowed else 'refused'} {detail}")


main()
