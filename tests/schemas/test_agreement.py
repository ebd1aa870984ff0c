"""`tagd check` and the schema agree, wherever a schema can know. A row: why, the change made to a good document, accepted?"""
import copy
import json
import subprocess

import jsonschema
import pytest

from validators import CATALOG, CONFIG, EVENT, SCHEMAS, fault, schema
from validators import TAGD as TAGD_COMMAND

SHOP = {"catalog": "shop", "version": "1", "timezone": "+08:00", "label": "Shop",
        "events": {"order.paid": {"fields": {"amount": "decimal", "category": {"type": "string", "required": True}, "coupon": "boolean",
                                             "due": "time", "day": "date"}, "dedupe": "7d"},
                   "login": {"label": {"en": "Login"}}},
        "groups": {"interaction": ["login", "order.paid{amount>=10}"]},
        "metrics": {"spend": "sum(amount, order.paid[30d])"},
        "dimensions": {"value.level": {"label": "Value", "tags": [{"tag": "high", "label": {"en": "High"}, "when": "spend >= 100", "plan": {"a": [1, None]}},
                                                                   {"tag": "low", "when": "true"}]},
                       "behaviour.activity": {"tags": [{"tag": "active", "when": "count(interaction[7d]) >= 2"}]}}}
TAGD = {"catalog": "shop.json", "sources": [{"topic": "events"}], "kafka": {"bootstrap.servers": "127.0.0.1:9092"}, "redis": {"url": "redis://127.0.0.1:6379"}}
MEMBERS = {**SHOP, "attributes": {"region": "string", "vip": "boolean", **{f"f{i}": "string" for i in range(257)}}}  # what maps may give
GONE = object()


def changed(document, where, value):
    if not where:
        return value
    out, path = copy.deepcopy(document), where.strip("/").split("/")
    at = out
    for key in path[:-1]:
        at = at[int(key)] if isinstance(at, list) else at[key.replace("~1", "/")]
    last = int(path[-1]) if isinstance(at, list) else path[-1]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return out


