"""Customers by tag, who came and who left: through kills, over both servers' eyes, equal to a recount and to what simulate makes of the
same events; counted anew for other breakdowns and for state that knew no population."""
import json
import os
import random
import subprocess
import time

import pytest
from shop import committed
from stack import TAGD, event, wait_for
from validators import check_population, check_report

BASE = 1795500000000  # 14:40 of 24 November in +08:00
STEP_MS = 20000
REST_MS = 7200000  # time goes on so far past the last event
KILLS = 8

CATALOG = {
    "catalog": "portrait", "version": "1", "timezone": "+08:00",
    "events": {"order.paid": {"fields": {"amount": "decimal", "category": "string"}, "dedupe": "1h"}, "login": {}},
    "attributes": {"industry": "string", "region": "string"},
    "metrics": {"spend": "sum(amount, order.paid[12h])"},
    "dimensions": {
        "value.level": {"label": {"en": "Value", "zh-CN": "价值"}, "tags": [
            {"tag": "high", "label": "High", "when": "spend >= 300"}, {"tag": "mid", "when": "spend >= 100"}]},
        "behaviour.activity": {"tags": [
            {"tag": "lost", "when": "since(login) > 2d"}, {"tag": "dormant", "when": "since(login) >= 1d"}, {"tag": "active", "when": "true"}]},
        "base.industry": {"value": "attr.industry"},
        "base.region": {"value": "attr.region"},
        "value.total": {"value": "sum(amount, order.paid)"}},
    "goals": {"wake": {"start": "behaviour.activity.dormant", "reach": "order.paid", "within": "6h", "target": 0.15, "holdout": 0.3}},
    "measures": {"again": {"label": {"en": "Bought again", "zh-CN": "复购"}, "value": "count(order.paid[12h]) >= 2", "of": "count(order.paid[12h]) >= 1"},
                 "order": {"value": "avg(amount, order.paid)"}, "silence": {"value": "since(login)"}},
    "alerts": {"key-loss": {"label": "Loss", "when": "value.level == 'high' and since(login) >= 3h", "for": "10m"}},
    "breakdowns": [["base.industry", "value.level"], ["value.level", "behaviour.activity"], ["base.region"]]}


def portrait_events(n, customers, seed):
    rng, out, at = random.Random(seed), [], BASE
    for i in range(n):
        at += rng.randint(1, 2 * STEP_MS)
        subject = f"C{int(customers * rng.random() ** 2):04d}"
        type = rng.choice(["order.paid", "order.paid", "login", "profile.updated"])
        data = {"order.paid": {"amount": round(rng.random() * 200, 2), "category": "tea"}, "login": {},
                "profile.updated": {"attributes": {"industry": rng.choice(["软件|开发", "retail", "", None]), "region": rng.choice(["north", "south"])}}}[type]
        out.append(event(f"e{i}", type, subject, at, data))
    return out


def end_of(events):
    return BASE + max(ms_of(e["time"]) for e in events) + REST_MS


