"""What a customer costs: Redis's memory by what it is for, all overhead counted, and the daemon's."""
import json
import time

from common import BASE, DAY, create, daemon, drop, fill, machine, measure, on_one_stack, save, say

EVENTS_EACH = 30
CATALOG = {
    "catalog": "memory", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal"}}, "login": {}, "live.view": {}, "chat.message": {}},
    "groups": {"interaction": ["login", "live.view", "chat.message", "order.paid"]},
    "dimensions": {
        "behaviour.activity": {"tags": [{"tag": "active", "when": "count(interaction[30d:1h]) >= 2"}, {"tag": "lost", "when": "since(interaction) >= 90d"},
                                        {"tag": "dormant", "when": "since(interaction) >= 30d"}, {"tag": "new", "when": "true"}]},
        "behaviour.live": {"tags": [{"tag": "fan", "when": "count(live.view[30d:1d]) >= 3"}, {"tag": "viewer", "when": "count(live.view[30d:1d]) >= 1"},
                                    {"tag": "none", "when": "true"}]},
        "service.contact": {"tags": [{"tag": "often", "when": "count(chat.message[30d:1d]) >= 3"}, {"tag": "seldom", "when": "true"}]},
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid[365d:1d]) >= 10000"},
                                 {"tag": "mid", "when": "sum(amount, order.paid[365d:1d]) >= 3000"}, {"tag": "low", "when": "true"}]},
        "value.frequency": {"tags": [{"tag": "high", "when": "count(order.paid[30d:1d]) >= 5"}, {"tag": "mid", "when": "count(order.paid[30d:1d]) >= 1"},
                                     {"tag": "low", "when": "true"}]}}}


def used(stack):
    """Once what was deleted is really gone."""
    before = -1
    while before != (now := stack.redis.info("memory")["used_memory"]):
        before = now
        time.sleep(0.5)
    return now


def remove(stack, pattern):
    """Bytes that the keys took; how many keys."""
    before, n = used(stack), 0
    batch = []
    for key in stack.redis.scan_iter(match=pattern, count=10000):
        batch.append(key)
        if len(batch) == 10000:
            n += stack.redis.delete(*batch)
            batch = []
    n += stack.redis.delete(*batch) if batch else 0
    return {"bytes": before - used(stack), "keys": n}


@on_one_stack
def main(stack, options):
    name, n = "memory", options.memory_customers
    create(stack, name + ".in")
    empty = used(stack)
    filled = fill(stack, name + ".in", n * EVENTS_EACH, n, 90 * DAY, base_ms=BASE, who="each")
    say(f"filled: {json.dumps(filled)}")
    d = daemon(stack, name, CATALOG, name + ".in", time="events")
    try:
        d.start(ready=False)
        figures = measure(d, name + ".in", n * EVENTS_EACH)
        d.stop()
        found = {"all": {"bytes": used(stack) - empty, "keys": stack.redis.dbsize()}}
        for what, pattern in (("views", f"{name}:tags:*"), ("timers", f"{name}:*:timers"), ("profiles", f"{name}:*:profiles"), ("the rest", "*")):
            found[what] = remove(stack, pattern)
    finally:
        d.kill()
        drop(stack, name)
    save("memory", {"machine": machine(), "customers": n, "events_each": EVENTS_EACH, "redis": found, "daemon": figures})