LONG = "x" * 128
CHURN = {"model": "bg-nbd", "event": "order.paid", "r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259}
GOAL = {"start": "value.level.high", "reach": "order.paid{amount>=10}", "within": "30d"}
CATALOGS = [
    ("as it is", "/version", "1", True),
    ("no name", "/catalog", GONE, False),
    ("no version", "/version", GONE, False),
    ("no events", "/events", GONE, False),
    ("no dimensions", "/dimensions", GONE, False),
    ("no time zone: +00:00", "/timezone", GONE, True),
    ("no groups", "/dimensions/behaviour.activity/tags/0/when", "count(login) > 1", True),
    ("an empty name", "/catalog", "", False),
    ("a number for a version", "/version", 1, False),
    ("an unknown key at the top", "/dimension", {}, False),
    ("a zone by name", "/timezone", "Asia/Shanghai", False),
    ("a zone without a sign", "/timezone", "08:00", False),
    ("a zone beyond 14 h", "/timezone", "+15:00", False),
    ("minutes beyond 59", "/timezone", "+08:60", False),
    ("two signs", "/timezone", "++8:00", False),
    ("a space in the zone", "/timezone", "+ 8:00", False),
    ("a sign in the minutes", "/timezone", "+08:+5", False),
    ("a catalog's label that is a number", "/label", 5, False),
    ("an event's label that is a number", "/events/login/label", 5, False),
    ("the westernmost zone", "/timezone", "-14:00", True),
    ("events as a list", "/events", ["login"], False),
    ("an event type with a space", "/events/order paid", {}, False),
    ("an event type that begins with a digit", "/events/1order", {}, False),
    ("a level that begins with a digit", "/events/order.2", {}, True),
    ("an event type of another script", "/events/订单", {}, False),
    ("the longest name", "/events/" + LONG, {}, True),
    ("one letter more", "/events/" + LONG + "x", {}, False),
    ("16 levels", "/events/" + ".".join("abcdefghijklmnop"), {}, True),
    ("17 levels", "/events/" + ".".join("abcdefghijklmnopq"), {}, False),
    ("a dot at the end", "/events/order.", {}, False),
    ("a reserved type", "/events/profile.updated", {}, False),
    ("another reserved type", "/events/customer.erased", {}, False),
    ("an event that is no object", "/events/login", "yes", False),
    ("an unknown key of an event", "/events/login/field", {}, False),
    ("an unknown type of a field", "/events/login/fields", {"a": "int"}, False),
    ("an unknown type in the long form", "/events/login/fields", {"a": {"type": "int"}}, False),
    ("a field without a type", "/events/login/fields", {"a": {"required": True}}, False),
    ("required as text", "/events/login/fields", {"a": {"type": "string", "required": "yes"}}, False),
    ("an unknown key of a field", "/events/login/fields", {"a": {"type": "string", "default": 1}}, False),
    ("a field named source", "/events/login/fields", {"source": "string"}, False),
    ("a field with a dot", "/events/login/fields", {"a.b": "string"}, False),
    ("64 fields", "/events/login/fields", {f"f{i}": "string" for i in range(64)}, True),
    ("65 fields", "/events/login/fields", {f"f{i}": "string" for i in range(65)}, False),
    ("fields as a list", "/events/login/fields", ["a"], False),
    ("dedupe without a unit", "/events/login/dedupe", "7", False),
    ("dedupe as a number", "/events/login/dedupe", 7, False),
    ("dedupe of nothing", "/events/login/dedupe", "0d", False),
    ("dedupe in months", "/events/login/dedupe", "1M", False),
    ("dedupe in weeks", "/events/login/dedupe", "12w", True),
    ("dedupe with a fraction", "/events/login/dedupe", "1.5d", False),
    ("an empty group", "/groups/interaction", [], False),
    ("a group of one text", "/groups/interaction", "login", False),
    ("a member that is a number", "/groups/interaction/0", 1, False),
    ("a group's name with a slash", "/groups", {"a b": ["login"]}, False),
    ("a metric that is a number", "/metrics/spend", 1, False),
    ("an empty metric", "/metrics/more", "", False),
    ("a metric named as a word", "/metrics/offset", "1", False),
    ("a metric with a dot", "/metrics/a.b", "1", False),
    ("a dimension of one level", "/dimensions/value", {"tags": [{"tag": "a", "when": "true"}]}, False),
    ("a dimension of three levels", "/dimensions/a.b.c", {"tags": [{"tag": "a", "when": "true"}]}, False),
    ("a dimension that looks like an attribute", "/dimensions/attr.x", {"tags": [{"tag": "a", "when": "true"}]}, False),
    ("a dimension with nothing in it", "/dimensions/a.b", {}, False),
    ("a dimension without tags", "/dimensions/a.b", {"tags": []}, False),
    ("an unknown key of a dimension", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "true"}], "tag": 1}, False),
    ("a tag without a rule", "/dimensions/a.b", {"tags": [{"tag": "a"}]}, False),
    ("a rule without a tag", "/dimensions/a.b", {"tags": [{"when": "true"}]}, False),
    ("a rule that is a boolean", "/dimensions/a.b", {"tags": [{"tag": "a", "when": True}]}, False),
    ("an empty rule", "/dimensions/a.b", {"tags": [{"tag": "a", "when": ""}]}, False),
    ("a tag with a dot", "/dimensions/a.b", {"tags": [{"tag": "a.b", "when": "true"}]}, False),
    ("a tag of another script", "/dimensions/a.b", {"tags": [{"tag": "高", "when": "true"}]}, False),
    ("a tag that begins with a digit", "/dimensions/a.b", {"tags": [{"tag": "18-25", "when": "true"}]}, True),
    ("an unknown key of a tag", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "true", "if": "x"}]}, False),
    ("a label that is a number", "/dimensions/a.b", {"label": 1, "tags": [{"tag": "a", "when": "true"}]}, False),
    ("a label by language that is a number", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "true", "label": {"en": 1}}]}, False),
    ("a breakdown of two", "/breakdowns", [["value.level", "behaviour.activity"]], True),
    ("no breakdowns", "/breakdowns", [], True),
    ("a breakdown twice", "/breakdowns", [["value.level", "behaviour.activity"], ["value.level", "behaviour.activity"]], False),
    ("a breakdown by one twice", "/breakdowns", [["value.level", "value.level"]], False),
    ("a breakdown of nothing", "/breakdowns", [[]], False),
    ("a breakdown of three", "/breakdowns", [["value.level", "behaviour.activity", "a.b"]], False),
    ("a breakdown that is a name", "/breakdowns", ["value.level"], False),
    ("a breakdown by a number", "/breakdowns", [["value.level", 1]], False),
    ("a breakdown by one level", "/breakdowns", [["value.level", "value"]], False),
    ("breakdowns by name", "/breakdowns", {"value.level": "behaviour.activity"}, False),
    ("101 breakdowns", "/breakdowns", [["value.level", f"a.b{i}"] for i in range(101)], False),
    ("a plan of any kind", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "true", "plan": 5}]}, True),
    ("for of a dimension", "/dimensions/value.level/for", "1h", True),
    ("for of nothing", "/dimensions/value.level/for", "0s", True),
    ("for of a tag", "/dimensions/value.level/tags/0/for", "500ms", True),
    ("for without a unit", "/dimensions/value.level/for", "1", False),
    ("for as a number", "/dimensions/value.level/for", 3600, False),
    ("for as null", "/dimensions/value.level/for", None, False),
    ("a negative for", "/dimensions/value.level/tags/0/for", "-1h", False),
    ("for in months", "/dimensions/value.level/tags/0/for", "1M", False),
    ("min_dwell of a dimension", "/dimensions/value.level/min_dwell", "1d", True),
    ("min_dwell of nothing", "/dimensions/value.level/tags/0/min_dwell", "0ms", True),
    ("min_dwell with a fraction", "/dimensions/value.level/min_dwell", "1.5d", False),
    ("min_dwell of a tag as a boolean", "/dimensions/value.level/tags/0/min_dwell", True, False),
    ("for and min_dwell of a value", "/dimensions/need.category", {"value": "top(category, order.paid[30d])", "for": "1h", "min_dwell": "1d"}, True),
    ("assign auto", "/dimensions/value.level/assign", "auto", True),
    ("assign review", "/dimensions/value.level/assign", "review", True),
    ("assign by a word nobody knows", "/dimensions/value.level/assign", "automatic", False),
    ("assign as null", "/dimensions/value.level/assign", None, False),
    ("assign as a list", "/dimensions/value.level/assign", ["manual"], False),
    ("assign manual with rules", "/dimensions/value.level/assign", "manual", False),
    ("assign manual", "/dimensions/a.b", {"assign": "manual", "tags": [{"tag": "x"}, {"tag": "y", "label": "Y", "plan": 1}]}, True),
    ("a manual tag with a rule", "/dimensions/a.b", {"assign": "manual", "tags": [{"tag": "x"}, {"tag": "y", "when": "true"}]}, False),
    ("a manual tag with for", "/dimensions/a.b", {"assign": "manual", "tags": [{"tag": "x", "for": "1h"}]}, False),
    ("a manual tag with min_dwell", "/dimensions/a.b", {"assign": "manual", "tags": [{"tag": "x", "min_dwell": "1h"}]}, False),
    ("a manual tag without a name", "/dimensions/a.b", {"assign": "manual", "tags": [{"label": "X"}]}, False),
    ("a manual dimension with for", "/dimensions/a.b", {"assign": "manual", "for": "1h", "tags": [{"tag": "x"}]}, False),
    ("a manual dimension with min_dwell", "/dimensions/a.b", {"assign": "manual", "min_dwell": "1h", "tags": [{"tag": "x"}]}, False),
    ("a manual dimension that expires", "/dimensions/a.b", {"assign": "manual", "expires": "1d", "tags": [{"tag": "x"}]}, False),
    ("a manual value", "/dimensions/a.b", {"assign": "manual", "value": "count(login)"}, False),
    ("a manual dimension of nothing", "/dimensions/a.b", {"assign": "manual"}, False),
    ("a manual dimension without tags", "/dimensions/a.b", {"assign": "manual", "tags": []}, False),
    ("a reviewed value", "/dimensions/a.b", {"assign": "review", "value": "count(login)"}, False),
    ("a reviewed tag without a rule", "/dimensions/a.b", {"assign": "review", "tags": [{"tag": "x"}]}, False),
    ("an auto tag without a rule", "/dimensions/a.b", {"assign": "auto", "tags": [{"tag": "x"}]}, False),
    ("an auto value", "/dimensions/a.b", {"assign": "auto", "value": "count(login)"}, True),
    ("a review that expires", "/dimensions/a.b", {"assign": "review", "expires": "14d", "for": "1h", "min_dwell": "0s", "tags": [{"tag": "x", "when": "true"}]}, True),
    ("a review that expires at once", "/dimensions/a.b", {"assign": "review", "expires": "0s", "tags": [{"tag": "x", "when": "true"}]}, False),
    ("a review that expires in text", "/dimensions/a.b", {"assign": "review", "expires": "soon", "tags": [{"tag": "x", "when": "true"}]}, False),
    ("expires without review", "/dimensions/value.level/expires", "14d", False),
    ("expires of a tag", "/dimensions/value.level/tags/0/expires", "14d", False),
    ("assign of a tag", "/dimensions/value.level/tags/0/assign", "manual", False),
    ("an alert", "/alerts", {"key-loss": {"when": "value.level == 'high'", "label": {"en": "Loss"}, "plan": [1], "for": "1h", "min_dwell": "0s"}}, True),
    ("no alerts at all", "/alerts", {}, True),
    ("alerts as a list", "/alerts", [], False),
    ("an alert without a rule", "/alerts", {"key-loss": {"for": "1h"}}, False),
    ("an alert that is a rule", "/alerts", {"key-loss": "true"}, False),
    ("an alert's rule as a boolean", "/alerts", {"key-loss": {"when": True}}, False),
    ("an alert of two levels", "/alerts", {"key.loss": {"when": "true"}}, False),
    ("an alert that begins with a digit", "/alerts", {"1st": {"when": "true"}}, False),
    ("an alert with an unknown key", "/alerts", {"key-loss": {"when": "true", "assign": "manual"}}, False),
    ("an alert with a wrong span", "/alerts", {"key-loss": {"when": "true", "for": "1 h"}}, False),
    ("an alert with a wrong label", "/alerts", {"key-loss": {"when": "true", "label": 5}}, False),
    ("an alert that expires", "/alerts", {"key-loss": {"when": "true", "expires": "1d"}}, False),
    ("the longest name of an alert", "/alerts", {LONG: {"when": "true"}}, True),
    ("one letter more of an alert", "/alerts", {LONG + "x": {"when": "true"}}, False),
    ("500 alerts", "/alerts", {f"a{i}": {"when": "true"} for i in range(500)}, True),
    ("501 alerts", "/alerts", {f"a{i}": {"when": "true"} for i in range(501)}, False),
    ("an alias", "/aliases", {"value.rank.gold": "value.level.high"}, True),
    ("an alias in the same dimension", "/aliases", {"value.level.gold": "value.level.high"}, True),
    ("no aliases at all", "/aliases", {}, True),
    ("aliases as a list", "/aliases", ["value.rank.gold"], False),
    ("an alias of two levels", "/aliases", {"value.gold": "value.level.high"}, False),
    ("an alias of four levels", "/aliases", {"value.rank.very.gold": "value.level.high"}, False),
    ("an alias to two levels", "/aliases", {"value.rank.gold": "value.level"}, False),
    ("an alias to a number", "/aliases", {"value.rank.gold": 1}, False),
    ("an alias to nothing", "/aliases", {"value.rank.gold": ""}, False),
    ("an alias without a tag", "/aliases", {"value.rank.": "value.level.high"}, False),
    ("an alias that looks like an attribute", "/aliases", {"attr.rank.gold": "value.level.high"}, False),
    ("an alias of another script", "/aliases", {"value.rank.金": "value.level.high"}, False),
    ("an alias whose tag begins with a digit", "/aliases", {"value.rank.18-25": "value.level.high"}, True),
    ("the longest alias", "/aliases", {f"a.{'b' * 126}.{LONG}": "value.level.high"}, True),
    ("an alias of a dimension too long", "/aliases", {f"a.{'b' * 127}.gold": "value.level.high"}, False),
    ("an alias of a tag too long", "/aliases", {f"a.b.{LONG}x": "value.level.high"}, False),
    ("10,000 aliases", "/aliases", {f"a.b.t{i}": "value.level.high" for i in range(10000)}, True),
    ("10,001 aliases", "/aliases", {f"a.b.t{i}": "value.level.high" for i in range(10001)}, False),
    ("churn without a model", "/churn", {}, False),
    ("churn", "/churn", CHURN, True),
    ("churn of another model", "/churn", {**CHURN, "model": "pareto-nbd"}, False),
    ("churn without alpha", "/churn", {k: v for k, v in CHURN.items() if k != "alpha"}, False),
    ("churn with r at its least", "/churn", {**CHURN, "r": 0.0001}, True),
    ("churn with r below it", "/churn", {**CHURN, "r": 0.00009}, False),
    ("churn with b at its most", "/churn", {**CHURN, "b": 1000000}, True),
    ("churn with b past it", "/churn", {**CHURN, "b": 1000001}, False),
    ("churn with levels", "/churn", {**CHURN, "levels": {"watch": {"below": 0.7, "silence": "30d", "label": "W", "plan": 1}, "stable": {"plan": []}}}, True),
    ("churn with no level", "/churn", {**CHURN, "levels": {}}, True),
    ("churn with a level nobody knows", "/churn", {**CHURN, "levels": {"gone": {"below": 0.5}}}, False),
    ("churn with a level of nothing", "/churn", {**CHURN, "levels": {"watch": {}}}, False),
    ("churn with a level of 1", "/churn", {**CHURN, "levels": {"watch": {"below": 1}}}, False),
    ("churn with a level of 0", "/churn", {**CHURN, "levels": {"watch": {"below": 0}}}, False),
    ("churn with drivers", "/churn", {**CHURN, "drivers": [{"name": "x", "value": "since(order.paid)", "usual": "30d", "label": "X"}]}, True),
    ("churn with 21 drivers", "/churn", {**CHURN, "drivers": [{"name": "x", "value": "since(order.paid)"}] * 21}, False),
    ("churn with a driver without a value", "/churn", {**CHURN, "drivers": [{"name": "x"}]}, False),
    ("churn with for and fit", "/churn", {**CHURN, "for": "1h", "min_dwell": "1d", "fit": {"log_likelihood": -1}, "activity": "order.paid"}, True),
    ("churn with a key nobody knows", "/churn", {**CHURN, "theta": 1}, False),
    ("a goal", "/goals", {"g": GOAL}, True),
    ("a goal with everything", "/goals", {"g": {**GOAL, "target": 0.15, "holdout": 1, "label": {"en": "G"}}}, True),
    ("a goal of no events", "/goals", {"g": {k: v for k, v in GOAL.items() if k != "reach"}}, False),
    ("a goal within nothing", "/goals", {"g": {**GOAL, "within": "0s"}}, False),
    ("a goal with a target of more than all", "/goals", {"g": {**GOAL, "target": 1.1}}, False),
    ("a goal of two levels", "/goals", {"g.h": GOAL}, False),
    ("a goal that starts at two levels", "/goals", {"g": {**GOAL, "start": "value.level"}}, False),
    ("a goal with a key nobody knows", "/goals", {"g": {**GOAL, "by": "x"}}, False),
    ("an attribute", "/attributes", {"region": "string", "birthday": "date"}, True),
    ("an attribute of an unknown type", "/attributes", {"region": "text"}, False),
    ("500 attributes", "/attributes", {f"a{i}": "string" for i in range(500)}, True),
    ("501 attributes", "/attributes", {f"a{i}": "string" for i in range(501)}, False),
    ("an attribute in the long form", "/attributes", {"region": {"type": "string"}}, False),
    ("attributes as a list", "/attributes", ["region"], False),
    ("an attribute's name with a dot", "/attributes", {"a.b": "string"}, False),
    ("a table", "/tables", {"line": {"values": {"douyin": "online", "店": "offline", "": ""}}}, True),
    ("a table with else", "/tables", {"line": {"values": {"douyin": "online"}, "else": "offline"}}, True),
    ("a table with keep", "/tables", {"line": {"values": {"douyin": "online"}, "keep": True}}, True),
    ("a table that doesn't keep", "/tables", {"line": {"values": {"douyin": "online"}, "keep": False}}, True),
    ("a table with else and keep", "/tables", {"line": {"values": {"douyin": "online"}, "else": "offline", "keep": True}}, False),
    ("a table with else that doesn't keep", "/tables", {"line": {"values": {"douyin": "online"}, "else": "offline", "keep": False}}, False),
    ("no table", "/tables", {}, True),
    ("tables as a list", "/tables", [{"values": {"a": "b"}}], False),
    ("a table of values alone", "/tables", {"line": {"douyin": "online"}}, False),
    ("a table without values", "/tables", {"line": {"else": "offline"}}, False),
    ("a table of nothing", "/tables", {"line": {"values": {}}}, False),
    ("values as a list", "/tables", {"line": {"values": ["douyin"]}}, False),
    ("a value that is a number in a table", "/tables", {"line": {"values": {"douyin": 1}}}, False),
    ("a value that is null in a table", "/tables", {"line": {"values": {"douyin": None}}}, False),
    ("else that is null", "/tables", {"line": {"values": {"douyin": "online"}, "else": None}}, False),
    ("keep as text", "/tables", {"line": {"values": {"douyin": "online"}, "keep": "yes"}}, False),
    ("an unknown key of a table", "/tables", {"line": {"values": {"douyin": "online"}, "default": "x"}}, False),
    ("a table's name with a dot", "/tables", {"a.b": {"values": {"a": "b"}}}, False),
    ("200 tables", "/tables", {f"t{i}": {"values": {"a": "b"}} for i in range(200)}, True),
    ("201 tables", "/tables", {f"t{i}": {"values": {"a": "b"}} for i in range(201)}, False),
    ("10,000 values", "/tables", {"line": {"values": {f"k{i}": "v" for i in range(10000)}}}, True),
    ("10,001 values", "/tables", {"line": {"values": {f"k{i}": "v" for i in range(10001)}}}, False),
    ("the longest key and value", "/tables", {"line": {"values": {"k" * 1024: "v" * 1024}, "else": "e" * 1024}}, True),
    ("a key too long", "/tables", {"line": {"values": {"k" * 1025: "v"}}}, False),
    ("a value too long", "/tables", {"line": {"values": {"k": "v" * 1025}}}, False),
    ("else too long", "/tables", {"line": {"values": {"k": "v"}, "else": "e" * 1025}}, False),
    ("a dimension drawn from the data", "/dimensions/need.category", {"value": "top(category, order.paid[180d])"}, True),
    ("value and tags at once", "/dimensions/need.category", {"value": "latest(category, order.paid)", "tags": [{"tag": "a", "when": "true"}]}, False),
    ("a value that is a number", "/dimensions/need.category", {"value": 1}, False),
]

