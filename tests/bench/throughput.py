"""Events per second and what an event costs: floors, tagd and two peers at the same job, on the same topic, one after the other."""
import json
import os
import shutil
import subprocess
import threading
import time

from common import BASE, CATALOG, DAY, HERE, HOUR, RESULTS, TAGD, Meter, attempt, create, daemon, drop, events_command, machine, measure, on_one_stack, path_of, run, save, say, start

LEFT_OUT = 1000  # events: changes of the time of the last so many aren't compared, since a run may end before another's timers
PARTITIONS = 4  # of the topic: a worker has at least one
LEAST_PER_S = 2000  # a peer that takes longer is stuck
CLASSES = {"kafka-streams": "TagPeer", "flink": "FlinkPeer"}


def build_peer(name):
    """The folder of its jars, fetched and compiled once."""
    source, folder = f"{HERE}/peers/{name}", f"{RESULTS}/peers/{name}"
    java = f"{source}/{CLASSES[name]}.java"
    done = f"{folder}/out/{CLASSES[name]}.class"
    if not os.path.exists(folder + "/fetched"):
        os.makedirs(folder, exist_ok=True)
        shutil.copy(source + "/pom.xml", folder)
        subprocess.run(["mvn", "-q", "-B", "-Dstyle.color=never", "-f", folder + "/pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/libs"], check=True)
        open(folder + "/fetched", "w").close()
    if not os.path.exists(done) or os.path.getmtime(done) < os.path.getmtime(java):
        subprocess.run(["javac", "-nowarn", "-cp", folder + "/libs/*", "-d", folder + "/out", java], check=True)
    return folder


def start_peer(stack, name, peer, *arguments):
    folder, temporary = build_peer(peer), f"{stack.folder}/{name}"
    os.makedirs(temporary)
    opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("util", "lang", "time")]
    return start(["java", "-XX:+ExitOnOutOfMemoryError", *opens, f"-Djava.io.tmpdir={temporary}", f"-Dpeer.name={name}", "-cp", f"{folder}/libs/*:{folder}/out",
                  CLASSES[peer], stack.bootstrap, *arguments], stdout=subprocess.PIPE, stderr=open(temporary + "/log", "w"), text=True)


def wait_line(process, word):
    for line in process.stdout:
        if line.startswith(word):
            return line
    raise AssertionError(f"the peer ended before it said \"{word}\"")


def peer_run(stack, job, name, peer, threads):
    """Measured from the first event to the last one applied; that it then publishes what is left counts for it, not against it."""
    out = f"{name}.changes"
    partitions = PARTITIONS if peer == "kafka-streams" else 1  # Flink's sink has no key: one partition keeps a customer's changes in order
    create(stack, out, partitions=partitions)
    more = ("memory", "eos") if peer == "kafka-streams" else (1000,)
    process = start_peer(stack, name, peer, job["topic"], out, job["events"], threads, *more)
    patience = threading.Timer(60 + job["events"] / LEAST_PER_S, process.kill)
    patience.start()
    try:
        wait_line(process, "first")
        meter = Meter(stack, process.pid)
        wait_line(process, "last")
        figures = meter.figures(job["events"])
        changes = int(wait_line(process, "done").rsplit("=", 1)[1])
        process.wait(60)
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        shutil.rmtree(f"{stack.folder}/{name}")
    return {**figures, "changes": changes}, (out, partitions)


def tagd_run(stack, job, name, workers):
    stack.flush_redis()
    d = daemon(stack, name, CATALOG, job["topic"], partitions=PARTITIONS, time="events", workers=workers)
    d.config["sources"][0]["headers"] = "ignore"  # as the peers do
    d.write()
    try:
        d.start(ready=False)
        figures = measure(d, job["topic"], job["events"])
    finally:
        d.kill()
    return figures, (d.config["outputs"]["tag_changes"], PARTITIONS)


def floor_run(stack, job, what):
    found = run("floor", stack.bootstrap, job["topic"], PARTITIONS, job["events"], what)
    return {"events": job["events"], "events_per_s": job["events"] / found["seconds"], "cpu_us": found["cpu_us"] / job["events"]}, None


