"""Events of every kind through a real broker: churn in a topic of its own, which nobody needs without it; alerts and proposals
among the changes of tags; and all of them after Redis went back, or was emptied."""
import json

import pytest
from confluent_kafka.admin import AdminClient

from shop import END, committed, feed, shop_events
from stack import Reader, by_customer, compare, event, simulate, wait_for
from test_kill import Feeder
from test_outage import final_view

EVENTS = {"order.paid": {"fields": {"amount": "decimal", "category": "string"}, "dedupe": "7d"}, "login": {},
          "live.view": {"fields": {"watch_seconds": "decimal"}}, "chat.message": {"fields": {"direction": "string"}}}
PLAIN = {"catalog": "plain", "version": "1", "events": EVENTS, "groups": {"interaction": list(EVENTS)},
         "dimensions": {"behaviour.activity": {"tags": [{"tag": "active", "when": "since(interaction) < 1m"}]}}}
KINDS = {**PLAIN, "catalog": "kinds", "dimensions": {
    "behaviour.activity": {"for": "5s", "tags": [{"tag": "active", "when": "count(interaction[1m]) >= 2", "min_dwell": "30s"},
                                                 {"tag": "dormant", "when": "since(interaction) >= 2m"}, {"tag": "quiet", "when": "true"}]},
    "churn.level": {"tags": [{"tag": "churned", "when": "since(interaction) > 5m"}, {"tag": "watch", "when": "since(interaction) > 1m"},
                             {"tag": "stable", "when": "true"}]},
    "value.level": {"assign": "review", "expires": "3m", "tags": [{"tag": "high", "when": "sum(amount, order.paid[10m]) >= 300"},
                                                                  {"tag": "low", "when": "true"}]},
    "care.plan": {"tags": [{"tag": "back", "when": "was(behaviour.activity) == 'dormant' and since(order.paid) < 1m or "
                                                   "was(care.plan) == 'back' and held(care.plan) < 2m"}]}},
    "alerts": {"key-loss": {"when": "value.level == 'high' and churn.level != 'stable'", "for": "10s"}}}
CHURN = "tagd.churn.changed"


def topics(stack):
    return AdminClient({"bootstrap.servers": stack.bootstrap, "log_level": 0}).list_topics(timeout=10).topics


def refused(d):
    d.start(ready=False)
    assert d.process.wait(30) == 78
    return open(d.log).read()


def test_the_topic_of_churn_is_needed_only_for_churn(stack, daemon):
    plain, kinds = daemon(PLAIN), daemon(KINDS)
    for d in (plain, kinds):
        stack.create([d.config["sources"][0]["topic"]], 2)
    plain.start("--create-topics")
    assert plain.stop() < 5
    outputs = plain.config["outputs"]
    assert {outputs["tag_changes"], outputs["dead_letter"]} <= topics(stack).keys() and outputs["churn_risk"] not in topics(stack)
    outputs = kinds.config["outputs"]
    stack.create([outputs["tag_changes"], outputs["dead_letter"]], 2)
    assert f'topic "{outputs["churn_risk"]}" does not exist; create it with 2 partitions' in refused(kinds)
    stack.create([outputs["churn_risk"]], 3)
    assert f'output topic "{outputs["churn_risk"]}" has 3 partitions, the sources have 2' in refused(kinds)
    kinds.config["outputs"]["churn_risk"] += "2"
    kinds.write()
    kinds.start("--create-topics")
    assert kinds.stop() < 5
    assert len(topics(stack)[kinds.config["outputs"]["churn_risk"]].partitions) == 2


def with_people(tmp_path, events):
    """The events, and among them people who assign tags, and who decide about proposals that are open by then."""
    out = []
    for i, record in enumerate(events):
        out.append(record)
        at = int(record["time"][20:23])
        if i % 40 == 0:
            out.append({**record, "id": f"a{i}", "type": "tag.assigned",
                        "data": {"dimension": "behaviour.activity", "tag": "quiet", "by": "bob", "reason": f"call {at}"}})
        if i % 40 == 20:
            out.append({**record, "id": f"c{i}", "type": "tag.cleared", "data": {"dimension": "behaviour.activity", "by": "bob"}})
    made = simulate(tmp_path, KINDS, out)
    decided = {}  # a quarter of the proposals, when their customer comes next: some are open by then
    for customer, told in made.items():
        for change in told:
            if change["type"] == "tagd.tag.proposed" and change["data"]["revision"] % 4 == 1:
                decided.setdefault(customer, []).append((change["time"], change["id"]))
    final, n = [], 0
    for record in out:
        final.append(record)
        waiting = decided.get(record["subject"], [])
        while waiting and waiting[0][0] < record["time"]:
            n += 1
            final.append({**record, "id": f"r{n}", "type": "tag.reviewed",
                          "data": {"proposal": waiting.pop(0)[1], "decision": "approved" if n % 3 else "rejected", "by": "ann"}})
    return final