MAP = {"id": "/no", "source": {"const": "store"}, "type": {"const": "order.paid"}, "subject": "/member",
       "time": {"at": "/ts", "as": "epoch_ms"}, "data": {"amount": "/total"}}
CONFIGS = [
    ("as it is", "/group", "tagd", True),
    ("no catalog", "/catalog", GONE, False),
    ("no sources", "/sources", GONE, False),
    ("no Kafka", "/kafka", GONE, False),
    ("no Redis", "/redis", GONE, False),
    ("an unknown key", "/topics", [], False),
    ("an empty group", "/group", "", False),
    ("a group with a space", "/group", "a b", False),
    ("a group from the environment", "/group", "${NAME}", True),
    ("a group in part from the environment", "/group", "tagd-${NAME}", True),
    ("the longest group", "/group", "g" * 100, True),
    ("one letter more", "/group", "g" * 101, False),
    ("the longest instance", "/instance", "g" * 100, True),
    ("an instance too long", "/instance", "g" * 101, False),
    ("an empty catalog", "/catalog", "", False),
    ("a catalog that is a number", "/catalog", 5, False),
    ("no source", "/sources", [], False),
    ("16 sources", "/sources", [{"topic": f"t{i}"} for i in range(16)], True),
    ("17 sources", "/sources", [{"topic": f"t{i}"} for i in range(17)], False),
    ("a source that is a text", "/sources", ["events"], False),
    ("a source without a topic", "/sources", [{}], False),
    ("an unknown key of a source", "/sources/0/name", "x", False),
    ("a topic with a slash", "/sources/0/topic", "a/b", False),
    ("the longest topic", "/sources/0/topic", "t" * 249, True),
    ("a topic too long", "/sources/0/topic", "t" * 250, False),
    ("crc32", "/sources/0/partitioner", "crc32", True),
    ("an unknown partitioner", "/sources/0/partitioner", "random", False),
    ("outputs by name", "/outputs", {"tag_changes": "a", "churn_risk": "b", "dead_letter": "c"}, True),
    ("an unknown output", "/outputs", {"tags": "a"}, False),
    ("changes structured", "/outputs", {"content_mode": "structured"}, True),
    ("changes binary", "/outputs", {"content_mode": "binary"}, True),
    ("an unknown form", "/outputs", {"content_mode": "avro"}, False),
    ("no broker", "/kafka", {}, False),
    ("an empty broker", "/kafka", {"bootstrap.servers": ""}, False),
    ("a property that is a number", "/kafka/socket.timeout.ms", 1000, True),
    ("a property that is a boolean", "/kafka/socket.keepalive.enable", True, True),
    ("a property that is an object", "/kafka/x", {}, False),
    ("a property that is null", "/kafka/x", None, False),
    ("a property that tagd sets", "/kafka/group.id", "x", False),
    ("another one", "/kafka/isolation.level", "read_uncommitted", False),
    ("start at the end", "/kafka/auto.offset.reset", "latest", True),
    ("start nowhere", "/kafka/auto.offset.reset", "none", False),
    ("no address of Redis", "/redis", {}, False),
    ("an unknown key of Redis", "/redis/db", 0, False),
    ("Redis with TLS: not in this version", "/redis/url", "rediss://127.0.0.1", False),
    ("Redis without a scheme", "/redis/url", "127.0.0.1:6379", False),
    ("Redis with a user", "/redis/url", "redis://u:p@127.0.0.1:6379/2", True),
    ("Redis with a user but no password", "/redis/url", "redis://u@127.0.0.1:6379/2", False),
    ("Redis by a socket", "/redis/url", "unix:///run/redis.sock?db=1", True),
    ("Redis by a relative socket", "/redis/url", "unix://redis.sock", False),
    ("a database that is no number", "/redis/url", "redis://127.0.0.1/x", False),
    ("Redis at v6", "/redis/url", "redis://[::1]:6379", True),
    ("Redis from the environment", "/redis/url", "${REDIS}", True),
    ("the longest prefix", "/redis/prefix", "p" * 100, True),
    ("a prefix too long", "/redis/prefix", "p" * 101, False),
    ("a prefix with braces", "/redis/prefix", "{a}", False),
    ("exactly once", "/delivery", "exactly_once", True),
    ("at least once", "/delivery", "at_least_once", True),
    ("at most once", "/delivery", "at_most_once", False),
    ("0 workers", "/workers", 0, False),
    ("64 workers", "/workers", 64, True),
    ("65 workers", "/workers", 65, False),
    ("a worker and a half", "/workers", 1.5, False),
    ("a time limit of delivery, exactly once", "/kafka/message.timeout.ms", 300000, True),
    ("a time limit of delivery, at least once", "", {**TAGD, "delivery": "at_least_once", "kafka": {**TAGD["kafka"], "message.timeout.ms": 300000}}, False),
    ("the same by its other name", "", {**TAGD, "delivery": "at_least_once", "kafka": {**TAGD["kafka"], "delivery.timeout.ms": 300000}}, False),
    ("workers as text", "/workers", "4", True),
    ("workers from the environment", "/workers", "${N}", True),
    ("workers as words", "/workers", "four", False),
    ("time by events", "/time", "events", True),
    ("time by another clock", "/time", "wall", False),
    ("grace without a unit", "/grace", "2", False),
    ("grace as a number", "/grace", 2, False),
    ("no grace", "/grace", "0s", True),
    ("idle", "/max_idle", "1s", True),
    ("idle with a space", "/max_idle", "1 s", False),
    ("carry some", "/carry", ["value.level"], True),
    ("carry none", "/carry", [], True),
    ("carry one text", "/carry", "value.level", False),
    ("carry numbers", "/carry", [1], False),
    ("a horizon", "/horizon", "30d", True),
    ("a horizon in years", "/horizon", "1y", False),
    ("go on over a gap", "/on_data_gap", "continue", True),
    ("ask about a gap", "/on_data_gap", "ask", False),
    ("no HTTP", "/http", {"listen": "off"}, True),
    ("HTTP at v6", "/http", {"listen": "[::1]:9464"}, True),
    ("HTTP without a port", "/http", {"listen": "127.0.0.1"}, False),
    ("an unknown key of HTTP", "/http", {"port": 1}, False),
    ("past as a date", "/past", "2000-01-01", True),
    ("past as a time", "/past", "2000-01-01T00:00:00+08:00", True),
    ("past as a year", "/past", "2000", False),
    ("past as a date with slashes", "/past", "2000/01/01", False),
    ("future", "/future", "1h", True),
    ("future by the word", "/future", "never", False),
    ("the smallest event", "/max_event_bytes", 1024, True),
    ("smaller", "/max_event_bytes", 1023, False),
    ("the largest", "/max_event_bytes", 67108864, True),
    ("larger", "/max_event_bytes", 67108865, False),
    ("junk", "/junk_subjects", ["", "guest"], True),
    ("junk as a text", "/junk_subjects", "guest", False),
    ("1000 junk subjects", "/junk_subjects", [str(i) for i in range(1000)], True),
    ("1001 junk subjects", "/junk_subjects", [str(i) for i in range(1001)], False),
    ("no event a batch", "/batch_events", 0, False),
    ("a million events a batch", "/batch_events", 1000000, True),
    ("a million and one", "/batch_events", 1000001, False),
    ("the smallest batch", "/batch_bytes", 65536, True),
    ("a smaller one", "/batch_bytes", 65535, False),
    ("no cache", "/cache_bytes", 0, True),
    ("less than none", "/cache_bytes", -1, False),
    ("64 GiB of cache", "/cache_bytes", 68719476736, True),
    ("and a byte", "/cache_bytes", 68719476737, False),
    *[(why, "/sources/0/map", {k: v for k, v in {**MAP, **change}.items() if v is not GONE}, accepted) for why, change, accepted in (
        ("a map", {}, True),
        ("a map with data as a whole", {"data": "/payload"}, True),
        ("a map with data as the whole value", {"data": ""}, True),
        ("a map without data", {"data": GONE}, True),
        ("a map by key and offset", {"id": {"from": "offset"}, "subject": {"from": "key"}}, True),
        ("everything by pointers", {"source": "/shop", "type": "/kind", "time": "/at"}, True),
        ("a constant customer", {"subject": {"const": "C1"}}, True),
        ("constants of other types in data", {"data": {"amount": {"const": 5}, "coupon": {"const": True}, "category": {"const": "x"}}}, True),
        ("a time in data", {"data": {"due": {"at": "/due", "as": "epoch_s"}}}, True),
        ("attributes made of fields", {"type": {"const": "profile.updated"}, "data": {"attributes": {"fields": {"region": "/address/region", "vip": {"const": True}}}}}, True),
        ("a pointer with escapes", {"id": "/a~1b~0c"}, True),
        ("a pointer in part from the environment", {"id": "/${NAME}/no"}, True),
        ("no id", {"id": GONE}, False),
        ("no source", {"source": GONE}, False),
        ("no type", {"type": GONE}, False),
        ("no subject", {"subject": GONE}, False),
        ("an unknown key of a map", {"key": "/k"}, False),
        ("a pointer without its slash", {"id": "no"}, False),
        ("a pointer with a lone tilde", {"id": "/a~2"}, False),
        ("the longest pointer", {"id": "/" + "p" * 255}, True),
        ("a pointer too long", {"id": "/" + "p" * 256}, False),
        ("a constant id", {"id": {"const": "1"}}, False),
        ("an id from the key", {"id": {"from": "key"}}, False),
        ("a customer from the offset", {"subject": {"from": "offset"}}, False),
        ("a source from the key", {"source": {"from": "key"}}, False),
        ("a constant that is a number", {"source": {"const": 5}}, False),
        ("an empty constant", {"source": {"const": ""}}, False),
        ("a constant too long", {"source": {"const": "s" * 1025}}, False),
        ("a time of an unknown form", {"time": {"at": "/t", "as": "epoch_us"}}, False),
        ("a time without its form", {"time": {"at": "/t"}}, False),
        ("a form without its time", {"time": {"as": "epoch_ms"}}, False),
        ("a constant time", {"time": {"const": "2026-01-01T00:00:00Z"}}, False),
        ("a time and a constant", {"data": {"due": {"at": "/t", "as": "epoch_s", "const": 1}}}, False),
        ("an unknown key of a rule", {"data": {"a": {"path": "/a"}}}, False),
        ("a constant that is null", {"data": {"a": {"const": None}}}, False),
        ("fields two levels down", {"data": {"a": {"fields": {"b": {"fields": {"c": "/c"}}}}}}, False),
        ("data as a list", {"data": ["/a"]}, False),
        ("256 fields", {"type": {"const": "profile.updated"}, "data": {"attributes": {"fields": {f"f{i}": "/a" for i in range(256)}}}}, True),
        ("257 fields", {"type": {"const": "profile.updated"}, "data": {"attributes": {"fields": {f"f{i}": "/a" for i in range(257)}}}}, False))],
    ("a map that is a pointer", "/sources/0/map", "/a", False),
]

