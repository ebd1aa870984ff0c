"""The tables, in Markdown, of the results in build/bench: --table prints them again."""
from common import median, saved


def text(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def head(title, *cells):
    print(f"\n**{title}**\n")
    row(*cells)
    row(*("---" for _ in cells))


def ratio(a, b):
    return None if not a or not b else a / b


def throughput(result):
    head(f"Throughput, medians of {result['runs']} runs", "what", "events/s, Flink = 1", "CPU, Flink = 1", "CPU with servers, Flink = 1", "events/s",
         "CPU µs an event", "with Redis and broker", "peak MB", "changes", "changes compared")
    for job in result["jobs"]:
        row(f"*{job['name']}, {job['events']:,} events*", *([""] * 9))
        for system, runs in job["systems"].items():
            threads = "2" if ", 2" in system else "1"
            flink = job["systems"].get("Flink, 1 thread" if threads == "1" else "Flink, 2 threads", [])
            against = [text(ratio(median(runs, name), median(flink, name)), "{:.2f}") for name in ("events_per_s", "cpu_us", "cpu_all_us")]
            compared = "reference" if job.get("reference") == system else text(median(runs, "changes_compared"))
            row(system, *against, text(median(runs, "events_per_s")), text(median(runs, "cpu_us"), "{:.2f}"), text(median(runs, "cpu_all_us"), "{:.2f}"),
                text(median(runs, "peak_mb")), text(median(runs, "changes")), compared)
    print(f"\nCompared are all changes but those of the time of the last {result['left_out']:,} events.")


def ms(us):
    return text(None if us is None else us / 1000, "{:,.1f}")


def latency(result):
    floor = result["bare"]["arrivals"]
    head(f"Latency in ms, from the event's produce call to a read_committed reader; {result['seconds']} s each", "what", "events/s", "p50, bare transaction = 1",
         "p50", "p99", "p99.9", "without a change", "CPU µs an event", "with Redis and broker", "cores of load and reader")
    row("bare transaction, one at a time", "-", "1.00", ms(floor["p50"]), ms(floor["p99"]), ms(floor["p999"]), "0", "-", "-", "-")
    for system, rates in result["systems"].items():
        for found in rates:
            events = found["events"]
            row(system, text(found["rate"]), text(ratio(events.get("p50"), floor["p50"]), "{:.2f}"), *(ms(events.get(p)) for p in ("p50", "p99", "p999")),
                text(found["lost"]), text(found["system"]["cpu_us"], "{:.1f}"), text(found["system"]["cpu_all_us"], "{:.1f}"), text(found["load_cores"], "{:.2f}"))


def timers(result):
    moved, bare = result["moved"], result["bare"]
    storm, quiet = result.get("live"), result.get("quiet")
    head(f"Timers: {result['timers']:,} due at once", "what", "timers/s, bare commands = 1", "timers/s", "late by p50 ms", "late by p99 ms", "CPU µs a timer",
         "with Redis and broker", "events meanwhile p50 ms", "p99 ms")
    row("bare Redis commands", "1.00", text(bare["timers_per_s"]), "-", "-", text(bare["cpu_us"] / bare["timers"], "{:.2f}"), "-", "-", "-")
    row("tagd, one event makes them due", text(ratio(moved["timers_per_s"], bare["timers_per_s"]), "{:.2f}"), text(moved["timers_per_s"]), "-", "-",
        text(moved["cpu_us"], "{:.2f}"), text(moved["cpu_all_us"], "{:.2f}"), "-", "-")
    if storm:
        row(f"tagd, the clock does, beside {storm['rate']:,} events/s", text(ratio(storm["timers_per_s"], bare["timers_per_s"]), "{:.2f}"),
            text(storm["timers_per_s"]), *(text(storm["timers"].get(p)) for p in ("p50", "p99")), "-", "-", ms(storm["busy"].get("p50")), ms(storm["busy"].get("p99")))
    if quiet:
        row("tagd, single ones, 50 a second", "-", "-", *(text(quiet["timers"].get(p)) for p in ("p50", "p99")), "-", "-", "-", "-")


def start(result):
    took = sorted(result["took_ms"])
    head(f"Start: kill -9 to the first new change, {len(took)} times, {result['rate']:,} events/s", "median ms", "least", "most")
    row(text(took[len(took) // 2]), text(took[0]), text(took[-1]))


def memory(result):
    n, redis = result["customers"], result["redis"]
    head(f"Memory: {n:,} customers, {result['events_each']} events each, five dimensions", "what", "bytes a customer", "MB", "keys")
    for what, found in (("profiles and timers", {k: redis["profiles"][k] + redis["timers"][k] for k in ("bytes", "keys")}), *redis.items()):
        row("Redis: " + what, text(found["bytes"] / n), text(found["bytes"] / 1e6), text(found["keys"]))
    row("daemon, peak RSS", "-", text(result["daemon"]["peak_mb"]), "-")


def growth(result):
    head("Growth: an event's cost", "what grows", "size", "smallest = 1", "daemon, CPU µs", "with Redis and broker", "simulate, instructions", "daemon, peak MB")
    first = {}
    for case in result["cases"]:
        cpu = case["daemon"]["cpu_us"]
        smallest = first.setdefault(case["what"], cpu)
        row(case["what"], text(case["size"]), text(ratio(cpu, smallest), "{:.2f}"), text(cpu, "{:.2f}"), text(case["daemon"]["cpu_all_us"], "{:.2f}"),
            text(case["instructions"]), text(case["daemon"]["peak_mb"]))
    print("\nInstructions are counted by callgrind where 200,000 events are enough; others print as -.")


PARTS = {"throughput": throughput, "latency": latency, "timers": timers, "start": start, "memory": memory, "growth": growth}


def main():
    shown = 0
    for part, show in PARTS.items():
        result = saved(part)
        if result is None:
            continue
        if not shown:
            print("{model}, {cores} cores, commit {commit}, {at}".format(**result["machine"]))
        shown += 1
        show(result)
    if not shown:
        print("no results in build/bench yet")