def send(stack, d, events):
    producer = stack.producer()
    for record in events:
        producer.produce(d.config["sources"][0]["topic"], json.dumps(record), record["subject"])
    producer.flush()


def topic_of(change):
    return "churn_risk" if change["type"] == CHURN else "tag_changes"


@pytest.mark.parametrize("mode, lost", [("structured", "some"), ("binary", "some"), ("structured", "all")])
def test_every_kind_is_published_once_whatever_redis_loses(stack, daemon, tmp_path, mode, lost):
    events = with_people(tmp_path, shop_events(6000, 120, 29, step_ms=600))
    d = daemon(KINDS, time="events", grace="0s", workers=2)
    d.config["outputs"]["content_mode"] = mode
    d.write()
    stack.create([s["topic"] for s in d.config["sources"]], 4)
    d.partitions = 4
    d.start("--create-topics")
    readers = {o: Reader(stack, d.config["outputs"][o], 4) for o in ("tag_changes", "churn_risk")}
    d.readers.extend(readers.values())
    third = len(events) // 3
    send(stack, d, events[:third])
    wait_for("a third is taken", 60, lambda: committed(stack, d))
    copy = stack.copy_redis()
    send(stack, d, events[third:2 * third])
    wait_for("two are", 60, lambda: committed(stack, d))
    feeder = Feeder(stack, d, events[2 * third:], 1000)
    if lost == "some":
        stack.roll_back_redis(copy)
        wait_for("the repair is over", 60, lambda: d.is_ready() and d.metrics()["tagd_repairs_total"] >= 1)
    else:
        stack.flush_redis()
        assert d.process.wait(30) == 78
        d.start("--rebuild")
        wait_for("the rebuilding is over", 90, lambda: d.is_ready() and d.metrics()["tagd_repairs_total"] == 4)
    assert d.metrics()['tagd_tag_changes_total{origin="repair"}'] == 0
    feeder.thread.join()
    feed(stack, d, [])
    wanted = simulate(tmp_path, KINDS, [*events, event("end", "end", "nobody", END)])
    total = {o: sum(topic_of(c) == o for told in wanted.values() for c in told) for o in readers}
    for output, reader in readers.items():
        reader.wait(total[output], 90)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    assert d.stop() < 5
    types, statuses = {}, set()
    for output, reader in readers.items():
        reader.stop()
        found = by_customer(map(structured, reader.messages))
        compared, differences = compare(found, {k: [c for c in told if topic_of(c) == output] for k, told in wanted.items()
                                                if any(topic_of(c) == output for c in told)})
        assert not differences, differences[0]
        assert compared == total[output] == len(reader.messages)
        for change in (c for told in found.values() for c in told):
            types[change["type"]] = types.get(change["type"], 0) + 1
            statuses.add(change["data"].get("status"))
    assert len(types) == 6 and statuses == {None, "approved", "rejected", "withdrawn", "expired"}, (types, statuses)
    for customer, told in wanted.items():
        tags = [c for c in told if c["type"] == "tagd.tag.changed"]
        shown = [c for c in told if c["type"] in (CHURN, "tagd.tag.changed")]
        view = {**final_view(tags), "_revision": str(len(tags))} if tags else {"_revision": "0", "_at": "0"}
        assert d.tags(customer) == {**{k: v for k, v in view.items() if k[0] == "_"}, **shown[-1]["data"]["tags"]}, customer
    print(f"{types} compared with what simulate makes, {len(wanted)} views, 0 differences")


def structured(message):
    """An event of either content mode as a structured one."""
    headers = dict(message.headers())
    if "ce_type" not in headers:
        return json.loads(message.value())
    attributes = {k[3:]: v.decode() for k, v in headers.items() if k.startswith("ce_")}
    return {**attributes, "datacontenttype": "application/json", "data": json.loads(message.value())}