EVENT_IN = {"specversion": "1.0", "id": "e1", "source": "web", "type": "order.paid", "subject": "C1", "time": "2026-03-01T12:00:00Z",
            "data": {"amount": 10, "category": "beauty"}}
ASSIGNED = {"dimension": "care.vip", "tag": "yes", "by": "li", "reason": "as agreed"}
EVENTS = [
    ("as it is", "/id", "e1", True),
    ("no specversion", "/specversion", GONE, False),
    ("another specversion", "/specversion", "0.3", False),
    ("specversion as a number", "/specversion", 1.0, False),
    ("no id", "/id", GONE, False),
    ("an empty id", "/id", "", False),
    ("a number for an id", "/id", 7, False),
    ("an id of null", "/id", None, False),
    ("the longest id", "/id", "i" * 1024, True),
    ("an id too long", "/id", "i" * 1025, False),
    ("no source", "/source", GONE, False),
    ("no type", "/type", GONE, False),
    ("a type that nobody declared", "/type", "page.view", True),
    ("no subject", "/subject", GONE, False),
    ("the longest subject", "/subject", "c" * 128, True),
    ("a subject too long", "/subject", "c" * 129, False),
    ("a subject of another script", "/subject", "客户1", True),
    ("a subject with a line feed", "/subject", "a\nb", False),
    ("a subject with a control character of Latin-1", "/subject", "a\u0085b", False),
    ("a time with an offset", "/time", "2026-03-01T12:00:00.123456+08:00", True),
    ("a time without an offset", "/time", "2026-03-01T12:00:00", False),
    ("a date for a time", "/time", "2026-03-01", False),
    ("a month 13", "/time", "2026-13-01T00:00:00Z", False),
    ("29 February of no leap year", "/time", "2026-02-29T00:00:00Z", False),
    ("epoch seconds for a time", "/time", 1772366400, False),
    ("no data", "/type", "login", True),
    ("data of null", "", {**EVENT_IN, "type": "login", "data": None}, True),
    ("data as a list", "/data", [1], False),
    ("data as a text", "/data", "x", False),
    ("an extension attribute", "/traceparent", "00-1", True),
    *[(why, "", {**EVENT_IN, "type": "tag.assigned", "data": {k: v for k, v in {**ASSIGNED, **change}.items() if v is not GONE}}, accepted) for why, change, accepted in (
        ("a tag given", {}, True),
        ("a tag given by its old name", {"dimension": "value.rank", "tag": "gold"}, True),
        ("a tag given until a time", {"until": "2026-05-01T00:00:00+08:00"}, True),
        ("a tag given until null", {"until": None}, True),
        ("a tag given until a date", {"until": "2026-05-01"}, False),
        ("a tag given until a number", {"until": 1}, False),
        ("a tag given until nothing", {"until": ""}, False),
        ("a tag given in no dimension", {"dimension": GONE}, False),
        ("a dimension that is null", {"dimension": None}, False),
        ("an empty dimension", {"dimension": ""}, False),
        ("no tag given", {"tag": GONE}, False),
        ("a tag that is a number", {"tag": 1}, False),
        ("a tag given by nobody", {"by": GONE}, False),
        ("a tag given by an empty name", {"by": ""}, False),
        ("a tag given by many", {"by": ["li", "wang"]}, False),
        ("a tag given for no reason", {"reason": GONE}, False),
        ("an empty reason", {"reason": ""}, False),
        ("the longest reason", {"reason": "r" * 1024}, True),
        ("a reason too long", {"reason": "r" * 1025}, False),
        ("more members", {"ticket": {"no": 7}}, True))],
    *[(why, "", {**EVENT_IN, "type": "tag.cleared", "data": {k: v for k, v in {"dimension": "care.vip", "by": "li", **change}.items() if v is not GONE}}, accepted)
      for why, change, accepted in (
        ("a tag cleared", {}, True),
        ("a tag cleared in no dimension", {"dimension": GONE}, False),
        ("a tag cleared by nobody", {"by": GONE}, False),
        ("a tag cleared by an empty name", {"by": ""}, False),
        ("a tag cleared with a tag and a reason", {"tag": "nobody knows", "reason": 5}, True))],
    *[(why, "", {**EVENT_IN, "type": "tag.reviewed", "data": {k: v for k, v in {"proposal": "proposal:C1:1", "decision": "approved", "by": "li", **change}.items()
                                                              if v is not GONE}}, accepted) for why, change, accepted in (
        ("a decision", {}, True),
        ("a rejection", {"decision": "rejected"}, True),
        ("the largest proposal", {"proposal": "proposal:C1:" + "9" * 15}, True),
        ("a decision about nothing", {"proposal": GONE}, False),
        ("a proposal without a number", {"proposal": "proposal:C1:"}, False),
        ("a proposal by its number", {"proposal": 1}, False),
        ("a proposal with a zero before it", {"proposal": "proposal:C1:01"}, False),
        ("proposal 0", {"proposal": "proposal:C1:0"}, False),
        ("a proposal with 16 digits", {"proposal": "proposal:C1:" + "1" * 16}, False),
        ("a proposal that is a tag", {"proposal": "tag:C1:1"}, False),
        ("a proposal of an epoch", {"proposal": "proposal:C1:1.1"}, False),
        ("a decision of no kind", {"decision": GONE}, False),
        ("a decision to wait", {"decision": "later"}, False),
        ("a decision in capitals", {"decision": "Approved"}, False),
        ("a decision by nobody", {"by": GONE}, False),
        ("a decision by a number", {"by": 5}, False))],
    ("a decision without data", "", {**{k: v for k, v in EVENT_IN.items() if k != "data"}, "type": "tag.reviewed"}, False),
    ("a tag given as a list", "", {**EVENT_IN, "type": "tag.assigned", "data": []}, False),
    ("a tag given as null", "", {**EVENT_IN, "type": "tag.assigned", "data": None}, False),
    ("a profile", "", {**EVENT_IN, "type": "profile.updated", "data": {"attributes": {"region": "north"}}}, True),
    ("a profile without attributes", "", {**EVENT_IN, "type": "profile.updated", "data": {}}, False),
    ("a profile without data", "", {**{k: v for k, v in EVENT_IN.items() if k != "data"}, "type": "profile.updated"}, False),
    ("attributes as a list", "", {**EVENT_IN, "type": "profile.updated", "data": {"attributes": []}}, False),
    ("a number for an event", "", 5, False),
    ("a list for an event", "", [EVENT_IN], False),
]

