"""What explain says of a customer, whole: tags of both kinds, values behind them, why, what comes next, attributes, limits."""
import json
import re

from stack import event, validators, wait_for

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


# ---- what persons say, what waits, what is proposed, alerts; the same as JSON ----

HELD = {
    "catalog": "shop", "version": "2",
    "events": {"order.paid": {"fields": {"amount": "decimal"}}, "login": {}},
    "dimensions": {
        "value.strategic": {"assign": "manual", "tags": [{"tag": "benchmark"}, {"tag": "opinion-leader"}]},
        "value.level": {"tags": [{"tag": "high", "when": "sum(amount, order.paid) >= 100", "min_dwell": "30d"}, {"tag": "low", "when": "true", "for": "1h"}]},
        "behaviour.activity": {"for": "1h", "tags": [{"tag": "dormant", "when": "since(login) >= 30d", "for": "0s"}, {"tag": "new", "when": "count(login) <= 1"},
                                                      {"tag": "regular", "when": "true"}]},
        "rfm.frequency": {"assign": "review", "expires": "14d", "tags": [{"tag": "high", "when": "count(order.paid) >= 2"}, {"tag": "mid", "when": "count(order.paid) >= 1"}]},
        "rfm.visits": {"assign": "review", "tags": [{"tag": "often", "when": "count(login) >= 2"}]}},
    "alerts": {"key-loss": {"when": "value.level == 'high' and since(login) > 3d"}, "no-order": {"when": "since(order.paid) > 1s", "plan": "call"}},
    "aliases": {"customer.kind.star": "value.strategic.opinion-leader"}}

HELD_TEXT = """customer   C1
as of      2026-11-24T06:00:10.000Z (latest event 2026-11-24T06:00:09.000Z)
shard      0 of 1, batch N, owner none: it was left cleanly
revision   5, alerts 3, proposals 5
state      N bytes; fullest store: 1 of 20000 panes, 0 of 10000 values in 0 of 262144 bytes; 0 of 10000 dedupe ids

value.strategic: opinion-leader, since 2026-11-24T06:00:02.000Z, before (none)
  given by "li", until it is cleared: "a \\"friend\\""
  stays so if nothing happens, as far as the horizon reaches

value.level: low, since 2026-11-24T06:00:03.000Z, before (none)
  given by "wang", until 2026-11-24T07:00:00.000Z: "as agreed"
  => high         sum(amount, order.paid) >= 100   {"sum(amount, order.paid)":120}
     low          true   {}
  rules' tag: high since 2026-11-24T06:00:04.000Z
  next: high at 2026-11-24T07:00:00.000Z, if nothing happens

behaviour.activity: (none)
  no dormant      since(login) >= 30d   {"since(login)":{"ms":5000}}
  no new          count(login) <= 1   {"count(login)":2}
  => regular      true   {}
  waits: regular since 2026-11-24T06:00:05.000Z, the rules' tag at 2026-11-24T07:00:05.000Z if it stays so
  next: regular at 2026-11-24T07:00:05.000Z, if nothing happens

rfm.frequency: mid, since 2026-11-24T06:00:01.500Z, before (none)
  => high         count(order.paid) >= 2   {"count(order.paid)":2}
     mid          count(order.paid) >= 1   {"count(order.paid)":2}
  proposed: high since 2026-11-24T06:00:04.000Z, expires 2026-12-08T06:00:04.000Z, proposal:C1:3
  stays so if nothing happens, as far as the horizon reaches

rfm.visits: (none), since 2026-11-24T06:00:09.000Z, before often
  cleared by "li"
  => often        count(login) >= 2   {"count(login)":2}
  declined: often; not proposed again before the rules say something else
  stays so if nothing happens, as far as the horizon reaches

alert key-loss: not raised
  no (when)       value.level == 'high' and since(login) > 3d   {"value.level":"low","since(login)":{"ms":5000}}
  next: raised at 2026-11-27T06:00:05.001Z, if nothing happens

alert no-order: raised, since 2026-11-24T06:00:05.001Z
  => (when)       since(order.paid) > 1s   {"since(order.paid)":{"ms":6000}}
  stays so if nothing happens, as far as the horizon reaches

last change of each dimension
  2026-11-24T06:00:09.000Z rfm.visits: often -> (none)
  2026-11-24T06:00:03.000Z value.level: (none) -> low
  2026-11-24T06:00:02.000Z value.strategic: (none) -> opinion-leader
  2026-11-24T06:00:01.500Z rfm.frequency: (none) -> mid
"""


