"""The schemas themselves, by three validators that are not ours, and that they don't drift from the C code they describe."""
import glob
import json
import os
import re

import jsonschema
import pytest
import yaml

import validators
from validators import ROOT, SCHEMAS, schema

NAMES = sorted(os.path.basename(p)[:-len(".schema.json")] for p in glob.glob(SCHEMAS + "/*.schema.json"))


def source(path):
    return open(os.path.join(ROOT, path)).read()


def objects(node):
    """Every object schema that takes only known keys, wherever it stands."""
    if isinstance(node, dict):
        if node.get("additionalProperties") is False and "properties" in node:
            yield node
        for child in node.values():
            yield from objects(child)
    elif isinstance(node, list):
        for child in node:
            yield from objects(child)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_json_schema_2020_12_and_its_examples_are_valid(name):
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"urn:tagd:schema:{name}:1"
    assert found["title"] and found["description"] and found["examples"]
    check = jsonschema.Draft202012Validator(found, format_checker=jsonschema.FormatChecker())
    for example in found["examples"]:
        check.validate(example)
    for part in found.get("$defs", {}).values():
        assert part["title"]
        inside = jsonschema.Draft202012Validator({**part, "$defs": found["$defs"]}, format_checker=jsonschema.FormatChecker())
        for example in part.get("examples", []):
            inside.validate(example)
        if "default" in part:
            inside.validate(part["default"])


def test_defaults_and_examples_of_keys_are_valid():
    for name in NAMES:
        whole, seen = schema(name), 0

        def walk(node):
            nonlocal seen
            for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
                walk(child)
            if isinstance(node, dict) and ("default" in node or isinstance(node.get("examples"), list)):
                check = jsonschema.Draft202012Validator({**node, "$defs": whole.get("$defs", {})})
                for value in [*node.get("examples", []), *([node["default"]] if "default" in node else [])]:
                    check.validate(value)
                    seen += 1
        walk(whole)
        assert seen > 0, name


def test_a_second_validator_compiles_them_in_strict_mode(node):
    told = node("meta", *[f"{SCHEMAS}/{n}.schema.json" for n in NAMES])
    assert told.count("compiles in strict mode") == len(NAMES) >= 5


def test_asyncapi_is_valid_by_its_own_parser(node):
    told = json.loads(node("asyncapi", SCHEMAS + "/asyncapi.yaml"))
    assert told["wrong"] == []
    defaults = schema("config")["properties"]["outputs"]["properties"]
    assert told["document"] == {
        "version": "3.0.0",
        "channels": ["events", defaults["tag_changes"]["default"], defaults["churn_risk"]["default"], defaults["dead_letter"]["default"]],
        "operations": ["receive events", *(f"send {defaults[name]['default']}" for name in ("tag_changes", "churn_risk", "dead_letter"))],
        "messages": ["event", "eventBinary", "tagChanged", "tagChangedBinary", "tagProposed", "tagProposedBinary", "proposalClosed", "proposalClosedBinary",
                     "alert", "alertBinary", "goalEnded", "goalEndedBinary", "churnChanged", "churnChangedBinary", "deadLetter", "replayMarker"]}


def test_the_asyncapi_parser_sees_a_fault(node, tmp_path):
    text = source("schemas/asyncapi.yaml").replace("action: receive", "action: eat").replace("./", SCHEMAS + "/")
    (tmp_path / "asyncapi.yaml").write_text(text)
    assert json.loads(node("asyncapi", str(tmp_path / "asyncapi.yaml")))["wrong"]


# ---- the C code knows the same keys ----

def sources(pattern):
    """The text of all files of a room."""
    return "".join(open(path).read() for path in sorted(glob.glob(ROOT + "/" + pattern)))


def known_keys(code, pattern, name):
    """The key tables of C code: {the keys, as a set}."""
    tables = re.findall(pattern, code, re.DOTALL)
    return {frozenset(re.findall(name, body)) for body in tables}


def test_the_catalogs_keys_are_those_that_the_loader_knows():
    tables = known_keys(sources("daemon/catalog/*.c"), r"const keys\[\] = \{(.*?)NULL\};", r'"([a-z_-]+)"')
    wanted = {frozenset(o["properties"]) for o in objects(schema("catalog"))}
    assert tables == wanted


RULE = {"const", "at", "as", "from", "fields"}  # keys of one table in C, of several objects in the schema