# What only `tagd check` can know: the schema takes it, tagd refuses it.
ONLY_TAGD_CATALOGS = [
    ("a type in an expression", "/metrics/spend", "sum(category, order.paid)"),
    ("an event type that is not declared", "/metrics/spend", "count(logout)"),
    ("a tag that the dimension does not have", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "value.level == 'top'"}]}),
    ("a cycle", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "a.b == 'a'"}]}),
    ("a product of two silences", "/metrics/spend", "(since(login) * since(order.paid)) > 1"),
    ("a value that varies with time", "/dimensions/a.b", {"value": "since(login)"}),
    ("a value that is a double", "/dimensions/a.b", {"value": "avg(amount, order.paid)"}),
    ("an attribute that is not declared", "/dimensions/a.b", {"value": "attr.region"}),
    ("a rule that is no condition", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "1 + 1"}]}),
    ("one tag twice in a dimension", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "true"}, {"tag": "a", "when": "true"}]}),
    ("a group named as an event type", "/groups/login", ["login"]),
    ("was() of a dimension that there isn't", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "was(a.c) == 'a'"}]}),
    ("was() of a tag that the dimension does not have", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "was(a.b) == 'b'"}]}),
    ("held() against a number", "/dimensions/a.b", {"tags": [{"tag": "a", "when": "held(a.b) > 3"}]}),
    ("a value that is how long another has held", "/dimensions/a.b", {"value": "held(value.level)"}),
    ("an alert that is no condition", "/alerts", {"a": {"when": "count(login)"}}),
    ("an alert in a rule", "", {**SHOP, "alerts": {"loss": {"when": "true"}}, "metrics": {**SHOP["metrics"], "more": "loss is null"}}),
    ("an alias that is a tag", "/aliases", {"value.level.low": "value.level.high"}),
    ("an alias to no tag", "/aliases", {"value.rank.gold": "value.level.gold"}),
    ("an alias to an alias", "/aliases", {"value.rank.gold": "value.level.high", "value.rank.au": "value.rank.gold"}),
    ("an alias to a tag drawn from the data", "/aliases", {"value.rank.gold": "need.category.beauty"}),
    ("a for beyond 100000d", "/dimensions/value.level/for", "100001d"),
    ("an expires beyond 100000d", "/dimensions/a.b", {"assign": "review", "expires": "100001d", "tags": [{"tag": "x", "when": "true"}]}),
    ("a duration beyond 100000d", "/events/login/dedupe", "100001d"),
]
ONLY_TAGD_CONFIGS = [
    ("one topic twice", "/sources", [{"topic": "a"}, {"topic": "a"}]),
    ("a topic both read and written", "/outputs", {"tag_changes": "events"}),
    ("a grace beyond its limit", "/grace", "2h"),
    ("a variable that is not set", "/group", "${NOT_SET}"),
    ("a number in text beyond its range", "/workers", "65"),
    ("a field that the catalog does not declare", "/sources/0/map", {**MAP, "data": {"price": "/total"}}),
    ("an attribute that the catalog does not declare", "/sources/0/map",
     {**MAP, "type": {"const": "profile.updated"}, "data": {"attributes": {"fields": {"shoe": "/shoe"}}}}),
    ("a constant customer too long", "/sources/0/map", {**MAP, "subject": {"const": "c" * 129}}),
]
ONLY_TAGD_EVENTS = [
    ("a subject that stands for no customer", "/subject", "Anonymous"),
    ("a subject of 129 bytes in fewer letters", "/subject", "é" * 64 + "x"),
    ("a field of the wrong type", "/data/amount", "10"),
    ("a required field that is missing", "/data/category", GONE),
    ("before 1990", "/time", "1989-12-31T23:59:59Z"),
    ("a reserved type that this version does not do", "", {**EVENT_IN, "type": "customer.erased"}),
    ("a tag of a dimension that there isn't", "", {**EVENT_IN, "type": "tag.assigned", "data": {**ASSIGNED, "dimension": "care.nobody"}}),
    ("a tag that the dimension does not have", "", {**EVENT_IN, "type": "tag.assigned", "data": {**ASSIGNED, "tag": "no"}}),
    ("a tag of an alert", "", {**EVENT_IN, "type": "tag.assigned", "data": {**ASSIGNED, "dimension": "loss", "tag": "raised"}}),
    ("a tag that is drawn from the data", "", {**EVENT_IN, "type": "tag.assigned", "data": {**ASSIGNED, "dimension": "need.category", "tag": "beauty"}}),
    ("a reason of 1,026 bytes in fewer letters", "", {**EVENT_IN, "type": "tag.assigned", "data": {**ASSIGNED, "reason": "é" * 513}}),
    ("a proposal of another customer", "", {**EVENT_IN, "type": "tag.reviewed", "data": {"proposal": "proposal:C2:1", "decision": "approved", "by": "li"}}),
    ("no time: simulate has no record's timestamp", "/time", GONE),
]
ENVIRONMENT = {"NAME": "x", "N": "2", "REDIS": "redis://127.0.0.1"}


