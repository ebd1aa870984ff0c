"""The published schemas, and what the tests check with them. Validators are not ours: jsonschema-rs here, for its speed;
test_schemas.py has two more."""
import copy
import json
import os
import re

import jsonschema_rs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMAS = os.path.join(ROOT, "schemas")
TAGD = os.environ.get("TAGD", os.path.join(ROOT, "build/release/tagd"))

COMMENT_OR_STRING = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def read_jsonc(text):
    """JSON with comments, as catalogs and configurations are written."""
    return json.loads(COMMENT_OR_STRING.sub(lambda m: m[0] if m[0][0] == '"' else " ", text))


def schema(name):
    with open(os.path.join(SCHEMAS, name + ".schema.json")) as file:
        return json.load(file)


def strict(node):
    """The same schema, but an object may only have the members that are told of. Published schemas of what comes out let
    readers meet newer versions; here a member that no schema knows is an error."""
    if isinstance(node, list):
        return [strict(x) for x in node]
    if not isinstance(node, dict):
        return node
    out = {k: strict(v) if k not in ("const", "enum", "examples", "default") else v for k, v in node.items()}
    if out.get("type") == "object" and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def validator(name, closed=False):
    found = copy.deepcopy(schema(name))
    return jsonschema_rs.validator_for(strict(found) if closed else found, validate_formats=True)


CHANGE = validator("tag-changed", closed=True)
OUTPUTS = {"tagd.tag.changed": ("tag", "tag-changed"), "tagd.tag.proposed": ("proposal", "tag-proposed"), "tagd.proposal.closed": ("proposal", "proposal-closed"),
           "tagd.alert.raised": ("alert", "alert"), "tagd.alert.cleared": ("alert", "alert"),
           "tagd.goal.reached": ("goal", "goal-ended"), "tagd.goal.missed": ("goal", "goal-ended"), "tagd.churn.changed": ("churn", "churn-changed")}  # type -> kind, schema
BY_SCHEMA = {name: validator(name, closed=True) for _, name in OUTPUTS.values()}
CUSTOMER = validator("customer", closed=True)
DEAD_LETTER = validator("dead-letter-headers")
MARKER = validator("replay-marker-headers")
EVENT = validator("event-in")
POPULATION = validator("population", closed=True)
REPORT = validator("report", closed=True)
CATALOG = validator("catalog")
CONFIG = validator("config")


def fault(check, instance):
    """The first thing wrong, as a line, or None."""
    for error in check.iter_errors(instance):
        return "/" + "/".join(map(str, error.instance_path)) + ": " + error.message[:500]
    return None


def check_change(event):
    """A published event, structured: the schema of its type, and what a schema can't say."""
    kind, name = OUTPUTS[event["type"]]
    wrong = fault(BY_SCHEMA[name], event)
    assert wrong is None, f"{wrong} in {json.dumps(event)[:2000]}"
    data = event["data"]
    assert event["id"] == f"{kind}:{event['subject']}:{data['revision']}", event["id"]
    if kind not in ("alert", "goal"):
        assert data["from"] != data["to"], event["id"]
    for end in ("valid_until", "expires"):
        assert data.get(end) is None or data[end] > event["time"], event["id"]
    if kind in ("tag", "churn"):
        assert data["then"] != data["to"] or data["valid_until"] is None, event["id"]
        assert data["tags"].get(data["dimension"], data["to"]) == data["to"], event["id"]
    if name == "proposal-closed":
        subject, _, revision = data["proposal"].removeprefix("proposal:").rpartition(":")
        assert subject == event["subject"] and int(revision) < data["revision"], event["id"]


def headers_of(message):
    return {k: None if v is None else v.decode(errors="surrogateescape") for k, v in message.headers() or []}


def event_of(message):
    """The CloudEvent of a Kafka message, whichever form it has, as its structured form."""
    headers = headers_of(message)
    kind = headers.get("content-type") or ""
    if kind.startswith("application/cloudevents+json"):
        return json.loads(message.value())
    assert "ce_specversion" in headers, f"neither structured nor binary: {headers}"
    event = {k[3:]: v for k, v in headers.items() if k.startswith("ce_")}
    return {**event, "datacontenttype": kind, "data": json.loads(message.value())}


def check_change_message(message):
    event = event_of(message)
    check_change(event)
    assert message.key().decode() == event["subject"]


def check_population(document):
    """The schema, and what a schema can't say."""
    wrong = fault(POPULATION, document)
    assert wrong is None, f"{wrong} in {json.dumps(document)[:2000]}"
    for name, of in document["dimensions"].items():
        assert of["customers"] + of["none"] == document["customers"], name
        assert sum(t["customers"] for t in of["tags"]) + of["others"] == of["customers"], name
    for of in document.get("breakdowns", []):
        assert sum(c["customers"] for c in of["counts"]) + of["others"] == of["customers"], of["dimensions"]
    for day in document.get("days", []):
        for name, of in day["dimensions"].items():
            for which in ("entries", "exits"):
                assert "tags" not in of or sum(t[which] for t in of["tags"]) == of[which], (day["day"], name)
    for name, goal in document.get("goals", {}).items():
        for month in goal["months"]:
            for of in (month["treated"], month["holdout"]):
                assert of["reached"] + of["missed"] <= of["started"], (name, month)


def check_report(document):
    """The schema, and what a schema can't say."""
    wrong = fault(REPORT, document)
    assert wrong is None, f"{wrong} in {json.dumps(document)[:2000]}"
    unused = []
    for name, of in document["dimensions"].items():
        assert of["customers"] + of["none"] == document["customers"], name
        assert sum(t["customers"] for t in of["tags"]) + of["others"] == of["customers"], name
        for tag in of["tags"]:
            assert "before" not in tag or tag["before"] + tag["entries"] - tag["exits"] == tag["customers"], (name, tag)
            assert all(figure["customers"] <= tag["customers"] for figure in tag["measures"].values()), (name, tag)
            unused += [f"{name}.{tag['tag']}"] if tag["customers"] == 0 else []
    assert document["unused"] == unused
    for name, goal in document["goals"].items():
        for month in goal["months"]:
            for of in (month["treated"], month["holdout"]):
                assert of["reached"] + of["missed"] <= of["started"], (name, month)
                assert of["rate"] == (of["reached"] / of["started"] if of["started"] else None)


def check_dead_letter_message(message):
    headers = headers_of(message)
    wrong = fault(DEAD_LETTER if "tagd_error" in headers else MARKER, headers)
    assert wrong is None, wrong
