"""Goals by the month in which they began: what `tagd simulate --population` counts, and what its changes say."""
import collections
import datetime
import json
import zlib

import pytest

from timeline import CATALOGS, END, path_of, read_catalog, read_samples, simulate

ZONE = datetime.timezone(datetime.timedelta(hours=8))


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def month_of(text):
    return time_of(text).astimezone(ZONE).strftime("%Y-%m")


def begins(goal, event):
    """A goal that runs already goes on, whatever enters its tag meanwhile."""
    return time_of(event["data"]["goal"]["deadline"]) - time_of(event["time"]) == datetime.timedelta(days=int(goal["within"][:-1]))


def counted(population):
    return {(name, month["month"], customers, state): n for name, goal in population["goals"].items() for month in goal["months"]
            for customers in ("treated", "holdout") for state, n in month[customers].items() if n}


def told(catalog, events):
    """By what the events out say, and hold-out by its definition."""
    found = collections.Counter()
    for event in events:
        data, goal = event["data"], None
        if event["type"] in ("tagd.goal.reached", "tagd.goal.missed"):
            goal, state, began = data["goal"], event["type"].rsplit(".", 1)[1], data["started"]
        elif data.get("goal") and begins(catalog["goals"][data["goal"]["name"]], event):
            goal, state, began = data["goal"]["name"], "started", event["time"]
        if goal:
            held = zlib.crc32(f"{goal}:{event['subject']}".encode()) % 10000 < round(10000 * catalog["goals"][goal].get("holdout", 0))
            found[goal, month_of(began), "holdout" if held else "treated", state] += 1
    return found


@pytest.mark.parametrize("name", CATALOGS)
def test_cohorts_are_what_the_changes_say(name, tmp_path):
    path = str(tmp_path / "population.json")
    events = simulate(path_of(name), read_samples(name), END, "--population", path)
    found = counted(json.load(open(path)))
    wanted = told(read_catalog(name), events)
    assert found == dict(wanted)
    assert bool(found) == bool(read_catalog(name).get("goals"))