def ids(rows):
    return [r[0] for r in rows]


@pytest.mark.parametrize("why, where, value, accepted", CATALOGS, ids=ids(CATALOGS))
def test_catalogs(check, why, where, value, accepted):
    document = changed(SHOP, where, value)
    assert (fault(CATALOG, document) is None) == accepted, fault(CATALOG, document)
    found, told = check("catalog", document)
    assert found == accepted, told


@pytest.mark.parametrize("why, where, value, accepted", CONFIGS, ids=ids(CONFIGS))
def test_configurations(check, tmp_path, why, where, value, accepted):
    (tmp_path / "shop.json").write_text(json.dumps(MEMBERS))
    document = changed(TAGD, where, value)
    assert (fault(CONFIG, document) is None) == accepted, fault(CONFIG, document)
    found, told = check("config", document, ENVIRONMENT)
    assert found == accepted, told


@pytest.mark.parametrize("why, where, value", ONLY_TAGD_CATALOGS, ids=ids(ONLY_TAGD_CATALOGS))
def test_catalogs_that_only_tagd_can_refuse(check, why, where, value):
    document = changed(SHOP, where, value)
    assert fault(CATALOG, document) is None
    assert not check("catalog", document)[0]


@pytest.mark.parametrize("why, where, value", ONLY_TAGD_CONFIGS, ids=ids(ONLY_TAGD_CONFIGS))
def test_configurations_that_only_tagd_can_refuse(check, tmp_path, why, where, value):
    (tmp_path / "shop.json").write_text(json.dumps(MEMBERS))
    document = changed(TAGD, where, value)
    assert fault(CONFIG, document) is None
    assert not check("config", document, ENVIRONMENT)[0]


