#!/usr/bin/env python3
"""Inputs to begin with, made of what the project has already: seeds.py DIRECTORY writes DIRECTORY/<fuzzer>/...

The examples of the documents, the catalogs to adopt with their sample events, the texts of unit tests; and, for limits that
nobody writes down, catalogs and configurations that are just over them.
"""
import ast
import json
import pathlib
import random
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def write(directory, name, texts):
    out = directory / name
    out.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(dict.fromkeys(texts)):
        (out / f"seed-{i:04d}").write_bytes(text if isinstance(text, bytes) else text.encode())


def blocks():
    """Every block of JSON in the documents."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("schemas/*.md"), *ROOT.glob("deploy/**/*.md")]:
        for block in re.findall(r"^```jsonc?[^\n]*\n(.*?)^```", path.read_text(), re.S | re.M):
            yield block.strip()


def value_of(literal):
    """The bytes of one C string literal."""
    return ast.literal_eval("b" + "".join(c if ord(c) < 128 else "".join(f"\\x{b:02x}" for b in c.encode()) for c in literal))


def strings(name):
    """The string literals of a unit test, those side by side together."""
    source = (ROOT / "tests/unit" / name).read_text()
    for literal in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', source):
        yield b"".join(value_of(part) for part in re.findall(r'"(?:[^"\\\n]|\\.)*"', literal))


def catalogs():
    yield from (text for text in blocks() if '"dimensions"' in text and len(text) < 20000)
    yield from (path.read_text() for path in sorted(ROOT.glob("deploy/catalogs/*.json")))
    for name in "test_catalog.c", "test_churn.c", "test_goals.c", "test_population.c":
        yield from (text for text in strings(name) if b'"dimensions"' in text and text.startswith(b"{"))
    yield from expressions()
    yield from full_catalogs()
    yield from large_catalogs()


def small(dimensions, more="", events='"a":{"fields":{"d":"decimal","s":"string","b":"boolean","t":"time","y":"date"}},"c":{}'):
    return '{"catalog":"c","version":"1",%s"events":{%s},"dimensions":{%s}}' % (more, events, dimensions)


def expressions():
    """The expressions of tests, each in a small catalog."""
    found = {text for name in ("test_catalog.c", "test_engine.c") for text in strings(name)
             if len(text) < 200 and not text.startswith(b"{") and re.search(rb"[( ]", text)}
    for text in sorted(text.decode(errors="replace") for text in found):
        yield small('"x.y":{"tags":[{"tag":"t","when":%s}]}' % json.dumps(text),
                    '"groups":{"g":["a","c"]},"attributes":{"s":"string","d":"decimal","y":"date","t":"time"},'
                    '"metrics":{"m":"count(a)"},')


FULL = {
    "catalog": "c", "version": "1", "timezone": "+08:00", "label": {"en": "Full"},
    "events": {"a": {"fields": {"d": "decimal", "s": {"type": "string", "required": True}, "b": "boolean", "t": "time", "y": "date"},
                     "dedupe": "7d"}, "c": {}},
    "groups": {"g": ["c", "a{s=\"x\",d>=1}"]},
    "attributes": {"s": "string", "d": "decimal", "y": "date", "t": "time"},
    "tables": {"w": {"keep": True, "values": {"x": "y", "z": "y"}}, "v": {"values": {"p": "q"}, "else": "r"}},
    "metrics": {"m": "sum(d, a[30d])", "n": "m + count(g[1h:1m] offset 1h)"},
    "aliases": {"old.k.t": "x.y.t", "old.k.u": "x.y.u"},
    "alerts": {"l": {"when": "n > 3", "for": "1m", "label": "L", "plan": {"do": "call"}}},
    "goals": {"b": {"start": "x.y.t", "reach": "g", "within": "90d", "uplift": 0.15, "holdout": 0.1, "label": "B"}},
    "measures": {"r": {"value": "count(a[90d]) >= 2", "of": "count(a[90d]) >= 1", "label": "R"}, "q": {"value": "since(g)"}},
    "breakdowns": [["x.v"], ["x.y", "x.v"]],
    "churn": {"model": "mbg-nbd", "event": "a", "r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4, "activity": "g", "label": "Churn",
              "levels": {"churned": {"below": 0.2, "silence": "90d"}, "at-risk": {"below": 0.5, "plan": {"x": 1}},
                         "watch": {"below": 0.7, "silence": "30d"}, "stable": {"label": {"en": "S"}}},
              "drivers": [{"name": "silence", "value": "since(a)", "usual": "since_first(a)", "label": "D"}]},
    "dimensions": {
        "x.y": {"label": {"en": "X", "zh-CN": "值"}, "assign": "review", "expires": "9h", "for": "1h", "min_dwell": "2h",
                "tags": [{"tag": "t", "label": "T", "when": "n >= 10 and churn.level in ('watch')", "for": "0s", "plan": {"goal": "g"}},
                         {"tag": "u", "when": "lookup(w, attr.s) == 'y' or p_alive() < 0.5", "min_dwell": "1d"}]},
        "x.m": {"assign": "manual", "tags": [{"tag": "t"}]},
        "x.v": {"value": "top(s, a[7d])"}},
}


def broken(whole, rng, at=()):
    """The whole with each of its parts taken out, and of some other kinds."""
    node = whole
    for step in at:
        node = node[step]
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []:
        kept = node[key]
        others = [None, 7, -0.5, 1e300, "", "x", "1d", "count(", "x.y.t", "\u00e9\\\U0001F600 (", [], {}, True, "true", ["x"], {"x": "y"}]
        for other in rng.sample(others, 5):
            node[key] = other
            yield json.dumps(whole, ensure_ascii=key not in ("when", "value"))
        node[key] = kept
        if isinstance(node, dict):
            del node[key]
            yield json.dumps(whole)
            node["unknown"] = kept
            yield json.dumps(whole)
            del node["unknown"]
            node[key] = kept
        yield from broken(whole, rng, (*at, key))


def made_expressions():
    """Pairs of what an expression may be made of, some of each."""
    atoms = ["count(a)", "sum(d, a[1h])", "latest(d, a)", "avg(d, a[30d:1d] offset 30d)", "since(a)", "since_first(g)", "until(t, a)",
             "until_next(t, a[30d])", "p_alive()", "latest(s, a)", "latest(y, a)", "latest(t, a)", "latest(b, a)", "first(source, a)",
             "'t'", "'2023-10-15'", "'2023-11-14T22:13:20Z'", "null", "true", "1d", "-500ms", "1.5", "attr.s", "attr.y", "attr.d",
             "attr.t", "days_until(attr.y)", "years(attr.y)", "was(x.m)", "previous( x.m )", "held(x.m)", "m", "n", "x.m", "x.v", "old.k",
             "lookup(w, attr.s)", "days(a)", "distinct(s, a[7d])", "min(t, a)", "max(y, a)", "top(b, a)", "(1 / 0)", "not true"]
    for window in ("[0s]", "[1h:7m]", "[7d:2d]", "[1d:1h] offset 30m", "[1d:1h] offset 3h", "[100001d]", "[90d:1s]", "[5s:1h]", "[1w]", "[x]",
                   "[1h", "[30d:1d] offset 100000d", "", "[1h:500ms]", "[36h:12h]"):
        yield f"count(a{window}) > 1"
        yield f"sum(d, a{{s='x'}}{window}) > 1"
    for selector in ("a{s>'x'}", "a{d=1,b=true}", "a{t<'2023-11-14T22:13:20Z'}", "a{y='2000-02-30'}", "a{nothing=1}", "a{d='x'}", "b", "a{}",
                     "a{s!=\"x\"", "g{s='x'}", "c{d=1}", "a{source='w'}", "a{d=null}", "a{b>true}", "a{d>=-1.5,d<2}", "a{y>='2000-01-01'}"):
        yield f"count({selector}) > 1"
        yield f"since({selector}) > 1d"
    for n in 16, 17, 40:
        yield "count(a{" + ",".join(["d>=1"] * n) + "}) > 1"
    rng = random.Random(1)
    for op in "+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "is", "=":
        for a in rng.sample(atoms, 18):
            b = rng.choice(atoms)
            right = f"({b}, {rng.choice(atoms)})" if op == "in" else rng.choice(["null", "not null", b]) if op == "is" else b
            yield f"{a} {op} {right}"
            yield f"{a} {op} {right} {rng.choice(['and', '>', '+', 'or'])} {rng.choice(atoms)}"
    yield from atoms


def full_catalogs():
    yield json.dumps(FULL)
    yield from broken(json.loads(json.dumps(FULL)), random.Random(2))
    for i, expression in enumerate(made_expressions()):
        full = json.loads(json.dumps(FULL))
        full["dimensions"]["x.v" if i % 5 == 4 else "x.w"] = \
            {"value": expression} if i % 5 == 4 else {"tags": [{"tag": "t", "when": expression}]}
        yield json.dumps(full)


def large_catalogs():
    def many(n, make):
        return ",".join(make(i) for i in range(n))
    tags = '"x.y":{"tags":[{"tag":"t","when":"true"}]}'
    yield small(tags, events=many(1001, lambda i: f'"e{i}":{{}}'))
    yield small(tags, events='"e":{"fields":{%s}}' % many(65, lambda i: f'"f{i}":"decimal"'))
    yield small(tags, '"attributes":{%s},' % many(501, lambda i: f'"a{i}":"string"'))
    yield small(many(2001, lambda i: f'"d.x{i}":{{"tags":[]}}'))
    yield small('"x.y":{"tags":[%s]}' % many(1001, lambda i: f'{{"tag":"t{i}","when":"true"}}'))
    yield small(tags, '"alerts":{%s},' % many(501, lambda i: f'"a{i}":{{"when":"true"}}'))
    yield small(tags, '"aliases":{%s},' % many(10001, lambda i: f'"a.b.c{i}":"x.y.t"'))
    yield small(tags, '"goals":{%s},' % many(101, lambda i: f'"g{i}":{{"start":"x.y.t","reach":"c","within":"1d"}}'))
    yield small(tags, '"measures":{%s},' % many(21, lambda i: f'"m{i}":"count(c)"'))
    yield small(tags, '"breakdowns":[%s],' % many(101, lambda i: '["x.y"]'))
    yield small(tags, '"tables":{%s},' % many(201, lambda i: f'"t{i}":{{"a":"b"}}'))
    yield small(tags, '"tables":{"t":{%s}},' % many(10001, lambda i: f'"k{i}":"v"'))
    yield small(tags, '"metrics":{%s},' % many(66, lambda i: f'"m{i}":"{"m%d + 1" % (i + 1) if i < 65 else "count(c)"}"'))
    yield small('"x.y":{"tags":[{"tag":"t","when":"%strue%s"}]}' % ("(" * 66, ")" * 66))
    yield small('"x.y":{"tags":[{"tag":"t","when":"%s"}]}' % " and ".join(["count(c) > 1"] * 3000))
    yield small('"x.y":{"tags":[{"tag":"%s","when":"true"}]}' % ("t" * 129))
    yield small('"x.y":{"tags":[{"tag":"t","when":"latest(s, a) == \'%s\'"}]}' % ("t" * 1025))


MAP = {"id": {"from": "offset"}, "source": {"const": "s"}, "type": "/a/b/1", "subject": {"from": "key"}, "time": {"at": "/ts", "as": "epoch_ms"},
       "data": {"amount": "/a/b/0", "attributes": {"fields": {"region": "/a/b/1", "score": {"const": 1.5}}}}}
FULL_CONFIGURATION = {
    "group": "g", "instance": "a", "catalog": "c.json", "delivery": "at_least_once", "workers": 2, "time": "live", "grace": "2s", "max_idle": "100ms",
    "sources": [{"topic": "e", "partitioner": "murmur2", "map": MAP, "expect_every": "10m", "headers": "read"}, {"topic": "f"}],
    "outputs": {"tag_changes": "t", "churn_risk": "u", "dead_letter": "d", "content_mode": "binary"},
    "kafka": {"bootstrap.servers": "h:1", "auto.offset.reset": "latest", "sasl.password": "hush-hush", "ssl.key.password": "hush"},
    "redis": {"url": "rediss://h:1/2", "prefix": "p:", "user": "u", "password": "${file:/redis}",
              "tls": {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem", "server_name": "h.example.org", "verify": "false"}},
    "carry": ["value.level"], "max_changes_per_minute": {"b.activity": 5000, "*": "${N}"}, "horizon": "400d", "on_data_gap": "continue",
    "http": {"listen": "0.0.0.0:80", "token": "${file:/token}", "tls": {"cert": "c.pem", "key": "k.pem", "client_ca": "ca.pem"}, "insecure": "true",
             "requests_per_second": 20},
    "log": {"format": "json", "level": "warn", "file": "l.log"}, "past": "2000-01-01T00:00:00Z", "future": "5m", "max_event_bytes": 2048,
    "junk_subjects": ["", "null"], "batch_events": 100, "batch_bytes": 70000, "cache_bytes": 0,
}


def objects(value):
    """Every object of a JSON value."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from objects(part)


