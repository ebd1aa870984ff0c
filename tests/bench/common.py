"""What the parts of the benchmark share: a broker and a Redis, programs, topics, processor time of processes, results as JSON."""
import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS = ROOT + "/build/bench"
# As one that serves, not as a test's: what kafka-server-start.sh gives it
os.environ.setdefault("TAGD_BROKER_JAVA", "-XX:TieredStopAtLevel=4 -Xmx1g -Xms1g -XX:-UseSerialGC -XX:+UseG1GC -XX:MaxGCPauseMillis=20"
                      " -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15")
sys.path.insert(0, ROOT + "/tests/e2e")
from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient  # noqa: E402
import stack as s  # noqa: E402
from costs import BASE, CATALOG as COSTS  # noqa: E402

TAGD = s.TAGD
s.Stack.redis_options = ("--auto-aof-rewrite-min-size", "1gb")  # as deploy/guarantees.md recommends
PARTITIONS = 2
HOUR, DAY = 3600000, 86400000
CATALOG = {**COSTS, "events": {**COSTS["events"], "order.paid": {"fields": {"amount": "decimal"}}}}  # the peers don't dedupe
TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")


def path_of(program):
    return f"{ROOT}/build/release/bench_{program}"


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def save(part, result):
    os.makedirs(RESULTS, exist_ok=True)
    with open(f"{RESULTS}/{part}.json", "w") as file:
        json.dump(result, file, indent=1)


def saved(part):
    try:
        return json.load(open(f"{RESULTS}/{part}.json"))
    except FileNotFoundError:
        return None


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cores": os.cpu_count(), "model": model, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()}


started = []  # processes; what is left of them ends with the benchmark


def start(command, **more):
    started.append(subprocess.Popen(list(map(str, command)), **more))
    return started[-1]


def end_all():
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def servers(folder):
    """A broker and a Redis in a folder, which is gone afterwards with all that was started meanwhile."""
    stack = None
    try:
        stack = s.Stack(folder)
        yield stack
    finally:
        end_all()
        if stack:
            stack.stop()
        else:
            subprocess.run([s.BROKER, "stop", folder + "/kafka"])
        shutil.rmtree(folder, ignore_errors=True)


def on_one_stack(part):
    """A part that has a broker and a Redis for all that it measures."""
    @functools.wraps(part)
    def main(folder, options):
        with servers(folder) as stack:
            part(stack, options)
    return main


def run(program, *arguments, **more):
    """A program's last line, as JSON."""
    return finish(start([path_of(program), *arguments], stdout=subprocess.PIPE, text=True, **more))


def finish(process):
    text = process.communicate()[0]
    assert process.returncode == 0, f"{process.args[0]}: {process.returncode}"
    return json.loads(text.splitlines()[-1])


def events_command(n, customers, span_ms, base_ms=BASE, who="skew", types="shop", first=0):
    return [path_of("events"), *map(str, (n, customers, span_ms, base_ms, who, types, first))]


def fill(stack, topic, *arguments, **more):
    """Puts events into a topic: what events_command takes."""
    source = start(events_command(*arguments, **more), stdout=subprocess.PIPE)
    found = run("fill", stack.bootstrap, topic, stdin=source.stdout)
    assert source.wait() == 0
    return found


def create(stack, *topics, partitions=PARTITIONS):
    stack.create(topics, partitions)


