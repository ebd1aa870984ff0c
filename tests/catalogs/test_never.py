"""What the tables say can't be ("~ enters by time: ..."), tried on customers drawn at random: none of them does it."""
import random

import pytest

from timeline import BEGIN, CATALOGS, UNITS, path_of, read_catalog, read_table, simulate, time_text

CUSTOMERS = 1200
DAY = UNITS["d"]
STEPS = [1, 60_000, 600_000, UNITS["h"], *(n * DAY for n in (1, 5, 15, 30, 60, 90, 180, 365))]
JITTER = [-3_000_000, -600_000, -1, 0, 1, 600_000]
AFTER = [0, DAY, 5 * DAY, 20 * DAY, 100 * DAY]
WORDS = {
    "amount": [0.01, 10, 100, 2999.99, 3000, 7000, 10000, 20000.01, 50000, 100000, 500000], "category": ["a", "b", "c"], "coupon": [True, False], "launch": [True, False],
    "margin": ["high", "normal"], "direction": ["inbound", "outbound"], "channel": ["visit", "phone"], "purpose": ["deep", "news"], "response_seconds": [10, 7200, 86400, 300000],
    "score": [0, 6, 7, 8, 9, 10], "topic": ["after-sales", "service", "technical"]}
ATTRIBUTES = {
    "birthday": ["2008-03-05", "1991-03-04", "1971-04-04"], "employees": [50, 51, 100, 1001], "revenue": [5, 10**7, 10**8], "scale": ["大型", "small", "mid"],
    "intent": ["strong", "low"], "need": ["strong", "low", "vague"], "customer_since": ["2023/1/1"]}


def drawn(draw, document, subject):
    """A customer's events: of few types, at gaps that rules care about."""
    at, few = BEGIN + draw.randrange(86400) * 1000, [*draw.sample([*document["events"]], draw.randrange(1, 5)), "order.paid", "profile.updated"]
    for i in range(draw.randrange(2, 14)):
        at += max(1, draw.choice(STEPS) + draw.choice(JITTER))
        type = draw.choice(few)
        if type == "profile.updated":
            name = draw.choice([*document["attributes"]])
            data = {"attributes": {name: draw.choice([*ATTRIBUTES.get(name, ["x"]), None])}}
        else:
            fields = document["events"][type].get("fields", {})
            data = {f: time_text(at + draw.choice(AFTER)) if t == "time" else draw.choice(WORDS[f]) for f, t in fields.items() if t == "time" or f in WORDS}
        yield at, {"specversion": "1.0", "id": f"{subject}.{i}", "source": draw.choice(["store", "website", "douyin"]), "type": type, "subject": subject, "time": time_text(at), "data": data}


@pytest.mark.parametrize("catalog", CATALOGS)
def test_what_cannot_be_never_is(catalog):
    document, draw = read_catalog(catalog), random.Random(catalog)
    events = sorted((pair for i in range(CUSTOMERS) for pair in drawn(draw, document, f"c{i}")), key=lambda pair: pair[0])
    never = {(row.dimension, way, tag): why for row in read_table(catalog) for (way, tag), why in row.never.items()}
    found = {}
    for change in simulate(path_of(catalog), [event for _, event in events], events[-1][0] + 400 * DAY):
        data = change["data"]
        if change["type"] in ("tagd.tag.changed", "tagd.churn.changed"):
            for way, tag in (("enters", data["to"]), ("leaves", data["from"])):
                key = data["dimension"], f"{way} by {data['origin']}", tag
                found.setdefault(key, (change["subject"], change["time"], data["from"], data["to"]))
    assert not {key: (never[key], found[key]) for key in never if key in found}
    assert len(found) > 60
