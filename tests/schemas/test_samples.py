"""Every sample of the repository is valid by its schema."""
import glob
import json
import os
import re
import subprocess

import pytest

import validators
from validators import CATALOG, CONFIG, CUSTOMER, EVENT, ROOT, fault, read_jsonc

CATALOGS = sorted(glob.glob(ROOT + "/deploy/catalogs/*.json"))
DOCUMENTS = sorted([*glob.glob(ROOT + "/*.md"), *glob.glob(ROOT + "/schemas/*.md"), *glob.glob(ROOT + "/deploy/*.md")])
QUICKSTART = open(os.path.join(ROOT, "deploy/quickstart.sh")).read()


def here_document(name):
    return re.search(rf'cat >"\$work/{re.escape(name)}" <<\'?END\'?\n(.*?)\nEND\n', QUICKSTART, re.DOTALL)[1]


@pytest.mark.parametrize("path", CATALOGS, ids=os.path.basename)
def test_a_sample_catalog_is_valid(path):
    assert fault(CATALOG, read_jsonc(open(path).read())) is None


def test_the_quickstarts_configuration_is_valid():
    text = here_document("tagd.json").replace("$kafka", "127.0.0.1:9092").replace("$redis", "6379").replace("$http", "127.0.0.1:9464")
    assert "$" not in text and fault(CONFIG, json.loads(text)) is None


def test_the_quickstarts_events_are_valid(tmp_path):
    (tmp_path / "events.awk").write_text(here_document("events.awk"))
    out = subprocess.run(["awk", "-v", "now=1795500000", "-v", "seed=7", "-f", str(tmp_path / "events.awk")], capture_output=True, text=True, check=True)
    lines = out.stdout.splitlines()
    assert len(lines) == 120
    for line in lines:
        key, value = line.split("\t")
        assert fault(EVENT, json.loads(value)) is None
        assert json.loads(value)["subject"] == key


def blocks(path):
    for language, text in re.findall(r"^```(jsonc?)[^\n]*\n(.*?)^```", open(path).read(), re.DOTALL | re.MULTILINE):
        try:
            yield read_jsonc(text)
        except json.JSONDecodeError:  # several documents, or a part of one: the documents' own runner takes those
            continue


def test_whole_catalogs_configurations_and_events_in_documents_are_valid():
    seen = {"customer": 0, "catalog": 0, "config": 0, "event": 0, **dict.fromkeys(validators.OUTPUTS, 0)}
    for path in DOCUMENTS:
        for block in blocks(path):
            if not isinstance(block, dict):
                continue
            wrong = None
            if {"customer", "dimensions"} <= block.keys():
                seen["customer"], wrong = seen["customer"] + 1, fault(CUSTOMER, block)
            elif {"catalog", "version", "dimensions"} <= block.keys():
                seen["catalog"], wrong = seen["catalog"] + 1, fault(CATALOG, block)
            elif "sources" in block:
                seen["config"], wrong = seen["config"] + 1, fault(CONFIG, block)
            elif block.get("type") in validators.OUTPUTS:
                seen[block["type"]] += 1
                validators.check_change(block)
            elif "specversion" in block:
                seen["event"], wrong = seen["event"] + 1, fault(EVENT, block)
            assert wrong is None, f"{os.path.relpath(path, ROOT)}: {wrong}"
    assert all(seen.values()), seen
