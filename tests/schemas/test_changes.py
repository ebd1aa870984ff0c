"""What `tagd simulate` makes of random catalogs and events: all of it is valid by the published schemas, as are the catalogs
and events."""
import json
import os
import subprocess
import sys

import jsonschema

import validators
from validators import BY_SCHEMA, CATALOG, CHANGE, EVENT, OUTPUTS, ROOT, TAGD, check_change, fault, schema, strict

sys.path.insert(0, os.path.join(ROOT, "tests/reference"))
import generate  # noqa: E402
import pairs  # noqa: E402

PAIRS = 200


def test_random_pairs_are_valid_on_the_way_in_and_out():
    changes, seen = 0, dict.fromkeys(OUTPUTS, 0)
    slow = {name: jsonschema.Draft202012Validator(strict(schema(name)), format_checker=jsonschema.FormatChecker()) for _, name in OUTPUTS.values()}
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
            seen[event["type"]] += 1
        for event in {event["type"]: event for event in out}.values():
            slow[OUTPUTS[event["type"]][1]].validate(event)  # by another validator too
    assert changes > 10 * PAIRS and all(n > 20 for n in seen.values()), seen
    print(f"{PAIRS} pairs, {changes} events out valid: {seen}")


def test_the_second_validator_agrees_on_changes(node):
    out = {name: [] for name in BY_SCHEMA}
    for seed in range(80):
        catalog, records, until, _, _ = generate.pair(seed)
        for event in pairs.engine(TAGD, catalog, records, until):
            out[OUTPUTS[event["type"]][1]].append(event)
    for name, events in out.items():
        assert events and json.loads(node("ajv", f"{validators.SCHEMAS}/{name}.schema.json", given=json.dumps(events))) == [True] * len(events), name


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


def walk():
    """What a person brings about: a tag given, a proposal approved, one that expires; and an alert, by type and origin."""
    catalog = {"catalog": "c", "version": "1", "events": {"login": {}}, "dimensions": {
        "a.given": {"assign": "manual", "tags": [{"tag": "vip"}]},
        "a.seen": {"assign": "review", "expires": "3d", "tags": [{"tag": "twice", "when": "count(login) == 2"}, {"tag": "once", "when": "count(login) == 1"}]}},
        "alerts": {"gone": {"when": "since(login) >= 5d", "plan": "call"}}}
    said = [("login", 1, {}), ("tag.assigned", 2, {"dimension": "a.given", "tag": "vip", "by": "li", "reason": "as agreed", "until": "2026-01-09T00:00:00Z"}),
            ("tag.reviewed", 3, {"proposal": "proposal:c:1", "decision": "approved", "by": "li"}), ("login", 4, {}), ("login", 12, {})]
    events = [{"specversion": "1.0", "id": str(i), "source": "s", "type": t, "subject": "c", "time": f"2026-01-{day:02}T00:00:00Z", "data": data}
              for i, (t, day, data) in enumerate(said)]
    out = pairs.engine(TAGD, catalog, events, 1768348800000)
    return {(e["type"], e["data"].get("status") or e["data"]["origin"]): e for e in out}


def test_what_persons_bring_about_with_a_fault_is_seen():
    events = walk()
    given, approved = events["tagd.tag.changed", "manual"], events["tagd.tag.changed", "review"]
    proposed, closed, expired = events["tagd.tag.proposed", "event"], events["tagd.proposal.closed", "approved"], events["tagd.proposal.closed", "expired"]
    raised, cleared = events["tagd.alert.raised", "time"], events["tagd.alert.cleared", "event"]
    faults = [("a word without its reason", given, lambda e: e["data"]["because"].pop("reason")),
              ("a word and a rule", given, lambda e: e["data"]["because"].update(rule="true", values={}, failed=None)),
              ("a word behind an event's change", given, lambda e: e["data"].update(origin="event")),
              ("nobody approved it", approved, lambda e: e["data"]["because"].pop("by")),
              ("nothing was approved", approved, lambda e: e["data"]["because"].pop("proposal")),
              ("an approval without its event", approved, lambda e: e.pop("causationid")),
              ("a proposal that is a tag", proposed, lambda e: e.update(id="tag:c:1")),
              ("a proposal of nothing for nothing", proposed, lambda e: e["data"].update({"from": None, "to": None})),
              ("a proposal without its end", proposed, lambda e: e["data"].pop("expires")),
              ("a proposal with a status", proposed, lambda e: e["data"].update(status="open")),
              ("closed, but how", closed, lambda e: e["data"].update(status="open")),
              ("approved by nobody", closed, lambda e: e["data"].update(by=None)),
              ("approved by time", closed, lambda e: (e["data"].update(origin="time"), e.pop("causationid"))),
              ("expired by somebody", expired, lambda e: e["data"].update(by="li")),
              ("closed without its proposal", closed, lambda e: e["data"].pop("proposal")),
              ("closed with a reason of rules", closed, lambda e: e["data"].update(because={})),
              ("raised by nothing", raised, lambda e: e["data"]["because"].update(rule=None)),
              ("raised by hand", raised, lambda e: (e["data"].update(origin="manual"), e.update(causationid="a#b"))),
              ("cleared by a rule", cleared, lambda e: e["data"]["because"].update(rule="true")),
              ("cleared with a plan", cleared, lambda e: e["data"].update(plan="call")),
              ("an alert without a name", raised, lambda e: e["data"].pop("alert")),
              ("an alert of a dimension", raised, lambda e: e["data"].update(dimension="a.b"))]
    for name, event, spoil in faults:
        check = BY_SCHEMA[OUTPUTS[event["type"]][1]]
        check_change(event)
        spoilt = json.loads(json.dumps(event))
        spoil(spoilt)
        assert fault(check, spoilt) is not None, name
