"""Alert rules, their tests, their runbook, and the dashboard: each alert is tested, told what to do about, and made of figures that exist."""
import glob
import json
import os
import re
import subprocess

import pytest
from stack import ROOT

RULES = ROOT + "/deploy/prometheus/"
TEXT = open(RULES + "tagd.rules.yml").read()
BLOCKS = {re.search(r"alert: (\w+)", block)[1]: block for block in re.split(r"(?=      - (?:alert|record): )", TEXT) if "alert: " in block}
CODE = "".join(open(path).read() for path in glob.glob(ROOT + "/daemon/*/*.c"))
PROMETHEUS_OWN = {"up"}


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True)


def verdict(folder, rules, alert=None):
    """promtool's verdict on these rules by the tests that are there: all, or those of an alert."""
    (folder / "tagd.rules.yml").write_text(rules)
    paths = []
    for path in sorted(glob.glob(RULES + "*.test.yml")):
        head, *tests = re.split(r"(?=^  - name: )", open(path).read(), flags=re.M)
        tests = [t for t in tests if alert is None or f'"{alert}"' in t]
        if tests:
            paths.append(folder / os.path.basename(path))
            paths[-1].write_text(head + "".join(tests))
    assert paths, f"{alert} has no test"
    return promtool("test", "rules", *map(str, paths))


def metrics_of(query):
    query = re.sub(r'"[^"]*"|\{[^}]*\}|by \([^)]*\)|on \([^)]*\)|group_left \([^)]*\)', " ", query)
    return set(re.findall(r"\b((?:tagd|process|up|kafka)[\w:]*)\b", query))


def exists(metric):
    return metric in PROMETHEUS_OWN or metric in CODE or re.sub(r"_(bucket|sum|count)$", "", metric) in CODE


def test_rules_are_rules():
    done = promtool("check", "rules", *sorted(glob.glob(RULES + "*.rules.yml")))
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)


def test_rules_pass_their_tests(tmp_path):
    done = verdict(tmp_path, TEXT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", BLOCKS)
def test_an_alert_that_is_broken_fails_its_tests(tmp_path, alert):
    """Taken out; always firing; never waiting, or waiting for ever."""
    block = BLOCKS[alert]
    broken = [TEXT.replace(block, ""), TEXT.replace(block, block.replace("for: ", "for: 9")) if "for: " in block else TEXT.replace(block, block.replace("[15m]", "[1d]")),
              TEXT.replace(block, re.sub(r"        for: \w+\n", "", block)) if "for: " in block else TEXT.replace(block, re.sub(r" > 0\n", " >= 0\n", block))]
    for rules in broken:
        assert rules != TEXT
        done = verdict(tmp_path, rules, alert)
        for path in tmp_path.iterdir():
            path.unlink()
        assert done.returncode == 1 and "FAILED" in done.stdout + done.stderr, rules


@pytest.mark.parametrize("alert", BLOCKS)
def test_an_alert_says_what_to_do_and_is_made_of_what_exists(alert):
    block = BLOCKS[alert]
    runbook = open(ROOT + "/deploy/RUNBOOK.md").read()
    section = re.search(rf"^## {alert}\n(.*?)(?=^#)", runbook, re.M | re.S)[1]
    assert all(word in section for word in ("**Means**", "**Look**", "**Do**"))
    assert f"runbook_url: RUNBOOK.md#{alert.lower()}" in block and "summary: " in block and "description: " in block
    assert re.search(r"severity: (page|ticket)", block)
    query = re.search(r"expr: (.*?)\n        (?:for|labels):", block, re.S)[1]
    names = {n for n in metrics_of(query)} - {"tagd"}
    assert names and all(exists(n) or f"record: {n}" in TEXT for n in names), names


def test_the_runbook_knows_no_other_alert():
    assert set(re.findall(r"^## (Tagd\w+)", open(ROOT + "/deploy/RUNBOOK.md").read(), re.M)) == set(BLOCKS)


def test_the_runbook_knows_every_status():
    names = re.search(r"names\[TAGD_SHARD_STATUSES\] = \{(.*?)\}", open(ROOT + "/daemon/worker/status.c").read(), re.S)[1]
    assert set(re.findall(r'"(\w+)"', names)) == set(re.findall(r"^\| `(\w+)` \|", open(ROOT + "/deploy/RUNBOOK.md").read(), re.M))


def test_the_dashboard_is_made_of_what_exists():
    dashboard = json.load(open(ROOT + "/deploy/grafana/tagd.json"))
    queries = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    for query in queries:
        names = metrics_of(query)
        assert names and all(exists(n) for n in names), (query, names)
    ids = [p["id"] for p in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]}
    assert len(places) == len(ids) and all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in dashboard["panels"])
