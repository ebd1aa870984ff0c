"""The real thing under faults: a broker, a Redis, two daemons of two workers each, and a reader that checks every change as it comes.

  run.py [--events N] [--seed S] [--faults K] [--kinds a,b] [--live] [--customers C] [--fsync F] [--tagd PATH] [--keep]

Ends with 1 at any violation."""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import faults  # noqa: E402
import stack  # noqa: E402
from check import Checker, Wanted  # noqa: E402
from load import PARTITIONS, SILENCE_UNITS, UNIT_S, GRACE_MS, Load  # noqa: E402
from world import World, use  # noqa: E402

RATE_MAX, RATE_MIN, RATE_DRAIN = 2500, 200, 4000
RECOVERED_S = 60


class Violation(Exception):
    pass


class Run:
    def __init__(self, options, folder):
        self.options, self.rng = options, random.Random(options.seed)
        self.times = []  # (kind, seconds: it lasted, to a new change in every partition, the longest without any in one)
        self.counted = {}
        self.may_lose = False  # a fault has begun that Redis may lose writes by
        self.simulator = stack.TAGD
        use(os.path.abspath(options.tagd or stack.TAGD))
        self.world = World(folder, options.live, options.fsync)
        self.world.trimmed = False
        self.load = self.world.load = Load(self.world, options.seed, options.events, options.customers)
        self.wanted = None if options.live else self.simulate()
        self.checker = Checker(self.world, self.wanted, self.load)

    # ---- what must come ----

    def until_ms(self):
        return self.load.last_ms() + SILENCE_UNITS * (1 if self.options.live else UNIT_S) * 1000

    def simulate(self):
        lines = open(self.world.folder + "/live.jsonl", "rb") if self.options.live else self.load.lines()
        return Wanted(self.world.folder, self.simulator, self.world.catalog_path, lines, self.until_ms())

    # ---- looking on ----

    def look(self):
        """Raises at the first thing that is wrong."""
        if self.checker.violations:
            raise Violation
        if self.load.error is not None:
            raise self.load.error
        for d in self.world.daemons:
            if not d.look():
                self.checker.fail("ended", f"daemon {d.letter} ended by itself with {d.ended[-1]}: {d.log_tail(1500)}")
            if not d.frozen and not d.down:
                self.scrape(d)

    def scrape(self, d):
        for name, value in d.metrics().items():
            if "audit_mismatches" in name and value > 0:
                self.checker.fail("audit", f"{d.letter}: {name} {value:.0f}: {d.log_tail(1500)}")
            if name == "tagd_repairs_begun_total" and value > 0 and not self.may_lose:
                self.checker.fail("repair", f"{d.letter}: of a Redis that lost nothing: {d.log_tail(1500)}")
            if name.startswith(("tagd_takeovers_total", "tagd_kafka_tainted", "tagd_audits", "tagd_repairs", "tagd_commits_total", "tagd_publishes_total")):
                self.counted[d.letter, d.process.pid, name] = value

    def wait(self, what, seconds, condition):
        deadline = time.monotonic() + seconds
        while not condition():
            self.look()
            if time.monotonic() > deadline:
                self.checker.fail("not recovered", f"not within {seconds} s: {what}; " + "; ".join(
                    f"{d.letter}: {d.running()} shards, {d.log_tail(1000)}" for d in self.world.daemons))
                raise Violation
            time.sleep(0.02)

    def pace(self, faults_left, spent):
        """So that the events last for the faults that are left."""
        left = self.options.events - self.load.sent
        self.load.rate = min(RATE_MAX, max(RATE_MIN, left / (1.2 * spent * faults_left))) if faults_left else RATE_DRAIN

    # ---- one fault ----

    def fault(self, kind):
        self.checker.watch()
        self.may_lose = self.may_lose or kind in faults.MAY_LOSE
        began = time.monotonic()
        try:
            faults.KINDS[kind](self.world, self.rng)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.checker.fail(kind, str(error)[-2000:])
            raise Violation from error
        lasted = time.monotonic() - began
        self.wait(f"a new change in every partition after {kind}", RECOVERED_S, lambda: len(self.checker.fresh) == PARTITIONS)
        took = max(self.checker.fresh.values()) - began
        self.checker.watch(silence=False)
        self.wait(f"changes from every partition once {kind} is over", RECOVERED_S, lambda: len(self.checker.fresh) == PARTITIONS)
        self.times.append((kind, lasted, took, self.checker.silence))
        self.wait(f"every shard runs after {kind}", RECOVERED_S, self.world.settled)
        if self.options.verbose:
            print(f"  {time.monotonic() - self.began:6.1f} s  {kind}: lasted {lasted:.1f} s, new changes everywhere after {took:.1f} s; "
                  f"{self.load.sent} events, {self.checker.compared} changes", flush=True)

    def quiet(self):
        """Now and then all is read, and every customer's view can be compared with what was published last."""
        self.checker.sample(50)
        time.sleep(0.2 + 1.2 * self.rng.random())
        self.look()

    # ---- all of it ----

    def go(self):
        self.began = time.monotonic()
        self.checker.start()
        self.world.up()
        self.wait("every shard runs", 60, self.world.settled)
        plan = faults.plan(self.rng, self.options.faults, self.options.kinds)
        self.load.rate = RATE_MAX / 2
        self.load.start()
        self.checker.watch()
        self.wait("changes from every partition", 60, lambda: len(self.checker.fresh) == PARTITIONS)
        began = time.monotonic()
        for i, kind in enumerate(plan):
            self.pace(len(plan) - i, (time.monotonic() - began + 80) / (i + 8))  # ten seconds each, until more is known
            self.quiet()
            self.fault(kind)
        self.finish()

    def finish(self):
        self.pace(0, 0)
        limit = 60 + self.options.events / 1000
        self.wait("all events are produced", limit, lambda: not self.load.thread.is_alive())
        self.wait("all events are committed", 60, self.load.all_committed)
        if self.options.live:
            until = time.monotonic() + SILENCE_UNITS + 5
            self.wait("nothing changes any more", 60, lambda: time.monotonic() > until)
        else:
            self.load.end(self.until_ms() + GRACE_MS)
        self.wait("all that must come", 60, self.checker.complete)
        self.wait("all is committed", 60, self.load.all_committed)
        time.sleep(1)  # nothing more may come
        for d in self.world.daemons:
            self.scrape(d)
            if d.end(15) != 0:
                self.checker.fail("ended", f"{d.letter}: {d.log_tail()}")
        self.load.stop()
        self.views = self.checker.finish(self.wanted or self.simulate())

    def total(self, name):
        return int(sum(v for (_, _, n), v in self.counted.items() if n.startswith(name)))

    def close(self):
        self.load.stopping = True
        self.checker.stopping = True
        self.world.close()

    # ---- what there is to tell ----

    def summary(self):
        by, checker = {}, self.checker
        for kind, *seconds in self.times:
            by.setdefault(kind, []).append(seconds)
        out = ["seconds: how long the fault lasted; from its beginning to a new change in every partition; the longest time without one in some partition",
               f"{'fault':34} {'times':>5} {'lasted, max':>12} {'new, median':>12} {'new, max':>10} {'silence, max':>13}"]
        for kind, of in sorted(by.items()):
            lasted, took, silence = zip(*of)
            out.append(f"{kind:34} {len(of):5} {max(lasted):12.1f} {statistics.median(took):12.1f} {max(took):10.1f} {max(silence):13.1f}")
        kinds = [k for k, _ in checker.violations]
        views = getattr(self, "views", 0)
        out += ["", f"{self.load.sent} events, {len(self.times)} faults of {len(by)} kinds, {time.monotonic() - self.began:.0f} s, seed {self.options.seed}",
                f"{checker.compared} changes ({', '.join(f'{kind} {n}' for kind, n in sorted(checker.by_kind.items()))})" + ("" if self.options.live else f" of {self.wanted.total} compared with tagd simulate") +
                f", {len(checker.letters)} of {len(self.load.letters)} dead letters, {views} views in the end, {checker.views_sampled} on the way",
                f"takeovers: {self.total('tagd_takeovers_total')} ({self.total('tagd_takeovers_total{found=' + chr(34) + 'outbox')} through the outbox), "
                f"repairs {self.total('tagd_repairs_total')}, "
                f"tainted transactions {self.total('tagd_kafka_tainted')}, fenced commits {self.total('tagd_commits_total{outcome=' + chr(34) + 'fenced')}, "
                f"audits {self.total('tagd_audits')}",
                "population: " + "; ".join(checker.counted or ["not compared"]),
                f"lost {kinds.count('lost')}, doubled {kinds.count('doubled')}, out of order {kinds.count('out of order')}, "
                f"different {kinds.count('different') + kinds.count('dead letter') + kinds.count('identity')}, "
                f"view mismatches {kinds.count('view')}, population mismatches {kinds.count('population')}, audit mismatches {kinds.count('audit')}, "
                f"repairs without a loss {kinds.count('repair')}, "
                f"other {sum(1 for k in kinds if k in ('ended', 'not recovered', 'the reader', 'header') or k in faults.KINDS)}"]
        return "\n".join(out + [f"VIOLATION: {kind}: {text}" for kind, text in checker.violations[:5]])


