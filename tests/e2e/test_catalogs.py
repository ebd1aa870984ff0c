"""Each catalog that comes with tagd, on a real broker and a real Redis: its samples and worked examples give what simulate gives, kind by
kind and revision by revision; views and population are what they end in."""
import json
import os
import subprocess
import sys

import pytest

from shop import committed
from stack import ROOT, TAGD, compare, event, final_view, simulate, wait_for
from test_population import answer, meaning
from validators import check_change

sys.path.insert(0, os.path.join(ROOT, "tests/catalogs"))
from timeline import CATALOGS, END, path_of, read_samples, read_table, time_ms  # noqa: E402

PARTITIONS = 4
CHURN, TAG = "tagd.churn.changed", "tagd.tag.changed"
KINDS = {"retail": {TAG, CHURN, "tagd.goal.reached", "tagd.goal.missed"}, "rfm": {TAG, CHURN, "tagd.tag.proposed", "tagd.proposal.closed"},
         "accounts": {TAG, CHURN, "tagd.alert.raised", "tagd.alert.cleared"}, "loyalty": {TAG, CHURN, "tagd.goal.reached", "tagd.goal.missed"}}


def worked_examples(catalog):
    """Those of the catalog's table, each as a customer of its own."""
    for row in read_table(catalog):
        for i, timeline in enumerate(row.timelines if row.dimension == "worked examples" else []):
            yield from ({**e, "subject": f"W{i + 1}", "id": f"W{i + 1}-{e['id']}"} for line in timeline.lines for e in line.events)


def in_order(catalog):
    events = [*read_samples(catalog), *worked_examples(catalog)]
    return sorted(events, key=lambda e: time_ms(e["time"]))


def population(folder, catalog, events):
    """What simulate says the events end in."""
    path = f"{folder}/{catalog}"
    with open(path + ".jsonl", "w") as file:
        file.writelines(json.dumps(e) + "\n" for e in events)
    subprocess.run([TAGD, "simulate", "--catalog", path_of(catalog), "--population", path, path + ".jsonl"], stdout=subprocess.DEVNULL, check=True)
    with open(path) as file:
        return json.load(file)


def send(stack, d, events):
    producer, topic = stack.producer(), d.config["sources"][0]["topic"]
    for record in events:
        producer.produce(topic, json.dumps(record), record["subject"])
    for partition in range(PARTITIONS):  # time goes on to the end, by a record of a type that the catalog does not know
        producer.produce(topic, json.dumps(event(f"end{partition}", "end", "nobody", END)), None, partition)
    producer.flush()


@pytest.mark.parametrize("catalog", CATALOGS)
def test_the_daemon_makes_of_a_catalog_what_simulate_makes(stack, daemon, tmp_path, catalog):
    events = in_order(catalog)
    end = event("end", "end", "nobody", END)
    wanted = simulate(tmp_path, path_of(catalog), [*events, end])
    d = daemon(path_of(catalog), time="events", grace="0s", workers=2)
    d.create_topics(PARTITIONS)
    readers = [d.reader("tag_changes"), d.reader("churn_risk")]
    d.start(ready=False)
    send(stack, d, events)
    total = sum(map(len, wanted.values()))
    wait_for("all changes", 120, lambda: sum(len(r.messages) for r in readers) >= total)
    wait_for("offsets committed", 30, lambda: committed(stack, d))
    assert meaning(answer(d)) == meaning(population(tmp_path, catalog, [*events, end]))
    assert d.stop() < 5
    found, kinds = {}, {}
    for reader, of_churn in zip(readers, (False, True)):
        reader.stop()
        for change in reader.changes():
            check_change(change)
            assert (change["type"] == CHURN) == of_churn, change["id"]
            found.setdefault(change["subject"], {}).setdefault(change["type"].split(".")[1], []).append(change)
            kinds[change["type"]] = kinds.get(change["type"], 0) + 1
    assert kinds.keys() >= KINDS[catalog], kinds
    compared = 0
    for kind in {change["type"].split(".")[1] for told in wanted.values() for change in told}:
        n, differences = compare({c: told[kind] for c, told in found.items() if kind in told},
                                 {c: of for c, told in wanted.items() if (of := [x for x in told if x["type"].split(".")[1] == kind])})
        assert not differences, differences[0]
        compared += n
    assert compared == total == sum(len(r.messages) for r in readers)
    for customer, told in wanted.items():
        tags, shown = [c for c in told if c["type"] == TAG], [c for c in told if c["type"] in (TAG, CHURN)]
        last = {k: v for k, v in final_view(tags).items() if k[0] == "_"}
        assert d.tags(customer) == {**last, **shown[-1]["data"]["tags"]}, customer
    print(f"{catalog}: {kinds}, {compared} compared with what simulate makes, {len(wanted)} views, 0 differences")
