"""deploy/catalogs/coverage.md says for every row where it is and what shows it."""
import os
import re

import coverage
from timeline import CATALOGS, read_catalog


def test_the_page_is_as_the_script_writes_it():
    assert open(coverage.OUT).read() == coverage.document(), "run python3 tests/catalogs/coverage.py"


def test_links_lead_to_what_they_name():
    folder = os.path.dirname(coverage.OUT)
    links = re.findall(r"\[([^\]]*)\]\(([^)#]*)(?:#L(\d+))?\)", coverage.document())
    assert len(links) > 150
    for words, path, line in links:
        full = os.path.join(folder, path)
        assert os.path.exists(full), path
        if line and path.endswith(".json"):
            text = open(full).read().splitlines()[int(line) - 1]
            key = "churn" if words == "churn.level" else re.sub("^(alert|goal)[.]", "", words)
            assert text.strip().startswith(f'"{key}":'), (words, text)


def test_every_dimension_alert_and_goal_is_in_a_row():
    for catalog in CATALOGS:
        told = {name for _, names, _ in coverage.ROWS[catalog] for name in names}
        document = read_catalog(catalog)
        names = {*document["dimensions"], *(f"alert.{a}" for a in document.get("alerts", {})), *(f"goal.{g}" for g in document.get("goals", {})), "churn.level"}
        assert names <= told, names - told
