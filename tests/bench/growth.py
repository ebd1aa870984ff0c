"""How the cost of an event grows: with customers, with the events of each, with dimensions of which an event touches ten."""
import json
import re
import subprocess

from common import BASE, CATALOG, DAY, HOUR, TAGD, attempt, create, daemon, drop, events_command, fill, machine, measure, on_one_stack, save, say

TOUCHED = 10  # dimensions by each event
SPAN = 41 * HOUR
LIVE_BATCH = 1000  # events
CALLGRIND_MOST = 200000  # events that callgrind is given, at some microseconds each


def wide_catalog(dimensions):
    """Each type of events touches ten; a tag that doesn't hold is none, so an event changes nothing that it doesn't touch."""
    types = dimensions // TOUCHED
    return {"catalog": "wide", "version": "1", "events": {f"t{k}": {} for k in range(types)},
            "dimensions": {f"of-t{k // TOUCHED}.d{k}": {"tags": [{"tag": "yes", "when": f"count(t{k // TOUCHED}[30d:1d]) >= {1 + k % TOUCHED}"}]}
                           for k in range(dimensions)}}


def events(n, *arguments, **more):
    """What events_command takes."""
    return n, arguments, more


def by_customers(n, customers):
    """Events that come before: two orders of each customer, after which few tags change, however many customers there are;
    then those that are measured."""
    return [events(2 * customers, customers, SPAN, who="each", types="orders"),
            events(n, customers, SPAN, base_ms=BASE + SPAN, first=2 * customers)]


def by_events(n, each):
    """Halves of all that customers have; the second is measured."""
    return [events(n // 2, max(n // each, 1), 60 * DAY, who="each", base_ms=BASE + half * 60 * DAY, first=half * (n // 2)) for half in (0, 1)]


def by_types(n, types):
    return [events(n // 2, max(n // 30, 1), SPAN, types=types, base_ms=BASE + half * SPAN, first=half * (n // 2)) for half in (0, 1)]


def by_dimensions(n, dimensions):
    """A customer's events are all of one type: as many tags change whatever there are."""
    return by_types(n, f"own:{dimensions // TOUCHED}")


def by_all_dimensions(n, dimensions):
    """Of any type: the more there are the more tags change, and the more a customer has."""
    return by_types(n, dimensions // TOUCHED)


def cases(options):
    """What grows, to which size, the catalog, how to make the two streams of so many events, and settings of the daemon."""
    for customers in options.growth_customers:
        yield "customers", customers, CATALOG, by_customers, {}
    for customers in options.growth_customers:
        yield f"customers, batches of {LIVE_BATCH:,} events", customers, CATALOG, by_customers, {"batch_events": LIVE_BATCH}
    for each in options.growth_each:
        yield "events a customer", each, CATALOG, by_events, {}
    for dimensions in options.growth_dimensions:
        yield "dimensions", dimensions, wide_catalog(dimensions), by_dimensions, {}
    for dimensions in options.growth_dimensions:
        yield "dimensions, any of a customer", dimensions, wide_catalog(dimensions), by_all_dimensions, {}


def daemon_cost(stack, name, catalog, streams, settings):
    stack.flush_redis()
    create(stack, name + ".in")
    for n, arguments, more in streams:
        fill(stack, name + ".in", n, *arguments, **more)
    d = daemon(stack, name, catalog, name + ".in", time="events", **settings)
    before, measured = (n for n, _, _ in streams)
    try:
        d.start(ready=False)
        return measure(d, name + ".in", before + measured, before)
    finally:
        d.kill()
        drop(stack, name)


def instructions(stack, catalog, streams):
    """Of tagd simulate an event: those of all less those of what comes before."""
    if sum(n for n, _, _ in streams) > CALLGRIND_MOST:
        return None
    file, rules, counted = stack.folder + "/sample.jsonl", stack.folder + "/sample.json", []
    json.dump(catalog, open(rules, "w"))
    for k, (n, arguments, more) in enumerate(streams):
        with open(file, "a" if k else "w") as out:
            subprocess.run(events_command(n, *arguments, **more), stdout=out, check=True)
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={stack.folder}/callgrind.out",
                               TAGD, "simulate", "--catalog", rules, file],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        counted.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counted[1] - counted[0]) / streams[1][0]


@on_one_stack
def main(stack, options):
    result = {"machine": machine(), "cases": []}
    for k, (what, size, catalog, streams, settings) in enumerate(cases(options)):
        found = {"what": what, "size": size, "daemon": attempt(what, daemon_cost, stack, f"growth{k}", catalog, streams(options.growth_events, size), settings),
                 "instructions": instructions(stack, catalog, streams(options.growth_sample, size))}
        say(json.dumps(found))
        result["cases"].append(found)
        save("growth", result)
