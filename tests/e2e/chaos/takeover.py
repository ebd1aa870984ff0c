"""How long a killed daemon's shards are silent: seconds from kill -9 to the first new change in each of them, begun again at once, and
taken over by another instance (which has to wait for the session to end).

  takeover.py [--times N] [--session MS]"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from check import Checker  # noqa: E402
from load import PARTITIONS, Load  # noqa: E402
from stack import wait_for  # noqa: E402
import world as world_module  # noqa: E402
from world import World  # noqa: E402

RATE = 1000


def kill(world, checker, restart):
    """Seconds to the first new change in a partition that the killed one had, and in the last of them."""
    checker.watch()
    began = time.monotonic()
    world.a.end()
    if restart:
        world.a.up()
    wait_for("new changes everywhere", 60, lambda: len(checker.fresh) == PARTITIONS, 0.002)
    took = sorted(t - began for t in checker.fresh.values())
    if not restart:
        world.a.up()
    wait_for("both have shards", 60, world.settled)
    assert not checker.violations, checker.violations[0]
    return took[PARTITIONS // 2], took[-1]  # half of the partitions are the other one's


def measure(times, session_ms):
    world_module.SESSION_MS = session_ms
    folder = tempfile.mkdtemp(prefix="takeover-")
    world = World(folder)
    load = Load(world, 1, 10**7, 3000)
    checker = Checker(world, None, load)
    try:
        world.up()
        wait_for("both have shards", 60, world.settled)
        load.rate = RATE
        load.start()
        checker.start()
        wait_for("changes everywhere", 60, lambda: len(checker.fresh) == PARTITIONS)
        out = {}
        for name, restart in (("begun again at once, same instance", True), (f"taken over by another, session timeout {session_ms / 1000:g} s", False)):
            out[name] = []
            for _ in range(times):
                time.sleep(1.5)
                out[name].append(kill(world, checker, restart))
        return out
    finally:
        load.stop()
        checker.stopping = True
        world.close()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--session", type=int, default=10000)
    options = parser.parse_args()
    print(f"seconds from kill -9 to a new change, {options.times} kills each, {RATE} events/s: its first shard, its last")
    for name, found in measure(options.times, options.session).items():
        first, last = zip(*found)
        print(f"{name:50} median {statistics.median(first):5.2f} {statistics.median(last):5.2f}   max {max(first):5.2f} {max(last):5.2f}")


if __name__ == "__main__":
    main()