def simulated(tmp_path, event):
    shop = {**SHOP, "dimensions": {**SHOP["dimensions"], "care.vip": {"assign": "manual", "tags": [{"tag": "yes"}]}, "need.category": {"value": "top(category, order.paid)"}},
            "alerts": {"loss": {"when": "since(login) > 1d"}}, "aliases": {"value.rank.gold": "value.level.high"}}
    (tmp_path / "shop.json").write_text(json.dumps(shop))
    told = subprocess.run([TAGD_COMMAND, "simulate", "--catalog", str(tmp_path / "shop.json")], input=json.dumps(event), capture_output=True, text=True)
    assert told.returncode in (0, 65), told.stderr
    return told.returncode == 0


@pytest.mark.parametrize("why, where, value, accepted", EVENTS, ids=ids(EVENTS))
def test_events(tmp_path, why, where, value, accepted):
    event = changed(EVENT_IN, where, value)
    assert (fault(EVENT, event) is None) == accepted, fault(EVENT, event)
    assert simulated(tmp_path, event) == accepted


@pytest.mark.parametrize("why, where, value", ONLY_TAGD_EVENTS, ids=ids(ONLY_TAGD_EVENTS))
def test_events_that_only_tagd_can_refuse(tmp_path, why, where, value):
    event = changed(EVENT_IN, where, value)
    assert fault(EVENT, event) is None
    assert not simulated(tmp_path, event)


@pytest.mark.parametrize("name, base, rows", [("catalog", SHOP, CATALOGS), ("config", TAGD, CONFIGS), ("event-in", EVENT_IN, EVENTS)],
                         ids=["catalogs", "configurations", "events"])
def test_two_more_validators_give_the_same_verdicts(node, name, base, rows):
    documents = [changed(base, where, value) for _, where, value, _ in rows]
    wanted = [accepted for *_, accepted in rows]
    assert json.loads(node("ajv", f"{SCHEMAS}/{name}.schema.json", given=json.dumps(documents))) == wanted
    slow = jsonschema.Draft202012Validator(schema(name), format_checker=jsonschema.FormatChecker())
    assert [slow.is_valid(d) for d in documents] == wanted