def test_explain_tells_words_of_persons_what_waits_proposals_and_alerts(stack, daemon):
    d = daemon(HELD, time="events", grace="0s")
    d.create_topics(1)
    d.start()
    producer, topic, reader = stack.producer(), d.config["sources"][0]["topic"], d.reader()
    said = [("login", 0, {}), ("order.paid", 1000, {"amount": 60}),
            ("tag.reviewed", 1500, {"proposal": "proposal:C1:1", "decision": "approved", "by": "zhao"}),
            ("tag.assigned", 2000, {"dimension": "customer.kind", "tag": "star", "by": "li", "reason": 'a "friend"'}),
            ("tag.assigned", 3000, {"dimension": "value.level", "tag": "low", "by": "wang", "reason": "as agreed", "until": "2026-11-24T07:00:00Z"}),
            ("order.paid", 4000, {"amount": 60}), ("login", 5000, {}),
            ("tag.reviewed", 6000, {"proposal": "proposal:C1:1", "decision": "rejected", "by": "zhao"}),  # it isn't open any more
            ("tag.reviewed", 7000, {"proposal": "proposal:C1:4", "decision": "rejected", "by": "zhao"}),
            ("tag.assigned", 8000, {"dimension": "rfm.visits", "tag": "often", "by": "li", "reason": "seen"}),
            ("tag.cleared", 9000, {"dimension": "rfm.visits", "by": "li"})]
    records = [event(f"e{i}", kind, "C1", AT + ms, data) for i, (kind, ms, data) in enumerate(said)] + [event("x1", "nothing", "C2", AT + 10000)]
    for record in records:
        producer.produce(topic, json.dumps(record), record["subject"], 0)
    producer.flush()
    told = {'tagd_tag_changes_total{origin="manual"}': 4, 'tagd_tag_changes_total{origin="review"}': 1,
            'tagd_alerts_total{change="raised"}': 2, 'tagd_alerts_total{change="cleared"}': 1, "tagd_proposals_total": 3,
            'tagd_proposals_closed_total{status="approved"}': 1, 'tagd_proposals_closed_total{status="rejected"}': 1, "tagd_stale_reviews_total": 1}

    def counted(metrics):  # events as they are applied, what came of them as it is committed
        return {name: n for name, n in metrics.items() if n and re.match("tagd_(tag_changes|alerts|proposals|proposals_closed|stale_reviews)_total", name)}
    metrics = wait_for("all applied and committed, and time gone on", 20, lambda: (m := d.metrics()).get("tagd_events_total") == len(said) and
                       m['tagd_ignored_total{reason="undeclared"}'] == 1 and counted(m) == told and m)
    assert counted(metrics) == told
    status, answer = d.get("/v1/customers/C1")
    assert status == 200 and validators.fault(validators.CUSTOMER, json.loads(answer)) is None, answer
    status, unknown = d.get("/v1/customers/a%2Fb%20c")
    assert (status, json.loads(unknown)) == (404, {"error": "customer a/b c is not known: no applied event of theirs was in their shard"})
    assert d.get("/v1/customers/")[0] == d.get("/v1/customers")[0] == 404
    reader.wait(13, 20)  # 5 changes, 3 of alerts, 5 of proposals, each valid by its schema
    reader.stop()
    d.stop()
    told = d.explain("C1")
    assert told.returncode == 0, told.stderr
    assert re.sub(r"batch \d+", "batch N", re.sub(r"state      \d+", "state      N", told.stdout)) == HELD_TEXT
    customer = json.loads(answer)
    assert customer["revision"] == {"tag": 5, "alert": 3, "proposal": 5} and customer["as_of"] == "2026-11-24T06:00:10.000Z"
    found = customer["dimensions"]
    assert list(found) == list(HELD["dimensions"]) and list(customer["alerts"]) == list(HELD["alerts"])
    assert found["value.strategic"] == {"tag": "opinion-leader", "since": "2026-11-24T06:00:02.000Z", "before": None, "valid_until": None, "then": None,
                                        "rules": [], "holding": None, "review": None,
                                        "word": {"tag": "opinion-leader", "by": "li", "reason": 'a "friend"', "until": None, "in_force": True}}
    assert (found["value.level"]["valid_until"], found["value.level"]["then"]) == ("2026-11-24T07:00:00.000Z", "high")
    assert found["value.level"]["holding"] == {"tag": "high", "since": "2026-11-24T06:00:04.000Z", "waits": None}
    assert found["behaviour.activity"]["holding"] == {"tag": None, "since": None, "waits": {
        "tag": "regular", "since": "2026-11-24T06:00:05.000Z", "taken": "2026-11-24T07:00:05.000Z"}}
    assert [rule["holds"] for rule in found["behaviour.activity"]["rules"]] == [False, False, True]
    assert found["rfm.frequency"]["review"] == {"approved": "mid", "declined": None, "proposal": {
        "id": "proposal:C1:3", "to": "high", "since": "2026-11-24T06:00:04.000Z", "expires": "2026-12-08T06:00:04.000Z"}}
    assert found["rfm.visits"]["review"] == {"approved": None, "proposal": None, "declined": {"to": "often"}}
    assert found["rfm.visits"]["word"] == {"tag": None, "by": "li", "reason": None, "until": None, "in_force": False}
    assert customer["alerts"]["no-order"] == {"raised": True, "since": "2026-11-24T06:00:05.001Z", "valid_until": None, "rule": "since(order.paid) > 1s",
                                              "holds": True, "values": {"since(order.paid)": {"ms": 6000}}, "holding": None}
    assert d.tags("C1") == {"value.strategic": "opinion-leader", "value.level": "low", "rfm.frequency": "mid", "_revision": "5", "_at": str(AT + 9000)}


def test_a_customer_is_not_to_be_had_without_redis_and_the_daemon_says_so(stack, daemon):
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(1)
    d.start()
    try:
        stack.stop_redis()
        status, answer = d.get("/v1/customers/C1")
        assert status == 503 and json.loads(answer)["error"].startswith("Redis at 127.0.0.1:")
    finally:
        stack.start_redis()
    wait_for("it goes on", 20, lambda: d.get("/v1/customers/C1")[0] == 404)
    d.stop()