def full_configurations():
    """Every key that the schema has must be among them."""
    schema = json.loads((ROOT / "schemas/config.schema.json").read_text())
    known = {key for part in objects(schema) if isinstance(part.get("properties"), dict) for key in part["properties"]}
    absent = known - {key for part in objects(FULL_CONFIGURATION) for key in part}
    if absent:
        sys.exit(f"tests/fuzz/seeds.py: FULL_CONFIGURATION lacks {', '.join(sorted(absent))}, which schemas/config.schema.json has")
    yield json.dumps(FULL_CONFIGURATION)
    yield from broken(json.loads(json.dumps(FULL_CONFIGURATION)), random.Random(3))


def configurations():
    yield from (text for text in blocks() if '"sources"' in text)
    yield from full_configurations()
    for name in "test_config.c", "test_event.c":
        yield from (text for text in strings(name) if b'"sources"' in text or b'"map"' in text)
    base = {"catalog": "c", "sources": [{"topic": "e"}], "kafka": {"bootstrap.servers": "h:1"}, "redis": {"url": "redis://h"}}

    def but(**more):
        return json.dumps({**base, **more})
    for key, value in [("group", "g"), ("group", ""), ("group", "x" * 101), ("group", "a b"), ("instance", "i-${N}"),
                       ("catalog", ""), ("delivery", "at_least_once"), ("workers", 64), ("workers", "${N}"), ("workers", 65),
                       ("workers", "x"), ("workers", True), ("workers", 1.5), ("time", "events"), ("grace", "2s"),
                       ("grace", "2 s"), ("grace", "61m"), ("max_idle", "1s"), ("horizon", "3661d"), ("horizon", "40d"),
                       ("future", "1h"), ("past", "2000-01-01"), ("past", "2000-01-01T00:00:00Z"), ("past", "x"),
                       ("carry", "all"), ("carry", ["b.a", "${A}"]), ("carry", 1), ("carry", "some"), ("carry", [1]),
                       ("carry", ["x"] * 2001), ("on_data_gap", "continue"), ("http", {"listen": "off"}),
                       ("http", {"listen": "[::1]:80"}), ("http", {"listen": "0.0.0.0:0"}), ("http", {"listen": "x"}),
                       ("max_event_bytes", 2048), ("batch_events", 100), ("batch_bytes", 70000), ("cache_bytes", 0),
                       ("junk_subjects", ["x", "NULL"]), ("junk_subjects", 1), ("junk_subjects", [1]), ("junk_subjects", ["x"] * 1001),
                       ("outputs", {"tag_changes": "t", "churn_risk": "u", "dead_letter": "d", "content_mode": "binary"}),
                       ("outputs", {"tag_changes": "e"}), ("outputs", {"tag_changes": "t", "dead_letter": "t"}), ("unknown", 1),
                       ("group", "${MISSING}"), ("group", "${BAD}"), ("group", "${A"), ("group", "${}")]:
        yield but(**{key: value})
    for url in ["redis://:p%41@h:1/2", "redis://u:p@[::1]:7/0", "redis://h/x", "redis://h:0", "redis://u@h", "rediss://h", "http://h",
                "unix:///s?db=3", "unix:///s", "unix://s", "redis://u:p%4@h", "redis://u:p%00@h", "${URL}", "redis://[::1", "redis://:1"]:
        yield but(redis={"url": url})
    for prefix in ["p:", "{p}", "x" * 101]:
        yield but(redis={"url": "redis://h", "prefix": prefix})
    for kafka in [{}, 7, {"bootstrap.servers": ""}, {"metadata.broker.list": "h", "a": True, "b": 1.25, "c": 7, "d": "x"},
                  {"bootstrap.servers": "h", "group.id": "x"}, {"bootstrap.servers": "h", "a": []},
                  {"bootstrap.servers": "h", "auto.offset.reset": "latest"}, {"bootstrap.servers": "h", "auto.offset.reset": "x"}]:
        yield but(kafka=kafka)
    yield but(time="events", sources=[{"topic": "e", "expect_every": "10m"}])
    yield but(max_changes_per_minute={f"d.x{i}": 1 for i in range(2001)})
    for token in "${file:/a token}", "${A}", "${URL}", "a-token-in-this-file":
        yield but(http={"listen": "127.0.0.1:1", "token": token})
    yield but(delivery="at_least_once", kafka={"bootstrap.servers": "h", "message.timeout.ms": 1})
    sources = [[], [{"topic": f"t{i}"} for i in range(17)], [{"topic": "a"}, {"topic": "a"}], 1, [1], [{}],
               [{"topic": "."}], [{"topic": "e", "partitioner": "crc32", "headers": "ignore"}]]
    maps = [{"id": "/id", "source": {"const": "s"}, "type": {"const": "order.paid"}, "subject": "/who",
             "time": {"at": "/ts", "as": "epoch_ms"}, "data": {"amount": "/a/b/0", "category": "/a/b/1", "coupon": {"const": True}}},
            {"id": {"from": "offset"}, "source": "/a/b/1", "type": "/a/b/1", "subject": {"from": "key"}, "time": "/when", "data": "/d"},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "profile.updated"}, "subject": {"const": "C"},
             "time": {"at": "/s", "as": "epoch_s"}, "data": {"attributes": {"fields": {"region": "/a/b/1", "score": {"const": 1.5}}}}},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "order.paid"}, "subject": "/who", "data": {"nothing": "/x"}},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "order.paid"}, "subject": "/who", "data": {"amount": {"const": "x"}}},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "order.paid"}, "subject": "/who",
             "data": {"due": {"at": "/ts", "as": "epoch_ms"}, "day": {"const": "2000-01-01"}}},
            {"id": "no"}, {"id": {"from": "x"}}, {"id": 1}, {"id": "/a~2"}, {"id": "/" + "x" * 256}, {"id": "/x" * 65},
            {"id": {"const": "x", "at": "/x"}}, {"id": {}}, {"id": "/x", "data": {"a": {"fields": {}}}}, {"id": "/x", "data": 1},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "x"}, "subject": "/who", "time": {"at": "/ts", "as": "x"}},
            {"id": "/no", "source": {"const": "s"}, "type": {"const": "x"}, "subject": "/who", "data": {f"f{i}": "/x" for i in range(257)}}]
    for source in sources + [[{"topic": "e", "map": map_}] for map_ in maps]:
        yield but(sources=source)


