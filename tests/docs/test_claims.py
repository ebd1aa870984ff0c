"""What the catalog reference says in prose and in tables, tried."""
import json
import re
import subprocess

import pytest

import runner
from validators import ROOT, SCHEMAS, TAGD, read_jsonc

EVENTS = {"order.paid": {"fields": {"amount": "decimal"}}, "login": {}}
T = "2026-03-03T12:34:56.789Z"


def catalog(*rules, **more):
    return {"catalog": "c", "version": "1", "events": EVENTS,
            "dimensions": {f"a.r{i}": {"tags": [{"tag": "yes", "when": rule}]} for i, rule in enumerate(rules)}, **more}


def simulate(tmp_path, document, until=None):
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(document))
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "login", "subject": "c", "time": T}
    told = subprocess.run([TAGD, "simulate", "--catalog", str(path), *(["--until", until] if until else [])], input=json.dumps(event), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


HOLDS = ["not (null and false)", "null or true", "(null and true) is null", "(null or false) is null", "(not null) is null",
         "1 in (1, null)", "(1 in (2, null)) is null", "(1 == null) is null", "(1 + null) is null", "1 / 0 is null",
         "sum(amount, order.paid) == 0", "count(order.paid) == 0", "avg(amount, order.paid) is null", "since(order.paid) is null",
         "latest(amount, order.paid) is null", "(null is null) is not null",
         "not true and false == false or true", "1 + 2 * 3 == 7", "7 - 2 - 1 == 4", "2d / 1d == 2", "2 * 12h == 1d", "1d / 2 == 12h", "1d + 1h == 25h",
         "100ms / 3 == 33ms", "'a' < 'b'", "-3 < -2.5", "'x' in ('y', \"x\")", "1w == 7d"]
FAILS = ["null", "null and true", "null or false", "not null", "1 in (2, null)", "null == null", "not true"]


def test_logic_and_arithmetic_are_as_the_reference_says(tmp_path):
    out = simulate(tmp_path, catalog(*HOLDS, *FAILS))
    held = {HOLDS[int(c["data"]["dimension"][3:])] for c in out}  # an index past HOLDS would be one of FAILS
    assert held == set(HOLDS) and len(out) == len(HOLDS)


@pytest.mark.parametrize("rule", ["1 + 'a' == 2", "since(login) == 3", "true < false", "1d + 1 == 1d", "1 / 1d == 1", "'a' == 1", "1 -2 == 1", "not 1", "1 and true", "sum(amount, login) > 1"])
def test_types_that_do_not_fit_are_refused(tmp_path, rule):
    (tmp_path / "c.json").write_text(json.dumps(catalog(rule)))
    told = subprocess.run([TAGD, "check", "--catalog", str(tmp_path / "c.json")], capture_output=True, text=True)
    assert told.returncode == 78 and re.search(r"c\.json:1:\d+: at /dimensions/a\.r0/tags/0/when: .+\n.+\n +\^", told.stderr), told.stderr


TYPES = ("decimal", "string", "boolean", "time", "date")


def test_functions_take_the_fields_that_the_table_says(tmp_path):
    rows = re.findall(r"^\| \[`(\w+)\(f, ([SE])\)`\]\([^)]*\) \|[^|]*\| ([^|]+) \|", open(SCHEMAS + "/catalog.md").read(), re.MULTILINE)
    assert len(rows) == 9
    for name, events, listed in rows:
        for type in TYPES:
            document = catalog(f"{name}(f, order.paid{'[30d]' if events == 'S' else ''}) is null", events={"order.paid": {"fields": {"f": type}}})
            (tmp_path / "c.json").write_text(json.dumps(document))
            taken = subprocess.run([TAGD, "check", "--catalog", str(tmp_path / "c.json")], capture_output=True).returncode == 0
            assert taken == (listed == "any" or type in listed.split(", ")), (name, type)


UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}


