"""One case on one pool of Python, asked for one figure after the other.

usage: bench.py PEER CASE

Prints a line once the pool has worked, then for each line of its input the figure that was asked for:
  ping_pong       "TIMES PAUSE_US NEAR FAR": microseconds of a call, the worker on core FAR, all else on core NEAR
  single_submits  "COUNT": tasks a second, submitted one by one, then all results
  map_auto        "COUNT": items a second, in chunks of 1000
  echo            "TIMES BYTES": milliseconds there and back
  start_two       any: milliseconds of a new pool of two, its first result, and its end
Ends when its input does, with its process group if it leads one.
"""

import os
import signal
import sys
import time

CHUNK = 1000


def add(a, b):
    return a + b


def increment(number):
    return number + 1


def nothing():
    pass


def give_back(value):
    return value


def pin(core):
    """All threads of the process that runs this, and those that they will start."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})


class Cpython:
    def __init__(self, workers):
        self.pool = self.executor()(workers)

    def executor(self):
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor

    def submit(self, function, *arguments):
        return self.pool.submit(function, *arguments)

    def result(self, future):
        return future.result()

    def map(self, function, inputs):
        return list(self.pool.map(function, inputs, chunksize=CHUNK))

    def end(self):
        self.pool.shutdown()


class Loky(Cpython):
    def executor(self):
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor


class CpythonPool:
    def __init__(self, workers):
        from multiprocessing import Pool

        self.pool = Pool(workers)

    def submit(self, function, *arguments):
        return self.pool.apply_async(function, arguments)

    def result(self, future):
        return future.get()

    def map(self, function, inputs):
        return self.pool.map(function, inputs, chunksize=CHUNK)

    def end(self):
        self.pool.close()
        self.pool.join()


class Pebble:
    def __init__(self, workers):
        from pebble import ProcessPool

        self.pool = ProcessPool(max_workers=workers)

    def submit(self, function, *arguments):
        return self.pool.schedule(function, args=arguments)

    def result(self, future):
        return future.result()

    def map(self, function, inputs):
        return list(self.pool.map(function, inputs, chunksize=CHUNK).result())

    def end(self):
        self.pool.close()
        self.pool.join()


class Mpire:
    def __init__(self, workers):
        from mpire import WorkerPool

        self.pool = WorkerPool(n_jobs=workers)

    def submit(self, function, *arguments):
        return self.pool.apply_async(function, arguments)

    def result(self, future):
        return future.get()

    def map(self, function, inputs):
        return self.pool.map(function, inputs, chunk_size=CHUNK)

    def end(self):
        self.pool.stop_and_join()


PEERS = {"cpython": Cpython, "cpython-pool": CpythonPool, "loky": Loky, "pebble": Pebble, "mpire": Mpire}


def warm(peer, workers):
    pool = peer(workers)
    for future in [pool.submit(add, 1, 2) for _ in range(4 * workers)]:
        pool.result(future)
    return pool


class PingPong:
    def __init__(self, peer):
        self.pool, self.far = warm(peer, 1), None

    def figure(self, times, pause_us, near, far):
        if self.far != far:
            pin(near)
            self.pool.result(self.pool.submit(pin, far))
            self.far = far
        taken = 0.0
        for _ in range(times):
            if pause_us:
                time.sleep(pause_us / 1e6)
            start = time.perf_counter()
            self.pool.result(self.pool.submit(add, 1, 2))
            taken += time.perf_counter() - start
        return taken / times * 1e6


class SingleSubmits:
    def __init__(self, peer):
        self.pool = warm(peer, 2)

    def figure(self, count):
        start = time.perf_counter()
        for future in [self.pool.submit(nothing) for _ in range(count)]:
            self.pool.result(future)
        return count / (time.perf_counter() - start)


class MapAuto:
    def __init__(self, peer):
        self.pool = warm(peer, 2)

    def figure(self, count):
        start = time.perf_counter()
        results = self.pool.map(increment, range(count))
        taken = time.perf_counter() - start
        assert results[-1] == count and len(results) == count
        return count / taken


class Echo:
    def __init__(self, peer):
        self.pool, self.value = warm(peer, 1), b""

    def figure(self, times, length):
        if len(self.value) != length:
            self.value = bytes(length)
        start = time.perf_counter()
        for _ in range(times):
            self.value = self.pool.result(self.pool.submit(give_back, self.value))
        taken = time.perf_counter() - start
        assert len(self.value) == length
        return taken / times * 1e3


class StartTwo:
    def __init__(self, peer):
        self.peer = peer

    def figure(self, _):
        start = time.perf_counter()
        pool = self.peer(2)
        pool.result(pool.submit(add, 1, 2))
        pool.end()
        return (time.perf_counter() - start) * 1e3


CASES = {
    "ping_pong": PingPong,
    "single_submits": SingleSubmits,
    "map_auto": MapAuto,
    "echo": Echo,
    "start_two": StartTwo,
}


def main():
    peer, case = sys.argv[1:]
    case = CASES[case](PEERS[peer])
    print(0, flush=True)
    for line in sys.stdin:
        print(case.figure(*map(int, line.split())), flush=True)
    # An orderly end may take long, or for ever, and without one some pools leave workers behind.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
