"""What a catalog tells beside each customer's tags: how many are what, who came and went, and why an alert was raised."""
import json
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from timeline import CATALOGS, END, TAGD, event_of, instant, path_of, read_catalog, read_samples, simulate, time_ms, time_text, told, validators

ZONE = timezone(timedelta(hours=8))
PORTRAIT = ("base.industry", "base.region", "base.scale", "value.level")


@pytest.fixture(scope="module", params=CATALOGS)
def samples(request, tmp_path_factory):
    """(the population that simulate writes, the changes it prints) of a catalog's samples."""
    catalog, path = request.param, tmp_path_factory.mktemp("told") / "population.json"
    text = "".join(json.dumps(e) + "\n" for e in read_samples(catalog))
    run = subprocess.run([TAGD, "simulate", "--catalog", path_of(catalog), "--until", time_text(END), "--population", str(path)], input=text, capture_output=True, text=True, check=True)
    population = json.loads(path.read_text())
    validators.check_population(population)
    return catalog, population, [json.loads(line) for line in run.stdout.splitlines()]


def tags_of_customers(changes):
    found = {}
    for change in changes:
        found.setdefault(change["subject"], {}).update({name: tag for name, tag in told(change).items() if "." in name})
    return found


def test_a_portrait_is_what_counting_the_customers_gives(samples):
    catalog, population, changes = samples
    customers = tags_of_customers(changes).values()
    for name, dimension in population["dimensions"].items():
        counted = {tag["tag"]: tag["customers"] for tag in dimension["tags"] if tag["customers"]}
        carried = [tags[name] for tags in customers if tags.get(name)]
        assert counted == {tag: carried.count(tag) for tag in carried}, name
    for pair in population["breakdowns"]:
        carried = [tuple(tags.get(name) for name in pair["dimensions"]) for tags in customers]
        carried = [tags for tags in carried if None not in tags]
        assert {tuple(c["tags"]): c["customers"] for c in pair["counts"]} == {tags: carried.count(tags) for tags in carried}, pair["dimensions"]


def test_a_quarter_has_who_came_to_a_tag_and_who_left_it(samples):
    catalog, population, changes = samples
    since = (datetime.fromtimestamp(END / 1000, ZONE) - timedelta(days=90)).date().isoformat()
    wanted = {}
    for change in (c for c in changes if c["type"] in ("tagd.tag.changed", "tagd.churn.changed")):
        if datetime.fromtimestamp(time_ms(change["time"]) / 1000, ZONE).date().isoformat() >= since:
            for way, tag in (("exits", change["data"]["from"]), ("entries", change["data"]["to"])):
                if tag is not None and "tags" in read_catalog(catalog)["dimensions"].get(change["data"]["dimension"], {}):
                    key = change["data"]["dimension"], tag, way
                    wanted[key] = wanted.get(key, 0) + 1
    found = {}
    for day in population["days"]:
        for name, moved in day["dimensions"].items() if day["day"] >= since else ():
            for tag in moved.get("tags", []) if "tags" in read_catalog(catalog)["dimensions"].get(name, {}) else ():
                for way in ("entries", "exits"):
                    if tag[way]:
                        found[name, tag["tag"], way] = found.get((name, tag["tag"], way), 0) + tag[way]
    assert found == wanted and len(found) > 10


def test_accounts_count_each_side_of_the_portrait_and_each_by_value():
    breakdowns = read_catalog("accounts")["breakdowns"]
    assert all([name, "value.level"] in breakdowns for name in PORTRAIT[:3])


def test_an_alert_of_a_key_loss_has_the_values_behind_it_and_says_what_to_do():
    events = [event_of(instant("0d"), ["order.paid", "amount=500000"], 1), event_of(instant("100d"), ["login"], 2)]
    raised, cleared = (e for e in simulate(path_of("accounts"), events) if e["type"].startswith("tagd.alert."))
    assert raised["type"] == "tagd.alert.raised" and cleared["type"] == "tagd.alert.cleared"
    assert raised["data"]["because"]["values"] == {"value.level": "high", "risk.level": "churn"}
    assert cleared["data"]["because"]["failed"]["values"] == {"value.level": "high", "risk.level": "stable"}
    assert raised["data"]["plan"] == read_catalog("accounts")["alerts"]["key-loss"]["plan"]


def test_a_new_tag_needs_no_code(tmp_path):
    catalog = read_catalog("rfm")
    catalog["dimensions"]["value.month"]["tags"].insert(0, {"tag": "very-high", "label": "Very high", "when": "net_spend_month >= 200000"})
    (tmp_path / "rfm.json").write_text(json.dumps(catalog))
    changes = simulate(str(tmp_path / "rfm.json"), [event_of(instant("0d"), ["order.paid", "amount=200000"], 1)], instant("30d"))
    assert [c["data"]["to"] for c in changes if c["data"]["dimension"] == "value.month"] == ["very-high", None]
