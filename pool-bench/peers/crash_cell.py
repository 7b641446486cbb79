"""One cell: a pool of two workers, a neighbour that runs, the task of the row, and what comes after it.

usage: crash_cell.py PEER ROW

Prints what it learns as it learns it, a JSON list a line, so that a cell that hangs tells how far it came:
["own" | "neighbour" | "behind" | "next" | "end", "value" | "error" | "late" | "done", TEXT, SHORT]
where TEXT of an error is all that it tells, its attributes among it, and SHORT is one line.
"""

import json
import sys
import time
import traceback

import crash_deeds

# How long the pool has to answer each question.
PATIENCE_S = 5


def cpython():
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(2)
    return pool.submit, lambda future, limit: future.result(limit), pool.shutdown


def loky():
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(2)
    return pool.submit, lambda future, limit: future.result(limit), pool.shutdown


def pebble():
    from pebble import ProcessPool

    pool = ProcessPool(max_workers=2)

    def end():
        pool.close()
        pool.join()

    submit = lambda function, *arguments: pool.schedule(function, args=arguments)
    return submit, lambda future, limit: future.result(limit), end


def mpire():
    from mpire import WorkerPool

    pool = WorkerPool(n_jobs=2)

    def end():
        pool.stop_and_join()

    submit = lambda function, *arguments: pool.apply_async(function, arguments)
    return submit, lambda future, limit: future.get(limit), end


def deadpool():
    from deadpool import Deadpool

    pool = Deadpool(max_workers=2)
    return pool.submit, lambda future, limit: future.result(limit), pool.shutdown


PEERS = {"cpython": cpython, "loky": loky, "pebble": pebble, "mpire": mpire, "deadpool-executor": deadpool}


def tell(*words):
    print(json.dumps(words), flush=True)


def tell_error(name, how, error):
    """All that an error tells: its type, its text, its causes and its attributes."""
    whole = "".join(traceback.format_exception(error))
    chain, told = error, []
    while chain is not None and len(told) < 9:
        told.append(repr(getattr(chain, "__dict__", {})))
        chain = chain.__cause__ or chain.__context__
    short = (str(error).splitlines() or [""])[0]
    tell(name, how, whole + "\n" + "\n".join(told), f"{type(error).__name__}: {short}")


def ask(name, result, future, limit_s):
    """Asks for a result, which is told whatever it is."""
    start = time.monotonic()
    try:
        value = result(future, limit_s)
        tell(name, "value", repr(value), repr(value))
    except BaseException as error:
        # A task's own error may be a timeout, too; one of the wait comes when the time is over.
        late = "Timeout" in type(error).__name__ and time.monotonic() - start >= limit_s * 0.9
        tell_error(name, "late" if late else "error", error)


def submit_and_ask(name, submit, result, function, arguments, limit_s):
    try:
        future = submit(function, *arguments)
    except BaseException as error:
        tell_error(name, "error", error)
        return
    ask(name, result, future, limit_s)


def main():
    peer, row = sys.argv[1:]
    function, arguments, _ = crash_deeds.ROWS[row]
    submit, result, end = PEERS[peer]()
    # Both workers are there, and have worked.
    for future in [submit(crash_deeds.slow_square, number) for number in (1, 2)]:
        result(future, 60)
    tell("ready", "done", "", "")
    neighbour = submit(crash_deeds.slow_square, 3)
    try:
        own = submit(function, *arguments())
    except BaseException as error:
        own = None
        tell_error("own", "error", error)
    try:
        behind = submit(crash_deeds.square, 4)
    except BaseException as error:
        behind = None
        tell_error("behind", "error", error)
    if own is not None:
        ask("own", result, own, PATIENCE_S)
    ask("neighbour", result, neighbour, PATIENCE_S)
    if behind is not None:
        ask("behind", result, behind, PATIENCE_S)
    submit_and_ask("next", submit, result, crash_deeds.square, (5,), PATIENCE_S)
    end()
    tell("end", "done", "", "")


if __name__ == "__main__":
    main()