def ms(text):
    return int(text[:-1]) * UNITS[text[-1]]


def test_default_panes_are_those_of_the_table(tmp_path):
    table = re.search(r"\| window \| default pane \|\n\|---\|---\|\n(.*?)\n\n", open(SCHEMAS + "/catalog.md").read(), re.DOTALL)[1]
    panes = [row.split("|")[2].strip() for row in table.splitlines()]
    windows = {"1s": 0, "59m": 0, "1h": 1, "23h": 1, "1d": 2, "31d": 2, "32d": 3, "365d": 3}
    out = simulate(tmp_path, catalog(*[f"count(login[{w}]) > 0" for w in windows]), "2028-01-01T00:00:00Z")
    at = sum(x * y for x, y in zip((56789, 60000, 3600000), (1, 34, 12)))  # of the day
    ended = {c["data"]["dimension"]: c["time"] for c in out if c["data"]["to"] is None}
    import datetime
    midnight = datetime.datetime.fromisoformat("2026-03-03T00:00:00+00:00")
    for i, (window, row) in enumerate(windows.items()):
        pane = ms(panes[row])
        wanted = midnight + datetime.timedelta(milliseconds=at // pane * pane + ms(window))
        assert datetime.datetime.fromisoformat(ended[f"a.r{i}"]) == wanted, window


def hash_of(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    told = subprocess.run([TAGD, "check", "--catalog", str(tmp_path / "c.json")], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return re.search(r"meaning ([0-9a-f]{32})", told.stdout)[1]


def test_labels_plans_comments_names_and_layout_are_no_part_of_the_meaning(tmp_path):
    base = catalog("count(login) > 1")
    first = hash_of(tmp_path, json.dumps(base))
    other = json.loads(json.dumps(base))
    other.update(catalog="d", version="2", label="L")
    other["events"]["login"]["label"] = "Login"
    other["dimensions"]["a.r0"]["label"] = {"en": "A"}
    other["dimensions"]["a.r0"]["tags"][0].update(label="Yes", plan={"x": 1})
    assert hash_of(tmp_path, "// a comment\n" + json.dumps(other, indent=2)) == first
    for name, change in (("zone", lambda c: c.update(timezone="+08:00")), ("rule", lambda c: c["dimensions"]["a.r0"]["tags"][0].update(when="count(login) > 2")),
                         ("dedupe", lambda c: c["events"]["login"].update(dedupe="1d")), ("field", lambda c: c["events"]["login"].update(fields={"a": "string"})),
                         ("tag", lambda c: c["dimensions"]["a.r0"]["tags"][0].update(tag="no"))):
        other = json.loads(json.dumps(base))
        change(other)
        assert hash_of(tmp_path, json.dumps(other)) != first, name


def test_the_readmes_configuration_and_catalog_are_taken(tmp_path):
    found = [read_jsonc(b.text) for b in runner.blocks(ROOT + "/README.md") if b.language in ("json", "jsonc")]
    config = next(b for b in found if "sources" in b)
    (tmp_path / config["catalog"]).write_text(json.dumps(next(b for b in found if "events" in b)))
    (tmp_path / "tagd.json").write_text(json.dumps(config))
    told = subprocess.run([TAGD, "check", "--config", str(tmp_path / "tagd.json")], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_the_runner_sees_a_wrong_output(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh run\necho one; echo two\n```\n```text output\none\nthree\n```\n")
    with pytest.raises(AssertionError, match="three"):
        runner.Runner(tmp_path).document(str(page))
    page.write_text("```sh run\nfalse\n```\n")
    with pytest.raises(AssertionError, match="exit 1"):
        runner.Runner(tmp_path).document(str(page))
    page.write_text("```sh run exit=3\nexit 3\n```\n```sh run\necho one; echo two; echo three\n```\n```text output\none\n...\nt...ee\n```\n")
    assert runner.Runner(tmp_path).document(str(page)) == {"commands": 2, "outputs": 1}