def test_the_configurations_keys_are_those_that_the_reader_knows():
    entry = r'\{"([a-z_]+)", *\w+, *(true|false)\}'
    found = {frozenset(re.findall(entry, body)) for body in
             re.findall(r"static const struct key keys\[\] = \{((?:\s*\{[^{}]*\},?)+)\s*\};", sources("daemon/config/*.c"))}
    inside = [o for o in objects(schema("config")) if set(o["properties"]) <= RULE]
    wanted = {frozenset((k, "true" if k in o.get("required", ()) else "false") for k in o["properties"])
              for o in objects(schema("config")) if o not in inside}
    wanted.add(frozenset((k, "false") for o in inside for k in o["properties"]))
    assert found == wanted


def test_properties_that_tagd_sets_itself_are_those_it_refuses():
    body = re.search(r"own_properties\[\] = \{(.*?)\};", source("daemon/config/config.c"), re.DOTALL)[1]
    assert re.findall(r'"([a-z._]+)"', body) == schema("config")["$defs"]["ownProperty"]["enum"]


def test_reserved_types_and_codes_are_those_of_the_code():
    body = re.search(r"reserved\[\] = \{(.*?)\};", source("daemon/catalog/catalog.c"), re.DOTALL)[1]
    assert re.findall(r'"([a-z.]+)"', body) == schema("catalog")["$defs"]["reservedType"]["enum"]
    body = re.search(r"names\[TAGD_EVENT_CODES\] = \{(.*?)\};", source("daemon/event/event.c"), re.DOTALL)[1]
    assert re.findall(r'"([a-z_]+)"', body)[1:] == schema("dead-letter-headers")["properties"]["tagd_error"]["enum"]
    body = re.search(r"words\[\] = \{(.*?)\};", source("daemon/catalog/dimensions.c"), re.DOTALL)[1]
    assert re.findall(r'"([a-z]+)"', body) == schema("catalog")["properties"]["metrics"]["propertyNames"]["allOf"][1]["not"]["enum"]


def test_types_out_statuses_and_origins_are_those_of_the_code():
    emit = source("daemon/emit/emit.c")
    assert set(re.findall(r'"(tagd\.[a-z.]+)"', emit)) == set(validators.OUTPUTS)
    body = re.search(r"statuses\[\] = \{(.*?)\};", emit, re.DOTALL)[1]
    closed = schema("proposal-closed")["$defs"]["data"]["properties"]
    assert re.findall(r'"([a-z]+)"', body)[1:] == closed["status"]["enum"]
    body = re.search(r"origins\[\] = \{(.*?)\};", emit, re.DOTALL)[1]
    assert re.findall(r'"([a-z]+)"', body) == closed["origin"]["enum"] == schema("tag-proposed")["$defs"]["data"]["properties"]["origin"]["enum"]
    body = re.search(r"names\[\] = \{\s*\[TAGD_ASSIGN_AUTO\](.*?)\};", source("daemon/catalog/dimensions.c"), re.DOTALL)[1]
    assert re.findall(r'"([a-z]+)"', body) == schema("catalog")["$defs"]["dimension"]["properties"]["assign"]["enum"]


# ---- numbers ----

def constants(*paths):
    """#define NAME NUMBER of C files, products and INT64_C evaluated."""
    found = {"TAGD_MS_DAY": 86400000}
    for path in paths:
        for name, text in re.findall(r"#define (\w+) +(.+)", source(path)):
            text = re.sub(r"/\*.*", "", text)
            text = re.sub(r"INT64_C\((\d+)\)", r"\1", text).strip()
            if text.startswith('"'):
                found[name] = text.strip('"')
            elif re.fullmatch(r"[\d\s*()<A-Z_]+", text):
                for other, value in found.items():
                    text = re.sub(rf"\b{other}\b", str(value), text)
                if re.fullmatch(r"[\d\s*()<]+", text):
                    found[name] = eval(text)
    return found


def ms(text):
    number, unit = re.fullmatch(r"(\d+)(ms|[smhdw])", text).groups()
    return int(number) * {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000}[unit]