def events():
    for path in sorted(ROOT.glob("deploy/catalogs/samples/*.jsonl")):
        yield from path.read_text().splitlines()[:8]
    yield from (text for text in blocks() if '"specversion"' in text or '"subject"' in text)
    yield from (text for text in strings("test_event.c") if text.startswith((b"{", b"[")))
    yield from strings("test_json.c")
    yield from made_events()


def made_events():
    """Of every reserved type, and with each of its parts another way; binary ones and their headers."""
    def event(type_, data, **more):
        return json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": type_, "subject": "C1",
                           "time": "2023-11-14T22:13:20Z", "data": data, **more}, ensure_ascii=False)
    assigned = {"dimension": "m.k", "tag": "v", "by": "ann", "reason": "r", "until": "2030-01-01T00:00:00Z"}
    reviewed = {"proposal": "proposal:C1:12", "decision": "approved", "by": "ann"}
    fields = {"d": 1.5, "s": "x", "b": True, "t": "2023-11-14T22:13:20Z", "y": "2023-10-15"}
    wrong = [None, 7, -1.5, 1e300, True, "", "x" * 1025, [], {}, "m.v", "m.x", "old.k", "2023年10月15日", "proposal:C1:0", "rejected"]
    for type_, data in ("tag.assigned", assigned), ("tag.cleared", assigned), ("tag.reviewed", reviewed), ("a", fields), \
            ("r", fields), ("profile.updated", {"attributes": fields}), ("c", {}), ("unheard.of", {}), ("identity.linked", {}):
        yield event(type_, data)
        for other in wrong:
            yield event(type_, other)
            for part in data:
                yield event(type_, {**data, part: other})
                yield event(type_, {"attributes": {**fields, part: other}})
    for attribute in "specversion", "id", "source", "type", "subject", "time", "data", "data_base64":
        for other in [*wrong, "unknown", "x" * 129, "1989-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2023-11-14T22:13:20+25:00"]:
            yield json.dumps({**json.loads(event("a", fields)), attribute: other})
    headers = "ce_specversion: 1.0\nce_id: 1\nce_source: s\nce_type: a\nce_subject: C1\nce_time: 2023-11-14T22:13:20Z\n"
    for more in ("", "key: C1\n", "content-type: text/plain\n", "content-type:  application/json ; charset=utf-8\n", "ce_id: -\n",
                 "ce_id: \xff\n", "ce_id: a\0b\n", "content-type: application/cloudevents+json\n", "content-type: x/y+json\n",
                 "content-type: application/cloudevents-batch+json\n"):
        for value in json.dumps(fields), "", "{", "[]":
            yield (headers + more + "\n" + value).encode("latin-1")
    for time in 1700000000000, 1700000000, 1.5, "1700000000", -1, 1e300, None:
        yield json.dumps({"id": 7, "type": "a", "subject": 12345678901234567, "source": "s", "time": time, "data": {**fields, "t": time}})
        yield json.dumps({"id": 7.5, "type": "tag.assigned", "subject": "C1", "time": time, "data": {**assigned, "until": time}})


