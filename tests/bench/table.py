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
    print(f"\nCompared are all changes but those of the last {result['left_out_ms'] / 1000:.0f} seconds of event time.")


PARTS = {"throughput": throughput}


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
