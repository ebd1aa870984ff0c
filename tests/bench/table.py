"""The tables, in Markdown, of the results in build/bench: --table prints them again."""
from common import median, saved


def text(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def ms(us):
    return text(None if us is None else us / 1000, "{:,.1f}")


def ratio(a, b, form="{:.2f}"):
    return "-" if not a or not b else form.format(a / b)


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def head(title, *cells):
    print(f"\n**{title}**\n")
    row(*cells)
    row(*("---" for _ in cells))


def notes(*lines):
    for line in lines:
        print(f"\n{line}")


def reason(what, figures):
    """A note, if there are no figures but a reason."""
    return [f"{what}: {figures['reason']}"] if "reason" in figures else []


def flink_of(job, system):
    return job["systems"].get("Flink, 2 threads" if ", 2" in system or ", 4" in system else "Flink, 1 thread", [])


def throughput_row(job, system, runs):
    flink = flink_of(job, system)
    against = [ratio(median(runs, name), median(flink, name)) for name in ("events_per_s", "cpu_us", "cpu_all_us")]
    compared = "reference" if job.get("reference") == system else text(median(runs, "changes_compared"))
    row(system, *against, text(median(runs, "events_per_s")), text(median(runs, "cpu_us"), "{:.2f}"), text(median(runs, "cpu_all_us"), "{:.2f}"),
        text(median(runs, "peak_mb")), text(median(runs, "changes")), compared)


def throughput(result):
    head(f"Throughput, medians of {result['runs']} runs", "what", "events/s, Flink = 1", "CPU, Flink = 1", "CPU with servers, Flink = 1", "events/s",
         "CPU µs an event", "with Redis and broker", "peak MB", "changes", "changes compared")
    failed = []
    for job in result["jobs"]:
        row(f"*{job['name']}, {job['events']:,} events*", *([""] * 9))
        for system, runs in job["systems"].items():
            throughput_row(job, system, runs)
            failed += [note for figures in runs for note in reason(f"{job['name']}, {system}", figures)]
    notes(f"Compared are all changes but those of the time of the last {result['left_out']:,} events.",
          "`-`: the floors and simulate publish nothing, and simulate has no servers; of the floors only the time and their own processor time are taken.", *failed)


def latency(result):
    floor = result["bare"]["arrivals"]
    head(f"Latency in ms, from the event's produce call to a read_committed reader; {result['seconds']} s each, medians of {result['repeated']} runs", "what", "events/s", "p50, bare transaction = 1",
         "p50", "p99", "p99.9", "without a change", "producing and fetching alone, p50", "p99", "CPU µs an event", "with Redis and broker", "cores of load and reader")
    row("bare transaction, one at a time", "-", "1.00", *(ms(floor[p]) for p in ("p50", "p99", "p999")), "0", "-", "-", "-", "-", "-")
    failed = []
    for system, rates in result["systems"].items():
        if isinstance(rates, dict):
            failed += reason(system, rates)
            rates = []
        for found in rates:
            events, used, alone = found["events"], found["system"], found["alone"]
            row(system, text(found["rate"]), ratio(events.get("p50"), floor["p50"]), *(ms(events.get(p)) for p in ("p50", "p99", "p999")), text(found["lost"]),
                ms(alone["p50"]), ms(alone["p99"]), text(used["cpu_us"], "{:.1f}"), text(used["cpu_all_us"], "{:.1f}"), text(found["load_cores"], "{:.2f}"))
    notes("`-`: the bare transaction has no events; it makes as many transactions as it can.", *failed)


def timers_row(result, what, figures):
    lateness, busy = figures.get("timers") or {}, figures.get("busy") or {}
    if not isinstance(lateness, dict):
        lateness = {}
    row(what, ratio(figures.get("timers_per_s"), result["bare"]["timers_per_s"]), text(figures.get("timers_per_s")),
        *(text(lateness.get(p)) for p in ("p50", "p99")), text(figures.get("cpu_us"), "{:.2f}"), text(figures.get("cpu_all_us"), "{:.2f}"),
        *(ms(busy.get(p)) for p in ("p50", "p99")))


def timers(result):
    head(f"Timers: {result['timers']:,} due at once, medians of {result['repeated']} runs", "what", "timers/s, bare commands = 1", "timers/s", "late by p50 ms", "late by p99 ms", "CPU µs a timer",
         "with Redis and broker", "events meanwhile p50 ms", "p99 ms")
    bare, storm, quiet = result["bare"], result.get("live", {}), result.get("quiet", {})
    timers_row(result, "bare Redis commands", {"timers_per_s": bare["timers_per_s"], "cpu_us": bare["cpu_us"] / bare["timers"]})
    timers_row(result, "tagd, one event makes them due", result["moved"])
    timers_row(result, "tagd, the clock does, beside events", {k: storm.get(k) for k in ("timers", "busy", "timers_per_s")})
    timers_row(result, "tagd, single ones, 50 a second", {"timers": quiet.get("timers")})
    notes("`-`: without a clock there is no lateness; beside events a timer's processor time can't be told from theirs; single ones have no rate.",
          *reason("beside events", storm), *reason("single ones", quiet))


def start(result):
    took = sorted(result["took_ms"])
    head(f"Start: kill -9 to the first new change, {len(took)} times, {result['rate']:,} events/s", "median ms", "least", "most")
    row(text(took[len(took) // 2]), text(took[0]), text(took[-1]))


def memory(result):
    n, redis = result["customers"], result["redis"]
    head(f"Memory: {n:,} customers, {result['events_each']} events each, five dimensions", "what", "bytes a customer", "MB", "keys")
    together = {k: redis["profiles"][k] + redis["timers"][k] for k in ("bytes", "keys")}
    for what, found in (("profiles and timers", together), *redis.items()):
        row("Redis: " + what, text(found["bytes"] / n), text(found["bytes"] / 1e6), text(found["keys"]))
    row("daemon, peak RSS", "-", text(result["daemon"]["peak_mb"]), "-")


def growth(result):
    head("Growth: an event's cost", "what grows", "size", "smallest = 1", "daemon, CPU µs", "with Redis and broker", "simulate, instructions", "changes an event", "daemon, peak MB")
    smallest, failed = {}, []
    for case in result["cases"]:
        figures = case["daemon"]
        failed += reason(f"{case['size']:,} {case['what']}", figures)
        cpu = figures.get("cpu_us")
        row(case["what"], text(case["size"]), ratio(cpu, smallest.setdefault(case["what"], cpu)), text(cpu, "{:.2f}"), text(figures.get("cpu_all_us"), "{:.2f}"),
            text(case["instructions"]), text(figures.get("changes_an_event"), "{:.2f}"), text(figures.get("peak_mb")))
    notes("`-`: instructions are counted where 200,000 events are enough.", *failed)


PARTS = {"throughput": throughput, "latency": latency, "timers": timers, "start": start, "memory": memory, "growth": growth}


def main():
    results = {part: saved(part) for part in PARTS}
    for part, result in results.items():
        if result is not None:
            print("\n{part}: {model}, {cores} cores, commit {commit}, {at}".format(part=part, **result["machine"]))
            PARTS[part](result)
    if not any(results.values()):
        print("no results in build/bench yet")
