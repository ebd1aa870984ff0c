"""What explain says of a customer, whole: tags of both kinds, values behind them, why, what comes next, attributes, limits."""
import json
import re

from stack import event, wait_for

CATALOG = {
    "catalog": "shop", "version": "1", "timezone": "+08:00",
    "events": {"order.paid": {"fields": {"amount": "decimal", "category": "string"}, "dedupe": "1h"}, "login": {}},
    "attributes": {"region": "string", "birthday": "date", "vip": "boolean"},
    "metrics": {"spend": "sum(amount, order.paid[30d])"},
    "dimensions": {
        "value.level": {"tags": [{"tag": "high", "when": "spend >= 100"}, {"tag": "low", "when": "true"}]},
        "need.category": {"value": "top(category, order.paid[2d:1d])"},
        "moment.birthday": {"tags": [{"tag": "soon", "when": "days_until(attr.birthday) <= 7"}]}}}

AT = 1795500000000  # 2026-11-24T06:00:00Z

EXPECTED = """customer   C1
as of      2026-11-24T06:00:10.000Z (latest event 2026-11-24T06:00:00.000Z)
shard      0 of 1, batch N, owner none: it was left cleanly
revision   4
state      N bytes; fullest store: 1 of 20000 panes, 1 of 10000 values in 6 of 262144 bytes; 1 of 10000 dedupe ids

value.level: high, since 2026-11-24T06:00:00.000Z, before low
  => high         spend >= 100   {"spend":120.5}
  next: low at 2026-12-24T06:00:00.000Z, if nothing happens

need.category: beauty, since 2026-11-24T06:00:00.000Z, before (none)
  => (value)      top(category, order.paid[2d:1d])   {"top(category, order.paid[2d:1d])":"beauty"}
  next: (none) at 2026-11-25T16:00:00.000Z, if nothing happens

moment.birthday: soon, since 2026-11-24T05:59:59.000Z, before (none)
  => soon         days_until(attr.birthday) <= 7   {"days_until(attr.birthday)":3}
  next: (none) at 2026-11-27T16:00:00.000Z, if nothing happens

attributes
  birthday             "1990-11-27", updated at 2026-11-24T05:59:59.000Z
  region               "north", updated at 2026-11-24T05:59:59.000Z
  vip                  null, updated at 2026-11-24T05:59:59.000Z

last change of each dimension
  2026-11-24T06:00:00.000Z need.category: (none) -> beauty
  2026-11-24T06:00:00.000Z value.level: low -> high
  2026-11-24T05:59:59.000Z moment.birthday: (none) -> soon
"""


def test_explain_tells_tags_values_reasons_attributes_limits_and_changes(stack, daemon):
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(1)
    d.start()
    producer, topic = stack.producer(), d.config["sources"][0]["topic"]
    records = [event("p1", "profile.updated", "C1", AT - 1000,
                     {"attributes": {"region": "north", "birthday": "1990-11-27", "vip": None, "shoe": 43}}),
               event("e1", "order.paid", "C1", AT, {"amount": 120.5, "category": "beauty"}),
               event("x1", "nothing", "C2", AT + 10000)]
    for record in records:
        producer.produce(topic, json.dumps(record), record["subject"], 0)
    producer.flush()
    reader = d.reader()
    reader.wait(4, 20)
    reader.stop()
    wait_for("the undeclared attribute counted and time gone on", 10, lambda: d.metrics()["tagd_undeclared_attributes_total"] == 1 and d.metrics()['tagd_ignored_total{reason="undeclared"}'] == 1)
    d.stop()
    told = d.explain("C1")
    assert told.returncode == 0, told.stderr
    text = re.sub(r"batch \d+", "batch N", re.sub(r"state      \d+", "state      N", told.stdout))
    assert text == EXPECTED
    assert d.tags("C1") == {"value.level": "high", "need.category": "beauty", "moment.birthday": "soon", "_revision": "4", "_at": str(AT)}
