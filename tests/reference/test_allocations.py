"""No allocation an event, once warm, with a catalog that has all that stands between a rule and a tag. Counted, not timed."""
import json
import os
import random
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT + "/tests/bench")
import costs  # noqa: E402

TAGD = os.environ.get("TAGD", ROOT + "/build/release/tagd")
EVENTS, CUSTOMERS = 20000, 20
CATALOG = {
    "catalog": "held", "version": "1",
    "events": {"order.paid": {"fields": {"amount": "decimal", "category": "string"}}, "login": {}},
    "dimensions": {
        "behaviour.activity": {"for": "10m", "tags": [
            {"tag": "active", "when": "count(login[1h]) >= 3 or was(behaviour.activity) == 'lost' or was(behaviour.activity) == 'active' and held(behaviour.activity) < 10m"},
            {"tag": "lost", "when": "since(login) > 40m", "min_dwell": "20m"}, {"tag": "quiet", "when": "true"}]},
        "need.category": {"value": "top(category, order.paid[1h])", "for": "5m", "min_dwell": "15m"},
        "need.before": {"value": "previous(need.category)"},
        "value.strategic": {"assign": "manual", "tags": [{"tag": "a"}, {"tag": "b"}]},
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid[1h]) >= 100"}, {"tag": "low", "when": "true"}]},
        "rfm.frequency": {"assign": "review", "expires": "30m", "tags": [{"tag": "high", "when": "count(order.paid[1h]) >= 4"}, {"tag": "mid", "when": "count(order.paid[1h]) >= 2"}]}},
    "alerts": {"loss": {"when": "value.level == 'high' and since(login) > 30m", "for": "1m"}},
    "aliases": {"old.kind.star": "value.strategic.b"}}


def event(i):
    """By its number, so that half of a stream is the beginning of the whole."""
    r = random.Random(i)
    kind = r.choice(["login"] * 4 + ["order.paid"] * 10 + ["tag.assigned", "tag.cleared", "tag.reviewed"])
    subject, about = f"C{r.randrange(CUSTOMERS):02}", r.choice(["value.level", "old.kind"])
    data = {"order.paid": {"amount": r.randint(1, 50), "category": r.choice(["beauty", "food", "toys"])},
            "tag.assigned": {"dimension": about, "tag": "star" if about == "old.kind" else "high", "by": "li", "reason": "as agreed"},
            "tag.cleared": {"dimension": about, "by": "wang"},
            "tag.reviewed": {"proposal": f"proposal:{subject}:{r.randint(1, 2 + i // 120)}", "decision": r.choice(["approved", "rejected"]), "by": "zhao"}}.get(kind, {})
    if kind == "tag.assigned" and r.random() < 0.5:
        data["until"] = at(i + 500)
    return json.dumps({"specversion": "1.0", "id": f"e{i}", "source": "s", "type": kind, "subject": subject, "time": at(i), "data": data})


def at(i):
    ms = costs.BASE + i * 20000
    return f"{costs.text_of(ms // 1000)}.{ms % 1000:03d}Z"


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("allocations")
    library = str(folder / "allocations.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, ROOT + "/tests/bench/allocations.c"], check=True)
    (folder / "catalog.json").write_text(json.dumps(CATALOG))

    def run(n):
        lines = "".join(event(i) + "\n" for i in range(n))
        told = subprocess.run([TAGD, "simulate", "--catalog", str(folder / "catalog.json")], input=lines, capture_output=True, text=True,
                              env={**os.environ, "LD_PRELOAD": library})
        assert told.returncode == 0, told.stderr[-2000:]
        return costs.allocations(told.stderr), [json.loads(line) for line in told.stdout.splitlines()]
    return run


def test_what_stands_between_a_rule_and_a_tag_allocates_nothing_once_warm(counted):
    half, _ = counted(EVENTS)
    whole, out = counted(2 * EVENTS)
    types = {e["type"]: 0 for e in out}
    for e in out:
        types[e["type"]] += 1
    assert len(types) == 5 and min(types.values()) > 100, types
    each = costs.per_event(half, whole, EVENTS)
    print(f"{len(out)} events out of {2 * EVENTS}: {types}; allocations an event once warm: {each}")
    assert sum(each.values()) < 0.01, each