def ms_of(text):
    """Since BASE."""
    return int(time.mktime(time.strptime(text[:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone) * 1000 + int(text[20:23]) - BASE


def feed(stack, d, events, end=None):
    """end: time goes on to there."""
    producer, topics = stack.producer(), [s["topic"] for s in d.config["sources"]]
    for record in events:
        producer.produce(topics[0], json.dumps(record), record["subject"])
        producer.poll(0)
    for partition in range(d.partitions if end else 0):
        producer.produce(topics[0], json.dumps(event(f"end{partition}", "end", "nobody", end)), None, partition)
    producer.flush()


def simulated(folder, catalog, events):
    """The population that the events end in."""
    path = f"{folder}/population-{time.monotonic_ns()}"
    with open(path + ".jsonl", "w") as file:
        file.writelines(json.dumps(e) + "\n" for e in events)
    json.dump(catalog, open(path + ".catalog", "w"))
    run = subprocess.run([TAGD, "simulate", "--catalog", path + ".catalog", "--until", event("", "", "", end_of(events))["time"], "--population", path,
                          "--report", path + ".json", "--period", "90d", path + ".jsonl"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.load(open(path)), json.load(open(path + ".json"))


def command(d, *arguments):
    return subprocess.run([TAGD, "population", "--config", d.path, *arguments], capture_output=True, text=True)


def answer(d, query="breakdown=all&days=400&months=24&tags=100000"):
    status, body = d.get("/v1/population?" + query)
    assert status == 200, body
    found = json.loads(body)
    check_population(found)
    return found


def meaning(population):
    """Without what differs between a group and a simulation."""
    return {k: v for k, v in population.items() if k not in ("group", "shards")}


def rounded(node):
    """Sums of doubles depend on their order."""
    if isinstance(node, dict):
        return {k: rounded(v) for k, v in node.items()}
    return list(map(rounded, node)) if isinstance(node, list) else float(f"{node:.9g}") if isinstance(node, float) else node


def report(d, *arguments):
    told = subprocess.run([TAGD, "report", "--config", d.path, *arguments], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return told.stdout


def counts_in(node):
    if isinstance(node, dict):
        return sum(map(counts_in, node.values()))
    return sum(map(counts_in, node)) if isinstance(node, list) else isinstance(node, int)


def views(stack, d):
    """{dimension: {tag: customers}}, of the views for readers."""
    found = {}
    for key in stack.redis.scan_iter(match=f"{d.name}:tags:*", count=10000):
        for dimension, tag in stack.redis.hgetall(key).items():
            if not dimension.startswith("_"):
                found.setdefault(dimension, {})
                found[dimension][tag] = found[dimension].get(tag, 0) + 1
    return found


def by_dimension(population):
    return {name: {t["tag"]: t["customers"] for t in of["tags"] if t["customers"]} for name, of in population["dimensions"].items() if of["customers"]}


def all_read(stack, d):
    wait_for("all is committed", 60, lambda: committed(stack, d))


def compare_all(stack, d, catalog, events, folder):
    """How many counts were compared."""
    (wanted, wanted_report), found = simulated(folder, catalog, events), answer(d)
    assert meaning(found) == meaning(wanted)
    portrait = json.loads(report(d, "--period", "90d", "--format", "json"))
    check_report(portrait)
    assert rounded(meaning(portrait)) == rounded(meaning(wanted_report))
    assert all(m["customers"] for m in portrait["measures"].values())
    assert "复购" in report(d, "--format", "html", "--language", "zh-CN") and "| Bought again |" in report(d)
    assert by_dimension(found) == views(stack, d)
    told = command(d, "--recount")
    assert told.returncode == 0 and told.stdout.endswith("0 differ\n"), told.stdout + told.stderr
    return counts_in(found)


def test_through_kills_it_equals_a_recount_and_what_simulate_makes_of_the_events(stack, daemon, tmp_path):
    seed = int(os.environ.get("TAGD_SEED", random.randrange(10**6)))
    print(f"TAGD_SEED={seed}")
    rng = random.Random(seed)
    events = portrait_events(20000, 3000, seed)
    d = daemon(CATALOG, time="events", grace="0s", workers=2, batch_events=300)
    d.create_topics(4)
    d.start()
    parts = [events[i * len(events) // KILLS:(i + 1) * len(events) // KILLS] for i in range(KILLS)]
    for part in parts:
        feed(stack, d, part)
        time.sleep(rng.random())
        d.kill()
        d.start()
    feed(stack, d, [], end_of(events))
    all_read(stack, d)
    n = compare_all(stack, d, CATALOG, events, tmp_path)
    wait_for("the metrics have it", 30, lambda: d.metrics().get("tagd_customers") == answer(d)["customers"])
    metrics = d.metrics()
    for name, of in answer(d, "tags=100")["dimensions"].items():
        for tag in of["tags"][:50]:
            assert metrics[f'tagd_population{{dimension="{name}",tag="{tag["tag"]}"}}'] == tag["customers"], (name, tag)
        assert metrics[f'tagd_untagged{{dimension="{name}"}}'] == of["none"]
    assert sum(line.startswith('tagd_population{dimension="value.total"') for line in metrics) == 100
    assert metrics['tagd_alerts{alert="key-loss"}'] == answer(d)["alerts"]["key-loss"]["raised"]
    (month,) = answer(d)["goals"]["wake"]["months"]
    assert min(month["treated"]["reached"], month["treated"]["missed"], month["holdout"]["reached"]) > 0
    for customers in ("treated", "holdout"):
        for state, n in month[customers].items():
            assert metrics[f'tagd_goals{{goal="wake",month="{month["month"]}",customers="{customers}",state="{state}"}}'] == n
    assert metrics["tagd_populations_counted_total"] == 0
    d.stop()
    print(f"{KILLS} kills, {len(events)} events; {n} counts compared with tagd simulate, with the views, and with a recount: 0 differences")


def test_of_a_value_the_most_frequent_tags_are_listed_whatever_shard_they_are_in(stack, daemon, tmp_path):
    events = portrait_events(4000, 900, 7)
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(3)
    d.start()
    feed(stack, d, events, end_of(events))
    all_read(stack, d)
    whole = answer(d)["dimensions"]["value.total"]
    assert whole["others"] == 0 and len(whole["tags"]) > 300
    few = answer(d, "dimension=value.total&tags=7")["dimensions"]["value.total"]
    assert len(few["tags"]) == 7 and few["others"] + sum(t["customers"] for t in few["tags"]) == few["customers"] == whole["customers"]
    exact = {t["tag"]: t["customers"] for t in whole["tags"]}
    assert all(exact[t["tag"]] == t["customers"] for t in few["tags"])
    # the same of a pair
    pair = answer(d, "breakdown=value.level,base.industry&tags=2")["breakdowns"][0]
    exact = {tuple(c["tags"]): c["customers"] for c in answer(d)["breakdowns"][0]["counts"]}
    assert len(pair["counts"]) == 2 and all(exact[tuple(c["tags"])] == c["customers"] for c in pair["counts"])
    assert pair["others"] == sum(exact.values()) - sum(c["customers"] for c in pair["counts"]) > 0
    assert list(answer(d, "dimension=alert:key-loss")["alerts"]) == ["key-loss"] and answer(d, "dimension=alert:key-loss")["dimensions"] == {}
    d.stop()


def test_other_breakdowns_are_counted_at_the_take_over_and_days_stay(stack, daemon, tmp_path):
    events = portrait_events(6000, 1500, 3)
    d = daemon(CATALOG, time="events", grace="0s", batch_events=200)
    d.create_topics(2)
    d.start()
    feed(stack, d, events[:4000])
    all_read(stack, d)
    d.stop()
    other = {**CATALOG, "breakdowns": [["base.region", "base.industry"], ["base.industry", "behaviour.activity"]]}
    json.dump(other, open(d.config["catalog"], "w"))
    told = command(d, "--recount")
    assert told.returncode == 69 and "2 shards aren't counted by this catalog yet" in told.stderr
    assert json.loads(command(d, "--json").stdout)["uncounted"] == 2
    d.start()
    assert d.metrics()["tagd_populations_counted_total"] == 2
    feed(stack, d, events[4000:], end_of(events))
    all_read(stack, d)
    compare_all(stack, d, other, events, tmp_path)
    assert not [k for k in stack.redis.scan_iter(match=f"{d.name}:*}}:pop:*") if k.endswith("value.level|base.industry") or k.endswith("value.level|behaviour.activity")]
    d.stop()
    d.start()
    assert d.metrics()["tagd_populations_counted_total"] == 0
    d.stop()


def test_state_that_knew_no_population_is_counted_and_a_wrong_count_is_found_and_mended(stack, daemon, tmp_path):
    events = portrait_events(3000, 700, 5)
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(2)
    d.start()
    feed(stack, d, events)
    all_read(stack, d)
    d.stop()
    for key in list(stack.redis.scan_iter(match=f"{d.name}:*}}:pop*")):
        stack.redis.delete(key)  # as an earlier version left it
    d.start()
    assert d.metrics()["tagd_populations_counted_total"] == 2
    feed(stack, d, [], end_of(events))
    all_read(stack, d)
    assert command(d, "--recount").returncode == 0
    wanted, _ = simulated(tmp_path, CATALOG, events)
    assert {k: v for k, v in meaning(answer(d)).items() if k != "days"} == {k: v for k, v in meaning(wanted).items() if k != "days"}
    tag = f"{d.name}:{{{d.name}:1}}:pop"
    stack.redis.zincrby(tag + ":value.level", 2, "high")
    stack.redis.zadd(tag + ":base.industry", {"nobody's": 1})
    told = command(d, "--recount")
    assert told.returncode == 65 and "shard 1: value.level high: counted" in told.stdout and "base.industry nobody's: counted 1, in the profiles 0" in told.stdout
    assert told.stdout.endswith(", 2 differ\n") and f'"{d.name}:{{{d.name}:SHARD}}:pop"' in told.stderr
    d.stop()
    stack.redis.delete(tag)  # what it says
    d.start()
    assert d.metrics()["tagd_populations_counted_total"] == 1
    assert command(d, "--recount").returncode == 0
    d.stop()


def test_each_instance_exports_its_own_shards(stack, daemon, tmp_path):
    events = portrait_events(3000, 700, 11)
    a = daemon(CATALOG, time="events", grace="0s")
    a.create_topics(4)
    b = daemon(CATALOG)
    b.join(a)
    a.start()
    b.start()
    wait_for("both have shards", 30, lambda: a.metrics()["tagd_shards_running"] == b.metrics()["tagd_shards_running"] == 2)
    feed(stack, a, events, end_of(events))
    all_read(stack, a)
    whole = answer(a)
    assert meaning(whole) == meaning(answer(b)) == meaning(simulated(tmp_path, CATALOG, events)[0])

    def summed(name):
        return a.metrics().get(name, 0) + b.metrics().get(name, 0)
    wait_for("the metrics have it", 30, lambda: summed("tagd_customers") == whole["customers"])
    assert a.metrics()["tagd_customers"] > 0 and b.metrics()["tagd_customers"] > 0
    for tag in whole["dimensions"]["behaviour.activity"]["tags"]:
        assert summed(f'tagd_population{{dimension="behaviour.activity",tag="{tag["tag"]}"}}') == tag["customers"]
    entries = {}
    for day in whole["days"]:
        for tag in day["dimensions"].get("value.level", {"tags": []})["tags"]:
            was = entries.get(tag["tag"], (0, 0))
            entries[tag["tag"]] = (was[0] + tag["entries"], was[1] + tag["exits"])
    for tag, (came, left) in entries.items():
        assert summed(f'tagd_tag_entries_total{{dimension="value.level",tag="{tag}"}}') == came
        assert summed(f'tagd_tag_exits_total{{dimension="value.level",tag="{tag}"}}') == left
    raised = sum(day["alerts"].get("key-loss", {"raised": 0})["raised"] for day in whole["days"])
    assert summed('tagd_alerts_raised_total{alert="key-loss"}') == raised > 0
    a.stop()
    b.stop()


def test_history_that_is_imported_counts(stack, daemon, tmp_path):
    events = portrait_events(4000, 800, 13)
    until = events[2500]["time"]
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(2)
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    told = subprocess.run([TAGD, "import", "--config", d.path, "--until", until, str(tmp_path / "history.jsonl")], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert command(d, "--recount").returncode == 0
    d.start()
    assert d.metrics()["tagd_populations_counted_total"] == 0
    feed(stack, d, [e for e in events if e["time"] >= until], end_of(events))
    all_read(stack, d)
    compare_all(stack, d, CATALOG, events, tmp_path)
    d.stop()


def test_a_redis_that_came_back_older_has_the_population_of_its_profiles_and_after_the_repair_that_of_the_events(stack, daemon, tmp_path):
    events = portrait_events(4000, 800, 17)
    d = daemon(CATALOG, time="events", grace="0s", batch_events=200)
    d.create_topics(2)
    d.start()
    feed(stack, d, events[:2000])
    all_read(stack, d)
    copy = stack.copy_redis()
    feed(stack, d, events[2000:3000])
    all_read(stack, d)
    d.kill()
    stack.roll_back_redis(copy)
    assert command(d, "--recount").returncode == 0
    d.start()
    wait_for("repaired", 60, lambda: d.metrics().get("tagd_repairs_total", 0) == 2)
    feed(stack, d, events[3000:], end_of(events))
    all_read(stack, d)
    compare_all(stack, d, CATALOG, events, tmp_path)
    d.stop()


@pytest.mark.parametrize("query, word", [
    ("months=25", "months: expected a whole number from 1 to 24, found \"25\""), ("days=0", "days: expected a whole number from 1 to 400, found \"0\""), ("days=401", "from 1 to 400"), ("days=", "found \"\""),
    ("tags=1e3", "tags: expected a whole number from 1 to 100000"), ("dimension=value", "the catalog has no \"value\""),
    ("dimension=key-loss", "alert:NAME"), ("breakdown=value.level", "is none of the catalog's"),
    ("breakdown=value.level,base.region", "is none of the catalog's"), ("day=3", "\"day\" is no argument: expected dimension, breakdown, days, months or tags")])
def test_a_question_that_is_none_is_told_why(stack, one, query, word):
    status, body = one.get("/v1/population?" + query)
    assert status == 400 and word in json.loads(body)["error"]


@pytest.fixture(scope="module")
def one(stack, tmp_path_factory):
    import stack as stack_module
    d = stack_module.Daemon(stack, "population-asked", CATALOG, ["population-asked.events"])
    d.create_topics(1)
    d.start()
    yield d
    if d.process.poll() is None:
        d.kill()


def test_before_the_first_event_there_is_nobody(one):
    found = answer(one)
    assert found["customers"] == 0 and found["as_of"] is None and found["days"] == [] and found["uncounted"] == 0
    assert one.get("/v1/population?" + "&".join(["days=3"] * 17))[0] == 400


def test_without_redis_the_answer_says_so_and_nothing_else_waits(stack, one):
    stack.stop_redis()
    try:
        status, body = one.get("/v1/population")
        assert status == 503 and "Redis" in json.loads(body)["error"]
        assert one.get("/livez")[0] == 200
        assert command(one).returncode == 69
    finally:
        stack.start_redis()
    wait_for("it answers again", 20, lambda: one.get("/v1/population")[0] == 200)


def test_the_table_says_what_the_document_says(stack, daemon, tmp_path):
    events = portrait_events(500, 100, 19)
    d = daemon(CATALOG, time="events", grace="0s")
    d.create_topics(2)
    d.start()
    feed(stack, d, events, end_of(events))
    all_read(stack, d)
    found, text = answer(d), command(d, "--breakdown", "all", "--days", "400", "--months", "24").stdout
    assert f"{found['customers']} customers in 2 shards" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for tag in found["dimensions"]["value.level"]["tags"]:
        assert any(line.startswith(f"{tag['tag']} {tag['customers']}") for line in lines), tag
    assert f"raised {found['alerts']['key-loss']['raised']}" in lines and "value.level by base.industry" in lines
    day = found["days"][0]
    assert f"{day['day']} + {day['dimensions']['behaviour.activity']['tags'][0]['entries']} behaviour.activity active" in lines
    assert "goal wake, by the month in which it began" in lines
    for month in found["goals"]["wake"]["months"]:
        assert any(line.startswith(f"{month['month']} treated {month['treated']['started']} began {month['treated']['reached']} reached") for line in lines)
    assert json.loads(command(d, "--json", "--breakdown", "all", "--days", "400", "--months", "24", "--tags", "100000").stdout) == found
    d.stop()