def test_limits_and_defaults_of_the_configuration_are_those_of_the_header():
    c = constants("include/tagd/base.h", "include/tagd/event.h", "include/tagd/port.h", "daemon/config/config.h")
    p, defs = schema("config")["properties"], schema("config")["$defs"]
    outputs, redis = p["outputs"]["properties"], p["redis"]["properties"]
    assert p["group"]["default"] == c["TAGD_GROUP_DEFAULT"]
    assert [outputs[k]["default"] for k in ("tag_changes", "churn_risk", "dead_letter")] == [
        c["TAGD_TAG_CHANGES_DEFAULT"], c["TAGD_CHURN_RISK_DEFAULT"], c["TAGD_DEAD_LETTER_DEFAULT"]]
    assert (redis["prefix"]["default"], redis["prefix"]["maxLength"]) == (c["TAGD_PREFIX_DEFAULT"], c["TAGD_PREFIX_MAX"])
    assert p["http"]["properties"]["listen"]["default"] == f"{c['TAGD_HTTP_HOST_DEFAULT']}:{c['TAGD_HTTP_PORT_DEFAULT']}"
    rate = p["http"]["properties"]["requests_per_second"]
    assert (rate["default"], rate["anyOf"][0]["minimum"], rate["anyOf"][0]["maximum"]) == (c["TAGD_HTTP_RATE_DEFAULT"], 1, c["TAGD_HTTP_RATE_MAX"])
    assert f"{c['TAGD_HTTP_TOKEN_LEAST']} to {c['TAGD_HTTP_TOKEN_MAX']} bytes" in p["http"]["properties"]["token"]["description"]
    for key in ("grace", "max_idle", "horizon", "future"):
        assert ms(p[key]["default"]) == c[f"TAGD_{key.upper()}_DEFAULT_MS"], key
        assert ms(re.search(r"At most (\w+)\.", p[key]["description"])[1]) == c[f"TAGD_{key.upper()}_MAX_MS"], key
    assert defs["groupName"]["anyOf"][0]["maxLength"] == c["TAGD_GROUP_MAX"] == c["TAGD_INSTANCE_MAX"]
    assert defs["topicName"]["anyOf"][0]["maxLength"] == c["TAGD_TOPIC_NAME_MAX"]
    assert p["sources"]["maxItems"] == c["TAGD_TOPICS_MAX"]
    assert p["carry"]["anyOf"][1]["maxItems"] == c["TAGD_CARRY_MAX"]
    assert p["max_changes_per_minute"]["maxProperties"] == c["TAGD_CHANGES_LIMITS_MAX"]
    assert p["max_changes_per_minute"]["additionalProperties"]["anyOf"][0]["maximum"] == c["TAGD_CHANGES_PER_MINUTE_MAX"]
    least, most = re.search(r"At least (\w+), at most (\w+);", defs["source"]["properties"]["expect_every"]["description"]).groups()
    assert (ms(least), ms(most)) == (c["TAGD_EXPECT_EVERY_LEAST_MS"], c["TAGD_EXPECT_EVERY_MAX_MS"])
    assert p["junk_subjects"]["maxItems"] == c["TAGD_JUNK_SUBJECTS_MAX"]
    ranges = {"workers": (1, c["TAGD_WORKERS_MAX"], 1),
              "max_event_bytes": (c["TAGD_EVENT_BYTES_LEAST"], c["TAGD_EVENT_BYTES_MOST"], c["TAGD_EVENT_BYTES_MAX"]),
              "batch_events": (1, c["TAGD_BATCH_EVENTS_MAX"], c["TAGD_BATCH_EVENTS_DEFAULT"]),
              "batch_bytes": (c["TAGD_BATCH_BYTES_LEAST"], c["TAGD_BATCH_BYTES_MAX"], c["TAGD_BATCH_BYTES_DEFAULT"]),
              "cache_bytes": (0, c["TAGD_CACHE_BYTES_MAX"], c["TAGD_CACHE_BYTES_DEFAULT"])}
    for key, (least, most, default) in ranges.items():
        number = p[key]["anyOf"][0]
        assert (number["minimum"], number["maximum"], p[key]["default"]) == (least, most, default), key
    assert defs["pointer"]["maxLength"] == c["TAGD_POINTER_BYTES_MAX"]
    assert defs["mappedFields"]["properties"]["fields"]["maxProperties"] == c["TAGD_MAP_FIELDS_MAX"]
    assert defs["constantText"]["properties"]["const"]["maxLength"] == c["TAGD_ATTRIBUTE_MAX"]
    assert p["past"]["default"] == "1990-01-01T00:00:00Z" and c["TAGD_PAST_DEFAULT_MS"] == 631152000000