def resp(value):
    """As Redis answers: None is nil, an exception an error, a bool a status."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, bool):
        return b"+OK\r\n" if value else b"*-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, Exception):
        return b"-%s\r\n" % str(value).encode()
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value) + b"".join(map(resp, value))
    data = value if isinstance(value, bytes) else value.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


FENCE, LOAD, COMMIT, GREET, PEEK, HEADS, COUNTS, MEMBERS, CUSTOMERS, SHARDS, BOARD, SERVER = range(12)
HEAD = "3 5 3 4 2 1700000000000 1700000000000 0123456789abcdef0123456789abcdef tagd-a-0 1 17"


def answers():
    """What a server may answer to each of fuzz_redis's questions."""
    full = [True, "7", True, "QUEUED", [True]]

    def to(asked, flags, *replies):
        return bytes([asked, *flags]) + b"".join(map(resp, replies))
    yield to(FENCE, [0], *full, HEAD, ["4", b"5 4\nbytes", "3", b"5 4\nx"], ["c", "1700000000000"], "form")
    yield to(FENCE, [0], *full, None, [], [], None, 1, "g", 1, "2", 1, "e")
    yield to(FENCE, [0], *full, None, [], [], None, 1, "other")
    yield to(FENCE, [0], True, "7", True, "QUEUED", False, *full, HEAD + " at_least_once", [], ["c", "inf"], None)
    yield to(FENCE, [0], True, "18446744073709551615", True, "QUEUED", [True], HEAD, [], [], None)
    yield to(FENCE, [0], *([True, "7", True, "QUEUED", False] * 5))
    yield to(FENCE, [0], *full, "3 what", [], [], None)
    yield to(FENCE, [0], *full, HEAD, ["4", "no line"], [], None)
    for score in "nan", "-inf", "1e300", "-1e300":
        yield to(FENCE, [0], *full, HEAD, [], ["c", score], None)
    for error in "NOPERM no", "READONLY You can't write", "LOADING Redis", "MASTERDOWN x", "OOM y":
        yield to(FENCE, [0], True, Exception(error))
        yield to(FENCE, [0], *full, HEAD, Exception(error), [], None)
        yield to(COMMIT, [0], True, ["5", HEAD.replace("5 3 4", "5 3 4")], True, Exception(error), True, Exception("EXECABORT"))
        yield to(GREET, [1], Exception(error))
        yield to(GREET, [1], INFO, Exception(error), None, 1, "2", 1, "e")
        yield to(PEEK, [], Exception(error), None, None)
        yield to(HEADS, [], Exception(error), None)
        yield to(COUNTS, [], True, True, True, True, True, Exception(error))
        yield to(LOAD, [0x7f], Exception(error), ["a"], ["b", "7"], ["p"])
    yield to(LOAD, [3 | 8], ["p", None])
    yield to(LOAD, [2 | 4], ["p", "q"], ["c", "d"], ["e", "1700000000001"], ["p", "q"])
    yield to(LOAD, [2 | 4 | 8 | 16], ["p", "q"], ["a", "dd", "e"], [], "1700000000000", ["p"], ["t", "u", "v", None])
    yield to(LOAD, [2 | 4], ["p", "q"], ["a", "dd", "e"], [], None, ["p", None])
    yield to(LOAD, [4], ["a", "dd", "e"], [], Exception("ERR"))
    yield to(LOAD, [4], Exception("ERR"), [])
    yield to(LOAD, [0x20], ["7", ["a", "told", "b", "told", "a", "x"]], ["0", ["c", "told"]], ["p", "q", "r"])
    yield to(LOAD, [0x20], ["0", []])
    yield to(LOAD, [0x20], ["0"])
    yield to(LOAD, [0x40], ["a", "b"], ["p", "q"])
    yield to(LOAD, [0x40], [])
    yield to(LOAD, [0x40], 7)
    yield to(LOAD, [2], ["p"])
    mine = ["5", HEAD]
    queued = ["QUEUED"] * 20
    for n in range(6, 14):
        yield to(COMMIT, [0], True, mine, *queued[:n], [1, 1])
        yield to(COMMIT, [0], True, mine, *queued[:n], [1, Exception("WRONGTYPE")])
        yield to(COMMIT, [0], *([True, mine, *queued[:n], False] * 5))
        yield to(COMMIT, [1], True, mine, ["5", None], *queued[:n + 4], [1])
    yield to(COMMIT, [1], True, ["6", HEAD], ["5", HEAD])
    yield to(COMMIT, [0], True, ["5", "3 what"])
    yield to(COMMIT, [0], True, ["5"])
    yield to(COMMIT, [0], Exception("ERR"), mine)
    for info in (INFO, INFO.replace("master", "slave"), INFO.replace("standalone", "cluster"), INFO.replace("loading:0", "loading:1"),
                 INFO.replace("noeviction", "allkeys-lru"), INFO.replace("aof_enabled:0", "aof_enabled:1"), ""):
        for flags in 0, 1:
            yield to(GREET, [flags], info, 1, "g", 1, "2", 1, "e")
            yield to(GREET | 0xC0, [flags], True, True, info, 1, "g", 1, "2", 1, "e")
    for group, partitions, sources in [("h", "2", "e"), ("g", "3", "e"), ("g", "2", "e f"), (None, None, None)]:
        yield to(GREET, [1], INFO, 1, group, 1, partitions, 1, sources)
        yield to(GREET, [0], INFO, True, group)
    yield to(PEEK, [], HEAD, "profile", "2")
    yield to(PEEK, [], "what", "profile", "2")
    yield to(PEEK, [], None, None, None)
    yield to(HEADS, [], HEAD, None)
    yield to(HEADS, [], HEAD, "3 what")
    for count in "1", "inf", "nan", "-3", "1e300", "0.5":
        yield to(COUNTS, [], True, *queued[:4], [HEAD, "form", ["customers", count, "b", "2", "c", "3"], ["x", "1"]])
        yield to(MEMBERS, [], ["1", count, None])
    yield to(COUNTS, [], True, *queued[:4], ["what", "form", [], []])
    yield to(COUNTS, [], True, *queued[:4], [HEAD, None, Exception("WRONGTYPE"), []])
    yield to(COUNTS, [], True, *queued[:4], [HEAD, None])
    yield to(CUSTOMERS, [1], ["7", ["a", "1", "b", "inf"]], ["p", None])
    yield to(CUSTOMERS, [1], ["0", []])
    yield to(CUSTOMERS, [1], ["0"])
    yield to(CUSTOMERS, [0], ["a", "b"], ["p", "q"])
    yield to(CUSTOMERS, [0], Exception("NOPERM x"))
    yield to(SHARDS, [], "2")
    yield to(SHARDS, [], Exception("NOPERM x"))
    yield to(SHARDS, [], None) + b"*2147483647\r\n"
    yield to(SHARDS, []) + b"*2147483647\r\n"
    yield to(SHARDS, []) + b"$2147483647\r\n"
    yield to(SHARDS, []) + b"HTTP/1.1 400 Bad Request\r\n"
    hold = "1700000000000 somebody@host\nwhy they did it"
    yield to(BOARD, [], ["hold", hold, "limits_off", "1900000000000", "silent e", "1700000000000", "clock", "61000"])
    yield to(BOARD, [], ["e", "1700000000000", "f", "1600000000000", "e two", "1700000060000", "g", "1"])
    yield to(BOARD, [], ["hold", hold[:13], "limits_off", "-1", "silent", "7", "clock", "9" * 30])
    yield to(BOARD, [], ["hold", "1 " + "b" * 300 + "\n" + "w" * 600, "e", "9223372036854775807", "f", "-9223372036854775808"])
    yield to(BOARD, [], [7, None, "hold"])
    yield to(BOARD, []) + b"*16000000\r\n" * 7
    yield to(BOARD, [], Exception("NOPERM x"))
    for clock in ["1700000000", "123456"], ["-1", "x"], ["9" * 20, "1"], [], None, "1700000000", [1700000000, None]:
        yield to(SERVER, [], clock, INFO)
    yield to(SERVER, [], ["1700000000", "1"], None)
    yield to(SERVER, [], ["1700000000", "1"], Exception("NOPERM x"))