def simulate_run(stack, job):
    catalog = stack.folder + "/simulate.json"
    json.dump(CATALOG, open(catalog, "w"))
    began = time.monotonic()
    process = start(["taskset", "-c", os.cpu_count() - 1, TAGD, "simulate", "--catalog", catalog, job["file"]], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, status
    return {"events": job["events"], "events_per_s": job["events"] / (time.monotonic() - began),
            "cpu_us": (used.ru_utime + used.ru_stime) * 1e6 / job["events"], "peak_mb": used.ru_maxrss / 1024}, None


SYSTEMS = {
    "librdkafka, fetch": lambda stack, job, name: floor_run(stack, job, "fetch"),
    "librdkafka, fetch and cJSON": lambda stack, job, name: floor_run(stack, job, "parse"),
    "tagd simulate": lambda stack, job, name: simulate_run(stack, job),
    "tagd run, 1 worker": lambda stack, job, name: tagd_run(stack, job, name, 1),
    "tagd run, 2 workers": lambda stack, job, name: tagd_run(stack, job, name, 2),
    "tagd run, 4 workers": lambda stack, job, name: tagd_run(stack, job, name, 4),
    "Flink, 1 thread": lambda stack, job, name: peer_run(stack, job, name, "flink", 1),
    "Flink, 2 threads": lambda stack, job, name: peer_run(stack, job, name, "flink", 2),
    "Kafka Streams, 1 thread": lambda stack, job, name: peer_run(stack, job, name, "kafka-streams", 1),
    "Kafka Streams, 2 threads": lambda stack, job, name: peer_run(stack, job, name, "kafka-streams", 2),
}


def read_changes(stack, job, out, file):
    """The published changes, by customer and dimension, each pair's in the order in which they were published."""
    topic, partitions = out
    source = subprocess.Popen([path_of("changes"), stack.bootstrap, topic, str(partitions), str(job["compared_to_ms"])],
                              stdout=subprocess.PIPE)
    with open(file, "w") as sink:
        subprocess.run(["sort", "-s", "-t", "\t", "-k1,2"], stdin=source.stdout, stdout=sink, env={**os.environ, "LC_ALL": "C"}, check=True)
    assert source.wait() == 0


def compare(file, wanted, system, first):
    """How many changes both have; the first that differs ends the benchmark."""
    n = 0
    with open(file) as a, open(wanted) as b:
        while True:
            x, y = a.readline(), b.readline()
            if x != y:
                raise SystemExit(f"other changes, customer dimension time from to:\n{system}: {x or 'none'}\n{first}: {y or 'none'}")
            if not x:
                return n
            n += 1


def check(stack, job, system, out):
    """The first of a job's runs that publishes is the reference; the later ones are compared with it. Changes compared."""
    file, reference = f"{stack.folder}/changes", f"{stack.folder}/{job['topic']}.reference"
    read_changes(stack, job, out, file)
    if "reference" not in job:
        job["reference"] = system
        os.rename(file, reference)
        return None
    return compare(file, reference, system, job["reference"])


def prepare(stack, k, events, customers, span_ms):
    span = f"{span_ms / DAY:.0f} days" if span_ms >= 4 * DAY else f"{span_ms / HOUR:.0f} hours"
    job = {"name": f"{customers:,} customers, {span}", "topic": f"in{k}", "file": f"{stack.folder}/in{k}.jsonl", "events": events, "customers": customers, "span_ms": span_ms,
           "compared_to_ms": BASE + span_ms - LEFT_OUT * span_ms // events}
    say(f"{job['name']}: {events} events")
    with open(job["file"], "w") as file:
        subprocess.run(events_command(events, customers, span_ms), stdout=file, check=True)
    create(stack, job["topic"], partitions=PARTITIONS)
    run("fill", stack.bootstrap, job["topic"], stdin=open(job["file"]))
    return job


def one(stack, job, system, name):
    figures, out = SYSTEMS[system](stack, job, name)
    if out:
        figures["changes_compared"] = check(stack, job, system, out)
    say(f"{system}: {figures['events_per_s']:.0f} events/s, {figures['cpu_us']:.2f} us")
    return figures


@on_one_stack
def main(stack, options):
    result = {"machine": machine(), "runs": options.runs, "left_out": LEFT_OUT, "jobs": []}
    for k, (customers, span_ms) in enumerate(options.jobs):
        job = prepare(stack, k, options.events, customers, span_ms)
        found = {system: [] for system in SYSTEMS if any(part in system for part in options.systems.split(","))}
        for turn in range(options.runs):
            for i, system in enumerate(found):
                name = f"run{k}-{turn}-{i}"
                found[system].append(attempt(system, one, stack, job, system, name))
                drop(stack, name)
        result["jobs"].append({**job, "systems": found})
        save("throughput", result)
        drop(stack, job["topic"])
        os.unlink(job["file"])