def test_limits_of_the_openapi_document_are_those_of_the_headers():
    c = constants("daemon/http/http.h", "daemon/command/recent.h", "daemon/log/recent.h", "daemon/command/health.h", "include/tagd/event.h", "include/tagd/port.h",
                  "daemon/population/population.h")
    document = yaml.safe_load(source("schemas/openapi.yaml"))
    most = {(path, p["name"]): p["schema"].get("maximum", p["schema"].get("maxLength")) for path, of in document["paths"].items() for p in of["get"].get("parameters", ())}
    assert most == {("/v1/customers/{id}", "id"): c["TAGD_SUBJECT_MAX"], ("/v1/population", "dimension"): None, ("/v1/population", "breakdown"): None,
                    ("/v1/population", "days"): c["TAGD_POPULATION_DAYS"], ("/v1/population", "months"): c["TAGD_POPULATION_MONTHS"],
                    ("/v1/population", "tags"): c["TAGD_POPULATION_TAGS_MAX"], ("/v1/changes", "limit"): c["TAGD_RECENT_CHANGES_MAX"],
                    ("/v1/dead-letters", "limit"): c["TAGD_RECENT_LETTERS_MAX"]}
    schemas, responses = document["components"]["schemas"], document["components"]["responses"]
    assert schemas["changes"]["properties"]["changes"]["maxItems"] == c["TAGD_RECENT_CHANGES_MAX"]
    assert schemas["deadLetters"]["properties"]["recent"]["maxItems"] == c["TAGD_RECENT_LETTERS_MAX"]
    assert schemas["status"]["properties"]["log"]["maxItems"] == c["TAGD_LOG_RECENT_MAX"]
    assert schemas["status"]["properties"]["verdict"]["properties"]["problems"]["maxItems"] == c["TAGD_PROBLEMS_MAX"]
    assert schemas["held"]["properties"]["sources"]["maxItems"] == c["TAGD_TOPICS_MAX"]
    assert f"{c['TAGD_HTTP_URL_MAX']:,} bytes" in responses["longUrl"]["description"] and f"{c['TAGD_HTTP_HEAD_MAX']:,} bytes" in responses["largeHead"]["description"]
    said = source("daemon/http/http.c")
    assert f"more than {c['TAGD_HTTP_URL_MAX']} bytes" in said and f"more than {c['TAGD_HTTP_HEAD_MAX']} bytes" in said and f"more than {c['TAGD_HTTP_ARGUMENTS_MAX']} arguments" in said
    codes = re.findall(r'"(\w+)"', re.search(r"tagd_event_code_name.*?\{(.*?)\};", source("daemon/event/event.c"), re.DOTALL)[1])
    assert schemas["codes"]["required"] == [code for code in codes if code != "ok"]
    statuses = re.search(r"names\[TAGD_SHARD_STATUSES\] = \{(.*?)\};", source("daemon/worker/status.c"), re.DOTALL)[1]
    assert schemas["shardStatus"]["enum"] == re.findall(r'"(\w+)"', statuses)


def test_limits_of_catalog_and_event_are_those_of_the_headers():
    c = constants("include/tagd/event.h", "include/tagd/catalog.h", "daemon/catalog/section.c")
    catalog, defs, event = schema("catalog")["properties"], schema("catalog")["$defs"], schema("event-in")["properties"]
    assert catalog["events"]["maxProperties"] == c["TAGD_EVENT_TYPES_MAX"]
    assert defs["event"]["properties"]["fields"]["maxProperties"] == c["TAGD_FIELDS_MAX"]
    assert catalog["attributes"]["maxProperties"] == c["TAGD_ATTRIBUTES_MAX"]
    assert catalog["dimensions"]["maxProperties"] == c["TAGD_DIMENSIONS_MAX"]
    assert catalog["breakdowns"]["maxItems"] == c["TAGD_BREAKDOWNS_MAX"]
    assert defs["dimension"]["properties"]["tags"]["maxItems"] == c["TAGD_TAGS_MAX"]
    assert catalog["alerts"]["maxProperties"] == c["TAGD_ALERTS_MAX"]
    assert catalog["aliases"]["maxProperties"] == c["TAGD_ALIASES_MAX"]
    assert catalog["goals"]["maxProperties"] == c["TAGD_GOALS_MAX"] and defs["churn"]["properties"]["drivers"]["maxItems"] == c["TAGD_DRIVERS_MAX"]
    assert catalog["measures"]["maxProperties"] == c["TAGD_MEASURES_MAX"]
    assert defs["tagName"]["maxLength"] == 2 * c["TAGD_NAME_BYTES_MAX"] + 1
    assert defs["expression"]["maxLength"] == c["TEXT_BYTES_MAX"]
    assert {defs[d]["maxLength"] for d in ("name", "dottedName", "dimensionName")} == {c["TAGD_NAME_BYTES_MAX"]}
    assert {event[a]["maxLength"] for a in ("id", "source", "type")} == {c["TAGD_ATTRIBUTE_MAX"]}
    assert event["subject"]["maxLength"] == c["TAGD_SUBJECT_MAX"]
    assert schema("event-in")["$defs"]["words"]["maxLength"] == c["TAGD_STRING_MAX"]
