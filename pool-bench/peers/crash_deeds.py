"""What a task does, in Python: the rows of the crash table, as far as they have a meaning there.

Each row gives the function, its arguments, and what a good pool answers: a value, or an error that tells the cause,
which a pattern finds in the error's text.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time


class Odd(BaseException):
    """What stands for a panic whose payload is no string: no Exception."""


def square(number):
    return number * number


def slow_square(number):
    time.sleep(0.5)
    return number * number


def exits(code):
    os._exit(code)


def aborts():
    os.abort()


def segfaults():
    ctypes.string_at(0)


def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def panics():
    raise ValueError("told to")


def panics_oddly():
    raise Odd("told to")


def overflows_its_stack():
    """Through C, whose stack is the one that has a limit."""
    sys.setrecursionlimit(10**9)
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    sort = ctypes.CDLL(None).qsort

    def compare(_one, _other):
        sort((ctypes.c_int * 2)(2, 1), 2, 4, compare_c)
        return 0

    compare_c = compare_type(compare)
    compare(None, None)


def exhausts_its_memory():
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    held = []
    while True:
        held.append(bytearray(1 << 20))


def returns_a_lock():
    return threading.Lock()


def fail_outside(pid, oddly):
    """Decodes in the process of that pid, and in no other."""
    if os.getpid() != pid:
        raise Odd("told to") if oddly else ValueError("told to")
    return None


class Undecodable:
    def __init__(self, oddly):
        self.oddly = oddly

    def __reduce__(self):
        return fail_outside, (os.getpid(), self.oddly)


class Unencodable:
    def __reduce__(self):
        raise Odd("told to")


def returns_undecodable(oddly):
    return Undecodable(oddly)


def returns_unencodable():
    return Unencodable()


def takes(_argument):
    return 1


def leaves_a_thread():
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    return 1


def leaves_a_grandchild():
    return subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL).pid


def closes_descriptors():
    os.closerange(0, 10)
    return 1


def blocks_sigterm():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return 1


VALUE = None
TOLD = "told to"
# Some codecs drop the value's own words, and still say that it was they.
CODEC = "told to|SerDeError|PicklingError|cannot pickle"


def died(name, number):
    return rf"{name}|signal \W*{number}\b|code\W*-{number}\b|status\W*-{number}\b|exitcode\W*-{number}\b"


def left(code):
    return rf"(code|status)\W*{code}\b"


# Row -> (function, a function that makes the arguments, what the error tells or VALUE).
ROWS = {
    "exits with 0": (exits, lambda: (0,), left(0)),
    "exits with 1": (exits, lambda: (1,), left(1)),
    "aborts": (aborts, tuple, died("SIGABRT", 6)),
    "segfaults": (segfaults, tuple, died("SIGSEGV", 11)),
    "is SIGKILLed": (is_killed, tuple, died("SIGKILL", 9)),
    "panics": (panics, tuple, TOLD),
    "panics with a payload that is no string": (panics_oddly, tuple, "told to|Box<Any>"),
    "overflows its stack": (overflows_its_stack, tuple, died("SIGSEGV", 11) + "|" + died("SIGABRT", 6)),
    "exhausts its memory limit": (exhausts_its_memory, tuple, "MemoryError|" + died("SIGABRT", 6)),
    "returns what cannot be encoded": (returns_a_lock, tuple, CODEC),
    "returns what the parent cannot decode": (returns_undecodable, lambda: (False,), CODEC),
    "gets arguments that the worker cannot decode": (takes, lambda: (Undecodable(False),), CODEC),
    "panics in Serialize of its result": (returns_unencodable, tuple, CODEC),
    "panics in Serialize of its arguments": (takes, lambda: (Unencodable(),), CODEC),
    "panics in Deserialize of its arguments": (takes, lambda: (Undecodable(True),), CODEC),
    "panics in Deserialize of its result": (returns_undecodable, lambda: (True,), CODEC),
    "leaves a running thread": (leaves_a_thread, tuple, VALUE),
    "leaves a grandchild": (leaves_a_grandchild, tuple, VALUE),
    "closes fds 0 to 9": (closes_descriptors, tuple, VALUE),
    "blocks SIGTERM": (blocks_sigterm, tuple, VALUE),
}