def drop(stack, *prefixes):
    """Deletes the topics whose names begin so."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap, "log_level": 0})
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefixes)]
    for future in admin.delete_topics(names).values() if names else []:
        future.result(60)


class Committed:
    """How far a group's committed offsets are, in records of one topic that has no transactions' markers."""

    def __init__(self, stack, group, topic, partitions=PARTITIONS):
        self.consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": group, "log_level": 0})
        self.partitions = [TopicPartition(topic, p) for p in range(partitions)]

    def count(self):
        return sum(max(found.offset, 0) for found in self.consumer.committed(self.partitions, timeout=10))

    def wait(self, records, seconds=3600, pause=0.02):
        s.wait_for(f"{records} records committed", seconds, lambda: self.count() >= records, pause)
        self.consumer.close()


def cpu_us(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US  # utime, stime


def peak_mb(pid):
    return next(int(line.split()[1]) / 1024 for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM"))


class Meter:
    """Time and processor time between two moments, of one process and of the servers."""

    def __init__(self, stack, pid):
        self.pids = {"own": pid, "redis": stack.redis_process.pid, "broker": int(open(stack.folder + "/kafka/pid").read())}
        self.began, self.cpu = time.monotonic(), self.now()

    def now(self):
        return {name: cpu_us(pid) for name, pid in self.pids.items()}

    def figures(self, events):
        seconds, cpu = time.monotonic() - self.began, {name: n - self.cpu[name] for name, n in self.now().items()}
        return {"events": events, "seconds": seconds, "events_per_s": events / seconds, "cpu_us": cpu["own"] / events,
                "cpu_all_us": sum(cpu.values()) / events, "cpu_redis_us": cpu["redis"] / events, "cpu_broker_us": cpu["broker"] / events,
                "peak_mb": peak_mb(self.pids["own"])}


class Daemon(s.Daemon):
    def start(self, *arguments, **more):
        super().start(*arguments, **more)
        started.append(self.process)


def daemon(stack, name, catalog, topic, partitions=PARTITIONS, **settings):
    """A daemon on a source topic that is there, with outputs, group and state of its own."""
    d = Daemon(stack, name, catalog, [topic], **settings)
    d.partitions = partitions
    stack.create([v for k, v in d.config["outputs"].items() if k != "churn_risk"], partitions)
    return d


def changes_in(metrics):
    return int(sum(n for name, n in metrics.items() if name.startswith("tagd_tag_changes_total")))


def measure(d, topic, events, before=0):
    """From the first batch that the started daemon counts, or the first behind some events, to the last event's offset committed, which
    is behind its changes."""
    meter, seen = None, 0
    while seen < events:
        assert d.process.poll() is None, open(d.log).read()[-2000:]
        metrics = d.metrics()
        seen = int(metrics.get("tagd_events_total", 0))
        if meter is None and seen > before:
            meter, first, changed = Meter(d.stack, d.process.pid), seen, changes_in(metrics)
        if meter is None:
            time.sleep(0.01)
        else:  # looking costs processor time: seldom at first, and often towards the end
            rate = (seen - first + 1) / max(time.monotonic() - meter.began, 0.1)
            time.sleep(min(1, max(0.02, (events - seen) / rate / 2)))
    assert first < events, "all in one batch: more events are needed"
    Committed(d.stack, d.name, topic, d.partitions).wait(events)
    metrics = d.metrics()
    changes = changes_in(metrics)
    return {**meter.figures(events - first), "changes": changes, "changes_an_event": (changes - changed) / (events - first),
            "batches": int(metrics["tagd_batches_total"])}


def attempt(what, function, *arguments):
    """Its figures, or {"reason"}: why there are none. What it started is ended."""
    try:
        return function(*arguments)
    except (AssertionError, OSError, subprocess.SubprocessError, KafkaException) as failure:
        end_all()
        say(f"{what}: {failure!r}")
        return {"reason": str(failure).splitlines()[0] if str(failure) else type(failure).__name__}


def medians(runs):
    """Of runs of the same shape, one in which each number is their median. One that failed stands for all."""
    for run_ in runs:
        if isinstance(run_, dict) and "reason" in run_:
            return run_
    if isinstance(runs[0], dict):
        return {name: medians([r[name] for r in runs]) for name in runs[0]}
    if isinstance(runs[0], list):
        return [medians(list(same)) for same in zip(*runs)]
    return statistics.median(runs) if isinstance(runs[0], (int, float)) else runs[0]


def repeated(part, options, result, measured):
    """What `measured` finds by name, as medians of the runs; each run's own figures stand beside them. Saved after each."""
    result = {"machine": machine(), "repeated": options.runs, **result, "each": []}
    for turn in range(options.runs):
        result["each"].append(measured(turn))
        result.update(medians(result["each"]))
        save(part, result)


def median(runs, name):
    found = [r[name] for r in runs if r.get(name) is not None]
    return statistics.median(found) if found else None
