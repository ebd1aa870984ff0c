"""What `tagd simulate` makes of random catalogs and events: all of it is valid by the published schemas, as are the catalogs
and events."""
import json
import os
import subprocess
import sys

import jsonschema

import validators
from validators import CATALOG, CHANGE, EVENT, ROOT, TAGD, check_change, fault, schema, strict

sys.path.insert(0, os.path.join(ROOT, "tests/reference"))
import generate  # noqa: E402
import pairs  # noqa: E402

PAIRS = 200


def test_random_pairs_are_valid_on_the_way_in_and_out():
    changes, slow = 0, jsonschema.Draft202012Validator(strict(schema("tag-changed")), format_checker=jsonschema.FormatChecker())
    for seed in range(PAIRS):
        catalog, records, until, _, _ = generate.pair(seed)
        assert fault(CATALOG, catalog) is None
        for record in records:
            assert fault(EVENT, record) is None
        out = pairs.engine(TAGD, catalog, records, until)
        for event in out:
            assert isinstance(event, dict), event
            check_change(event)
            changes += 1
        if out:
            slow.validate(out[-1])  # by another validator too
    assert changes > 10 * PAIRS
    print(f"{PAIRS} pairs, {changes} changes valid")


def test_the_second_validator_agrees_on_changes(node):
    out = []
    for seed in range(40):
        catalog, records, until, _, _ = generate.pair(seed)
        out += pairs.engine(TAGD, catalog, records, until)
    assert json.loads(node("ajv", validators.SCHEMAS + "/tag-changed.schema.json", given=json.dumps(out))) == [True] * len(out)


def sample():
    catalog = {"catalog": "c", "version": "1", "events": {"login": {}}, "dimensions": {"a.b": {"tags": [
        {"tag": "gone", "when": "since(login) >= 1d"}, {"tag": "here", "when": "true"}]}}}
    events = [{"specversion": "1.0", "id": "1", "source": "s", "type": "login", "subject": "c", "time": "2026-01-01T00:00:00Z"}]
    return pairs.engine(TAGD, catalog, events, 1767398400000)


def test_a_change_with_a_fault_is_seen():
    by_event, by_time = sample()
    faults = [("/data/origin", by_time, lambda e: e["data"].update(origin="luck")),
              ("unknown member", by_event, lambda e: e["data"].update(extra=1)),
              ("a missing member", by_event, lambda e: e["data"].pop("tags")),
              ("causationid on time's change", by_time, lambda e: e.update(causationid="a#b")),
              ("no causationid on an event's", by_event, lambda e: e.pop("causationid")),
              ("time without milliseconds", by_event, lambda e: e.update(time="2026-01-01T00:00:00Z")),
              ("then without an instant", by_event, lambda e: e["data"].update(valid_until=None)),
              ("from nothing to nothing", by_event, lambda e: e["data"].update(to=None)),
              ("revision 0", by_event, lambda e: e["data"].update(revision=0)),
              ("another type", by_event, lambda e: e.update(type="tagd.tag.change")),
              ("a duration of no known form", by_time, lambda e: e["data"]["because"]["values"].update({"since(login)": {"s": 1}}))]
    for name, event, spoil in faults:
        assert fault(CHANGE, event) is None
        spoilt = json.loads(json.dumps(event))
        spoil(spoilt)
        assert fault(CHANGE, spoilt) is not None, name