def heads():
    """Heads, metadata and headers, behind the byte that says which."""
    begin = "3 5 12 3 64 -1 1000 0123456789abcdef0123456789abcdef tagd-a-0"
    for topics in 0, 1, 2, 15, 16, 17, 40:
        numbers = " ".join(str(i) for i in range(topics))
        for more in "", " at_least_once", " outputs 3 0 9", f" repair 1 0 9 5 -1 {numbers}", " import a 1 0 0 0 0 0 0":
            yield b"\0" + f"{begin} {topics} {numbers}{more}".encode()
    for text in "1 5 12", "4 5 12", "3", "0 1", "what", "":  # of an older tagd, a newer one, or damaged
        yield b"\0" + text.encode()
    for text in "1,2,3", "1,2,-", "18446744073709551615,18446744073709551615,-9223372036854775807", "18446744073709551616,1,1":
        yield b"\1" + text.encode()
    for text in "2.9.0", "18446744073709551615.18446744073709551615.4294967295", "18446744073709551616.1.1", "2.9.", "2.9.0.1":
        yield b"\2" + text.encode()


def times():
    """Instants, dates, durations, offsets and numbers, each part at its edge and past it."""
    for part, others in ("2023", ["0000", "9999", "2024", "1900", "2000"]), ("-02-", ["-00-", "-12-", "-13-"]), ("28T", ["00T", "29T", "30T", "29t"]), \
            ("T23", ["T24", "T00"]), (":59:", [":60:", ":00:"]), (":59.", [":60.", ":61."]), (".123", [".1", ".1234567", "."]), \
            ("+08:00", ["Z", "z", "-23:59", "+24:00", "+08:60", "+0800", ""]):
        for other in others:
            yield "2023-02-28T23:59:59.123+08:00".replace(part, other, 1)
    yield from ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.999+00:00", "2017-01-01T07:59:60+08:00", "2016-12-31T12:59:60Z")
    for date in "2023-10-15", "2023-1-5", "2023/10/15", "2023.2.29", "2024.2.29", "20231015", "20231315", "2023年10月15日", "2023年1月5日", "2023-10-32":
        yield date
    for duration in "500ms", "90s", "15m", "2h", "100000d", "100001d", "14285w", "14286w", "8640000000000ms", "8640000000001ms", "1x", "d":
        yield duration
    yield from ("+08:00", "-14:59", "+15:00", "-03:30", "+8:00")
    for number in "0", "-0", "0.00005", "-0.00005", "1e11", "100000000000.00001", "1E-400", "123456789012345678", "0.1", "1e300", "99999999999.99995":
        yield number


INFO = "# Server\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:0\r\n"


def main():
    out = pathlib.Path(sys.argv[1])
    write(out, "catalog", catalogs())
    write(out, "config", configurations())
    write(out, "event", events())
    write(out, "head", heads())
    write(out, "redis", answers())
    write(out, "time", times())


main()
