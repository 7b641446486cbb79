"""Plays the crash table on other pools, each cell in a process of its own, with a deadline, killed afterwards by pid.

usage: crash_table.py [--procspawn PROGRAM VERSION] [PEER=VERSION]...

Prints a line for each cell: PEER | VERSION | ROW | VERDICT | DETAIL. A verdict is one of
  exact     the task alone failed, with its cause; or it did not fail, where it should not
  no cause  the task alone failed, and the error does not tell why
  broken    others failed too, or the pool takes nothing more
  hang      somebody is not answered, or the pool does not end
  wrong     anything else: an answer where there should be none, or a process that stays
or several of them, each with how often it was so.
"""

import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import crash_deeds

# How long a cell has in all, once its pool is ready: its questions have five seconds each.
DEADLINE_S = 25
# How often a cell is played, unless it hangs.
TIMES = 3
START_S = 30
PR_SET_CHILD_SUBREAPER = 36
HERE = os.path.dirname(os.path.abspath(__file__))


def play_often(pattern, command):
    """Some outcomes are a matter of luck. A hang is told after one cell, as it takes so long."""
    ends = []
    for _ in range(TIMES):
        ends.append(judge(pattern, *play(command)))
        if ends[-1][0] == "hang":
            break
    verdicts = list(dict.fromkeys(verdict for verdict, _ in ends))
    if len(verdicts) == 1:
        return ends[0]
    counts = [f"{sum(one == verdict for one, _ in ends)} {verdict}" for verdict in verdicts]
    return ", ".join(counts), "; ".join(dict.fromkeys(detail for _, detail in ends))


def descendants():
    """All processes below this one: whoever loses its parent becomes a child of ours, and none escapes."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{name}/stat").read().rsplit(") ", 1)[1].split()
            parents.setdefault(int(fields[1]), []).append((int(name), fields[0]))
        except (OSError, IndexError):
            pass
    found, seen = [], [os.getpid()]
    while seen:
        for pid, state in parents.get(seen.pop(), []):
            found.append((pid, state))
            seen.append(pid)
    return found


def kill_all():
    """Until nobody is left: some pools start new workers while theirs are killed."""
    for _ in range(100):
        alive = [pid for pid, state in descendants() if state not in "ZX"]
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)
    raise SystemExit("processes of a cell cannot be killed")


def lines_until(stream, deadline):
    """The lines that come, until the stream ends or the time is over."""
    buffer = b""
    while (left := deadline() - time.monotonic()) > 0:
        if not select.select([stream], [], [], min(left, 1))[0]:
            continue
        piece = os.read(stream.fileno(), 65536)
        if not piece:
            return
        buffer += piece
        *whole, buffer = buffer.split(b"\n")
        yield from whole


def play(command):
    """Runs a cell. Gives what it told, and whether a grandchild outlived the pool's end."""
    told, deadline = {}, time.monotonic() + START_S
    null = subprocess.DEVNULL
    cell = subprocess.Popen(command, stdin=null, stdout=subprocess.PIPE, stderr=null, start_new_session=True, cwd=HERE)
    for line in lines_until(cell.stdout, lambda: deadline):
        try:
            what, how, text, short = json.loads(line)
        except ValueError:
            continue
        told[what] = (how, text, short)
        if how == "late":
            # The verdict is certain, and the other questions would take as long.
            break
        if what == "ready":
            deadline = time.monotonic() + DEADLINE_S
        if what == "end":
            # The cell has nothing left to do; what holds its output is judged by its name.
            deadline = min(deadline, time.monotonic() + 2)
    stays = any(is_sleep(pid) for pid, state in descendants() if state not in "ZX")
    kill_all()
    cell.stdout.close()
    return told, stays


def is_sleep(pid):
    try:
        return open(f"/proc/{pid}/comm").read().strip() == "sleep"
    except OSError:
        return False


RIGHT = {"neighbour": "9", "behind": "16", "next": "25"}


def judge(pattern, told, stays):
    """The verdict, and what it rests on."""
    if "ready" not in told:
        return "wrong", "the pool did not start"
    for what in ("own", "neighbour", "behind", "next"):
        if told.get(what, ("late",))[0] == "late":
            return "hang", f"{what} task is not answered"
    for what, value in RIGHT.items():
        if told[what][:2] != ("value", value):
            return "broken", f"{what} task: {told[what][2]}"
    how, text, short = told["own"]
    if pattern is None and how != "value":
        return "wrong", short
    if pattern is not None and how == "value":
        return "wrong", f"it answered {text}"
    if "end" not in told:
        return "hang", "the pool does not end"
    if stays:
        return "wrong", "the grandchild stays"
    if pattern is not None and not re.search(pattern, text):
        return "no cause", short
    return "exact", short


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Whatever ends this program, no cell stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        play_all(commands(sys.argv[1:]))
    finally:
        kill_all()


def commands(words):
    """Of each peer its name, its version, and what starts a cell."""
    found = []
    if words[:1] == ["--procspawn"]:
        found.append(("procspawn", words[2], [words[1]]))
        words = words[3:]
    for word in words:
        peer, version = word.split("=", 1)
        found.append((peer, version, [sys.executable, os.path.join(HERE, "crash_cell.py"), peer]))
    return found


def play_all(peers):
    for peer, version, command in peers:
        for row, (_, _, pattern) in crash_deeds.ROWS.items():
            verdict, detail = play_often(pattern, [*command, row])
            print(f"{peer} | {version} | {row} | {verdict} | {detail[:160]}", flush=True)


if __name__ == "__main__":
    main()