def chaos(keep=False, **options):
    """(summary, violations). A run that breaks off for another reason raises."""
    defaults = {"events": 100000, "seed": random.randrange(10**6), "faults": 8, "kinds": None, "live": False, "tagd": None,
                "fsync": "everysec", "customers": 3000, "verbose": True, "forget": False}
    options = SimpleNamespace(**{**defaults, **{k: v for k, v in options.items() if v is not None}})
    options.kinds = options.kinds or [k for k in faults.KINDS if (options.live or k not in faults.LIVE_ONLY)]
    folder = tempfile.mkdtemp(prefix="chaos-")
    run = Run(options, folder)
    try:
        run.go()
    except Violation:
        pass
    finally:
        run.close()
        gone = not keep and (options.forget or not run.checker.violations)
        if gone:
            shutil.rmtree(folder)
    text = run.summary()
    if not gone:
        text += f"\nlogs and data: {folder}"
    return text, run.checker.violations


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("events", "seed", "faults", "customers"):
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--kinds", type=lambda text: text.split(","), help="of " + ", ".join(faults.KINDS))
    parser.add_argument("--live", action="store_true", help='"time": "live"')
    parser.add_argument("--fsync", choices=("always", "everysec", "no"))
    parser.add_argument("--tagd", help="the daemons' build")
    parser.add_argument("--keep", action="store_true", help="logs and data stay")
    text, violations = chaos(**vars(parser.parse_args()))
    print(text)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
