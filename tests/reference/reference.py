#!/usr/bin/env python3
"""The reference evaluator: slow and obvious, written from the contract alone. It keeps every raw event and computes each tag
by definition at any instant. It shares no code, no state layout and no list of instants with the engine.

usage: reference.py --catalog F [--until TIME] [--grid] EVENTS.jsonl

--grid looks at every millisecond up to the last event instead of at a list of candidate instants (for histories of seconds)."""
import argparse
import functools
import json
import math
import operator
import re
import sys
import zlib
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000}
DAY = UNITS["d"]
DURATION_MAX = 2**53


class Dur(int):
    """A duration in ms, so that it is told apart from a number."""
    __slots__ = ()


class Time(int):
    """An instant in ms."""
    __slots__ = ()


class Exact(int):
    """A decimal, in ten-thousandths."""
    __slots__ = ()

    def __float__(self):
        return int(self) / 10000


def whole(n):
    return Exact(n * 10000)


class Date(str):
    """A date as YYYY-MM-DD, whatever form it came in."""


DATE_FORMS = [re.compile(form, re.A) for form in (r"(\d{4})-(\d{1,2})-(\d{1,2})", r"(\d{4})/(\d{1,2})/(\d{1,2})", r"(\d{4})\.(\d{1,2})\.(\d{1,2})",
                                                 r"(\d{4})(\d{2})(\d{2})", r"(\d{4})年(\d{1,2})月(\d{1,2})日")]


@functools.lru_cache(10000)
def date(text):
    year, month, day = next(m.groups() for m in (form.fullmatch(text) for form in DATE_FORMS) if m)
    return Date(datetime(int(year), int(month), int(day)).date().isoformat())


@functools.lru_cache(10000)
def time_ms(text):
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)
    year, month, day, hour, minute, second = (int(g) for g in match.groups()[:6])
    ms = int(((match[7] or ".0")[1:] + "000")[:3])
    offset = timedelta(0)
    if match[8] not in "Zz":
        sign = -1 if match[8][0] == "-" else 1
        offset = sign * timedelta(hours=int(match[8][1:3]), minutes=int(match[8][4:6]))
    at = datetime(year, month, day, hour, minute, second) - offset
    return round((at - datetime(1970, 1, 1)).total_seconds()) * 1000 + ms


def time_text(ms):
    at = datetime(1970, 1, 1) + timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


@functools.lru_cache(None)
def duration(text):
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d|w)", text)
    return int(match[1]) * UNITS[match[2]]


def decimal_field(value):
    """4 places, half away from zero, by the number's decimal text of 15 digits."""
    exact = Decimal("%.15g" % float(value))
    return Exact(exact.scaleb(4).quantize(Decimal(1), ROUND_HALF_UP))


def typed(value, kind):
    """A JSON value as the declared type has it."""
    if value is None:
        return None
    return decimal_field(value) if kind == "decimal" else Time(time_ms(value)) if kind == "time" else date(value) if kind == "date" else value


def tag_text(value):
    """A value as a tag."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Exact):
        text = f"{Decimal(value).scaleb(-4):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return time_text(value) if isinstance(value, Time) else value if value is None else str(value)


def in_year(date, year):
    """The yearly return of a date in a year; 29 February returns on the 28th where there is none."""
    try:
        return datetime(year, int(date[5:7]), int(date[8:10]))
    except ValueError:
        return datetime(year, 2, 28)


def next_return(date, today):
    """Days to the next yearly return."""
    return next((at - today).days for at in (in_year(date, today.year), in_year(date, today.year + 1)) if at >= today)


def years_of(date, today):
    """Yearly returns that have come since the date; None before it."""
    born = in_year(date, int(date[:4]))
    return None if today < born else sum(in_year(date, year) <= today for year in range(born.year + 1, today.year + 1))


# ---- the language: text -> nested tuples (kind, source text, ...) ----

WINDOWED = ("count", "sum", "avg", "min", "max", "distinct", "top", "days")
PAST = ("was", "previous", "held")  # of a dimension, as it stood before the evaluation
FUNCTIONS = WINDOWED + ("p_alive", "since", "since_first", "until", "until_next", "first", "latest", "days_until", "years", "attr") + PAST
CALENDAR = ("days_until", "years")
CLOCKS = ("since", "since_first", "until", "until_next")
MOVING = CLOCKS + ("held", "p_alive")
TOKEN = re.compile(r"""\s*(?:(?P<num>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:ms|[smhdw])?(?![A-Za-z0-9_]))
    |(?P<str>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)
    |(?P<op>==|!=|<=|>=|[<>=+*/(){}\[\],:-]))""", re.X)


class Parser:
    def __init__(self, text, catalog):
        self.text, self.catalog, self.tokens, at = text, catalog, [], 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            # after an operand a minus is an operator
            if match["num"] and match["num"][0] == "-" and self.tokens and (
                    self.tokens[-1][0] in ("num", "str", "name") or self.tokens[-1][1] in (")", "]")) and \
                    self.tokens[-1][1] not in ("and", "or", "not", "in", "is"):
                match = re.compile(r"\s*(?P<op>-)").match(text, at)
            kind = match.lastgroup
            self.tokens.append((kind, match[kind], match.start(kind), match.end(kind)))
            at = match.end()
        self.tokens.append(("end", "", len(text), len(text)))
        self.i = 0

    def peek(self):
        return self.tokens[self.i][1] if self.tokens[self.i][0] != "str" else None

    def take(self, *texts):
        if self.peek() in texts and self.tokens[self.i][0] != "end":
            self.i += 1
            return self.tokens[self.i - 1][1]
        return None

    def need(self, text):
        assert self.take(text), (self.text, text, self.tokens[self.i])

    def expression(self):
        node = self.either()
        assert self.tokens[self.i][0] == "end", (self.text, self.tokens[self.i])
        return node

    def either(self):
        node = self.both()
        while self.take("or"):
            node = ("or", "", node, self.both())
        return node

    def both(self):
        node = self.negation()
        while self.take("and"):
            node = ("and", "", node, self.negation())
        return node

    def negation(self):
        return ("not", "", self.negation()) if self.take("not") else self.comparison()

    def comparison(self):
        a = self.sum()
        op = self.take("==", "!=", "<", "<=", ">", ">=")
        if op:
            b = self.sum()
            return (op, "", self.tag(b, a), self.tag(a, b))
        if self.take("in"):
            self.need("(")
            items = [self.sum()]
            while self.take(","):
                items.append(self.sum())
            self.need(")")
            return ("in", "", a, [self.tag(a, item) for item in items])
        if self.take("is"):
            negated = self.take("not")
            self.need("null")
            return ("notnull" if negated else "null", "", a)
        return a

    def sum(self):
        node = self.product()
        while True:
            op = self.take("+", "-")
            if not op:
                return node
            node = (op, "", node, self.product())

    def product(self):
        node = self.primary()
        while True:
            op = self.take("*", "/")
            if not op:
                return node
            node = (op, "", node, self.primary())

    def literal(self):
        kind, text, _, _ = self.tokens[self.i]
        self.i += 1
        if kind == "str":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "num":
            if re.search(r"[a-z]$", text):
                sign = -1 if text[0] == "-" else 1
                return Dur(sign * duration(text.lstrip("-")))
            exact = Fraction(text)
            return Exact(exact * 10000) if (exact * 10000).denominator == 1 and abs(exact) <= 10**11 and "e" not in text.lower() else float(text)
        return {"true": True, "false": False, "null": None}[text]

    def primary(self):
        kind, text, start, _ = self.tokens[self.i]
        if self.take("("):
            node = self.either()
            self.need(")")
            return node
        if kind in ("str", "num") or text in ("true", "false", "null"):
            return ("literal", "", self.literal())
        assert kind == "name", (self.text, self.tokens[self.i])
        self.i += 1
        if not self.take("("):
            if text.startswith("attr.") or text in self.catalog["metrics"]:
                return ("attr" if text.startswith("attr.") else "metric", text)
            return ("dimension", text, self.dimension(text))
        if text == "p_alive":
            self.need(")")
            return (text, self.text[start:self.tokens[self.i - 1][3]])
        if text in PAST:
            name = self.take(self.peek())
            self.need(")")
            return (text, self.text[start:self.tokens[self.i - 1][3]], self.dimension(name), name)
        if text == "lookup":
            table = self.take(self.peek())
            self.need(",")
            key = self.either()
            self.need(")")
            return (text, self.text[start:self.tokens[self.i - 1][3]], table, key)
        if text in CALENDAR and self.peek().startswith("attr."):
            name = self.take(self.peek())
            self.need(")")
            return (text, self.text[start:self.tokens[self.i - 1][3]], name, None)
        field = None
        if text in ("sum", "avg", "min", "max", "distinct", "top", "first", "latest", "until", "until_next"):
            field = self.take(self.peek())
            self.need(",")
        events = self.events()
        window = self.range() if text in WINDOWED else None
        if text == "until_next":
            self.need(",")
            window = self.events(), self.literal() if self.take(",") else Dur(0)
        self.need(")")
        return (text, self.text[start:self.tokens[self.i - 1][3]], field, events, window)

    def dimension(self, name):
        """A dimension, by its name or one that aliases remember."""
        if name in self.catalog["dimensions"]:
            return name
        return next(to.rpartition(".")[0] for old, to in self.catalog.get("aliases", {}).items() if old.rpartition(".")[0] == name)

    def tag(self, node, literal):
        """The tag that a literal beside a dimension means."""
        name = node[1] if node[0] == "dimension" else node[3] if node[0] in ("was", "previous") else None
        meant = self.catalog.get("aliases", {}).get(f"{name}.{literal[2]}") if name and literal[0] == "literal" else None
        return ("literal", "", meant.rpartition(".")[2]) if meant else literal

    def events(self):
        """-> list of (type, [terms])"""
        name = self.take(self.peek())
        members = [(t, list(terms)) for t, terms in self.catalog["groups"][name]] if name in self.catalog["groups"] else [(name, [])]
        if self.take("{"):
            terms = []
            while True:
                field = self.take(self.peek())
                op = self.take("=", "==", "!=", "<", "<=", ">", ">=")
                terms.append((field, "==" if op == "=" else op, self.literal()))
                if not self.take(","):
                    break
            self.need("}")
            members = [(t, own + terms) for t, own in members]
        return members

    def range(self):
        if not self.take("["):
            return None
        window = self.literal()
        pane = self.literal() if self.take(":") else None
        self.need("]")
        offset = self.literal() if self.take("offset") else 0
        if pane is None:
            pane = 1000 if window < 3600000 else 60000 if window < DAY else 3600000 if window <= 31 * DAY else DAY
        return window, pane, offset


def churn_levels(churn):
    """The dimension that a churn section makes."""
    event = churn.get("event", "order.paid")
    default = {"churned": {"below": 0.2, "silence": "90d"}, "at-risk": {"below": 0.5, "silence": "60d"}, "watch": {"below": 0.7, "silence": "30d"}}
    levels, tags = churn.get("levels", default), []
    for name in ("churned", "at-risk", "watch"):
        if name in levels:
            level = levels[name]
            silent = f" or p_alive() is null and since({event}) >= {level['silence']}" if "silence" in level else ""
            tags.append({"tag": name, "when": f"p_alive() < {level['below']:.15g}{silent}", "plan": level.get("plan")})
    tags.append({"tag": "stable", "when": f"since({event}) is not null", "plan": levels.get("stable", {}).get("plan")})
    return {"tags": tags, **{key: churn[key] for key in ("for", "min_dwell") if key in churn}}


def churn_drivers(churn):
    event = churn.get("event", "order.paid")
    return churn.get("drivers", [{"name": "silence", "value": f"since({event})",
                                  "usual": f"(since_first({event}) - since({event})) / (days({event}) - 1)"}])


def load(catalog):
    catalog = dict(catalog)
    if "churn" in catalog and "churn.level" not in catalog["dimensions"]:
        catalog["dimensions"] = {**catalog["dimensions"], "churn.level": churn_levels(catalog["churn"])}
    zone = catalog.get("timezone", "+00:00")
    catalog["zone"] = (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 60 + int(zone[4:6])) * 60000
    catalog.setdefault("metrics", {})
    catalog.setdefault("tables", {})
    groups, catalog["groups"] = catalog.get("groups", {}), {}
    for name, members in groups.items():
        catalog["groups"][name] = [m for text in members for m in Parser(text, {"metrics": {}, "groups": {}}).events()]
    catalog["types"] = {}
    for name, event in catalog["events"].items():
        fields = {f: (v if isinstance(v, str) else v["type"]) for f, v in event.get("fields", {}).items()}
        catalog["types"][name] = (fields, duration(event["dedupe"]) if "dedupe" in event else 0)
    catalog["metric_nodes"] = {name: Parser(text, catalog).expression() for name, text in catalog["metrics"].items()}
    catalog["all"] = {**catalog["dimensions"], **{f"alert {name}": {"tags": [dict(alert, tag="raised")], "alert": name}
                                                  for name, alert in catalog.get("alerts", {}).items()}}
    never = ("literal", "", False)
    catalog["rules"] = {name: [("", d["value"], Parser(d["value"], catalog).expression(), None)] if "value" in d else
                        [(t["tag"], t.get("when"), Parser(t["when"], catalog).expression() if "when" in t else never, t.get("plan")) for t in d["tags"]]
                        for name, d in catalog["all"].items()}
    if "churn" in catalog:
        catalog["purchases"] = Parser(catalog["churn"].get("event", "order.paid"), catalog).events()
        catalog["activity"] = Parser(catalog["churn"].get("activity", catalog["churn"].get("event", "order.paid")), catalog).events()
        catalog["drivers"] = [(d["name"], *(Parser(d[key], catalog).expression() if key in d else ("literal", "", None) for key in ("value", "usual")))
                              for d in churn_drivers(catalog["churn"])]
    catalog["meanings"] = {}
    catalog["outcomes"] = {name: outcome(name, catalog) for name in catalog["all"]}
    catalog["reviewed"] = {name for name, d in catalog["all"].items() if d.get("assign") == "review"}
    catalog["spans"] = {name: spans_of(d) for name, d in catalog["all"].items()}
    catalog.setdefault("attributes", {})
    needs = {name: {x for _, _, node, _ in rules for x in dimensions_in(node, catalog)} for name, rules in catalog["rules"].items()}
    looks = {name: {n[2] for _, _, node, _ in rules for n in walk(node, catalog) if n[0] in PAST} for name, rules in catalog["rules"].items()}
    catalog["stateful"] = any(looks.values()) or any(any(x for span in spans.values() for x in span) for spans in catalog["spans"].values()) or \
        bool(catalog["reviewed"]) or bool(catalog.get("goals"))
    catalog["reach"] = {name: Parser(goal["reach"], catalog).events() for name, goal in catalog.get("goals", {}).items()}
    order = []
    while len(order) < len(needs):
        order.append(next(d for d in needs if d not in order and needs[d] <= set(order)))
    catalog["order"], catalog["needs"] = order, {d: needs[d] | looks[d] for d in order}
    for _ in order:
        for d in order:
            for other in list(catalog["needs"][d]):
                catalog["needs"][d] |= catalog["needs"][other]
    catalog["parts"] = {None: Part(catalog, order), **{d: Part(catalog, [x for x in order if x == d or x in catalog["needs"][d]]) for d in order}}
    return catalog


class Part:
    """Dimensions of a catalog in the order of their evaluation, and what in their rules time may change. All of them, or one and those it needs."""
    def __init__(self, catalog, order):
        nodes = [n for d in order for _, _, rule, _ in catalog["rules"][d] for n in walk(rule, catalog)]
        self.order, self.stepping, self.moving = order, stepping(nodes), []
        for node in nodes:
            if node[0] not in COMPARE and node[0] != "in":
                continue
            inside = [n[0] for n in walk(node, catalog)]
            if not any(kind in MOVING for kind in inside) or any(kind in ("and", "or", "not", "null", "notnull", "dimension") for kind in inside):
                continue
            for b in node[3] if node[0] == "in" else [node[3]]:
                inside = [*walk(node[2], catalog), *walk(b, catalog)]
                search = Customer.alive_crossing if any(n[0] == "p_alive" for n in inside) else Customer.crossing
                cut = any(n[0] in ("*", "/") for n in inside)
                self.moving.append((search, meaning(node[2], catalog)[0], meaning(b, catalog)[0], cut, stepping(inside)))


def stepping(nodes):
    """The functions that change at the boundaries of panes and days, each once."""
    return list({n[1]: n for n in nodes if n[0] in CALENDAR or n[0] in WINDOWED and n[4]}.values())


def holdout(name, goal, subject):
    return zlib.crc32(f"{name}:{subject}".encode()) % 10000 < round(goal.get("holdout", 0) * 10000)


def spans_of(dimension):
    """tag (None: no tag, "": a value) -> (for, min_dwell) in ms"""
    def ms(of, key, default):
        return duration(of[key]) if key in of else default
    own = ms(dimension, "for", 0), ms(dimension, "min_dwell", 0)
    spans = {None: (0 if "alert" in dimension else own[0], 0), "": own}
    for tag in dimension.get("tags", []):
        spans[tag["tag"]] = ms(tag, "for", own[0]), ms(tag, "min_dwell", own[1])
    return spans


def walk(node, catalog):
    """All nodes, metrics entered."""
    yield node
    if node[0] == "metric":
        yield from walk(catalog["metric_nodes"][node[1]], catalog)
    for part in node[2:]:
        for child in part if isinstance(part, list) else [part]:
            if isinstance(child, tuple) and child and isinstance(child[0], str) and node[0] not in FUNCTIONS:
                yield from walk(child, catalog)


def dimensions_in(node, catalog):
    return {n[2] for n in walk(node, catalog) if n[0] == "dimension"}


# ---- values ----

COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def compare(op, a, b):
    if a is None or b is None:
        return None
    if type(a) is not type(b):
        a, b = alike(a, b)
    return op(a, b)  # strings by code points, which is the order of their UTF-8


def alike(a, b):
    """Two values of different types, as they are compared."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a), float(b)
    if isinstance(a, Time) or isinstance(b, Time):  # a string beside a time is one
        return tuple(x if isinstance(x, Time) else Time(time_ms(x)) for x in (a, b))
    if isinstance(a, Date) or isinstance(b, Date):  # and so beside a date
        return tuple(x if isinstance(x, Date) else date(x) for x in (a, b))
    return a, b


def limited(ms):
    return Dur(ms) if abs(ms) <= DURATION_MAX else None


def arithmetic(op, a, b):
    if a is None or b is None:
        return None
    da, db = isinstance(a, Dur), isinstance(b, Dur)
    if da and db and op in "+-":
        return limited(ARITHMETIC[op](int(a), int(b)))
    x, y = float(a), float(b)
    if op == "/" and y == 0:
        return None
    result = ARITHMETIC[op](x, y)
    if not math.isfinite(result):
        return None
    if (op == "*" and (da or db)) or (op == "/" and da and not db):
        return limited(math.trunc(result))
    return result


# ---- what a node says: node -> function of (customer, now, tags) ----

# A node's span: for how long it says the same between two records of a customer. (pane, shift): while the instant stays in the pane;
STEADY = ()  # all the time;
ANY = None  # it may say another thing at any instant.


def meaning(node, catalog):
    """-> what the node says, and its span. Made once; for equal functions, once."""
    key = node[:2] if node[1] else id(node)
    if key not in catalog["meanings"]:
        says, span = definition(node, catalog)
        catalog["meanings"][key] = says if node[0] in ("literal", "metric") else kept(says, span), span
    return catalog["meanings"][key]


def kept(says, span):
    """The same function. What it said stays true until the customer's next record, as long as it reads no more of the instant than the pane."""
    if span is ANY:
        return says
    def of_records(customer, now, tags):
        try:
            return customer.kept[says]
        except KeyError:
            return customer.kept.setdefault(says, says(customer, now, tags))
    def of_pane(customer, now, tags):
        key = says, (now + shift) // pane
        try:
            return customer.kept[key]
        except KeyError:
            return customer.kept.setdefault(key, says(customer, now, tags))
    if span is STEADY:
        return of_records
    pane, shift = span
    return of_pane


def joined(*spans):
    found = set(spans) - {STEADY}
    return STEADY if not found else found.pop() if len(found) == 1 else ANY


def definition(node, catalog):
    kind = node[0]
    if kind == "literal":
        return lambda customer, now, tags: node[2], STEADY
    if kind == "metric":
        return meaning(catalog["metric_nodes"][node[1]], catalog)
    if kind == "dimension":
        return lambda customer, now, tags: tags[node[2]], ANY
    if kind in PAST:
        return lambda customer, now, tags: customer.look_back(node, now), ANY
    if kind == "p_alive":
        return lambda customer, now, tags: customer.p_alive(now), ANY
    if kind in CLOCKS:
        return clock(node), ANY
    if kind in FUNCTIONS:
        return lambda customer, now, tags: customer.function(node, now), span_of(node, catalog)
    return operation(node, catalog)


def span_of(node, catalog):
    """Of a function."""
    if node[0] in CALENDAR:
        return DAY, catalog["zone"]
    if node[0] not in WINDOWED or node[4] is None:
        return STEADY
    _, pane, offset = node[4]
    return pane, (catalog["zone"] if pane == DAY else 0) - offset


def clock(node):
    """since and until: from an instant that stays between two records to now, or from now to it."""
    anchor = kept(lambda customer, now, tags: customer.anchor(node), STEADY)
    sign = 1 if node[0] in ("since", "since_first") else -1
    def says(customer, now, tags):
        at = anchor(customer, now, tags)
        return None if at is None else limited(sign * (now - at))
    return says


def operation(node, catalog):
    kind = node[0]
    if kind == "lookup":
        table, (key, span) = catalog["tables"][node[2]], meaning(node[3], catalog)
        return lambda customer, now, tags: look_up(table, key(customer, now, tags)), span
    a, span = meaning(node[2], catalog)
    if kind == "not":
        return lambda customer, now, tags: opposite(a(customer, now, tags)), span
    if kind in ("null", "notnull"):
        return lambda customer, now, tags: (a(customer, now, tags) is None) == (kind == "null"), span
    if kind == "in":
        items, spans = zip(*(meaning(item, catalog) for item in node[3]))
        return lambda customer, now, tags: among(a(customer, now, tags), [item(customer, now, tags) for item in items]), joined(span, *spans)
    b, other = meaning(node[3], catalog)
    span = joined(span, other)
    if kind in ("and", "or"):
        return logic(kind == "or", a, b), span
    if kind in COMPARE:
        op = COMPARE[kind]
        if any(n[0] == "p_alive" for side in node[2:] for n in walk(side, catalog)):
            return lambda customer, now, tags: compare(op, *told_apart(a(customer, now, tags), b(customer, now, tags))), span
        return lambda customer, now, tags: compare(op, a(customer, now, tags), b(customer, now, tags)), span
    return lambda customer, now, tags: arithmetic(kind, a(customer, now, tags), b(customer, now, tags)), span


def logic(decisive, a, b):
    """SQL's: true decides an or, false an and; else null is null."""
    def says(customer, now, tags):
        x = a(customer, now, tags)
        if x is decisive:
            return decisive
        y = b(customer, now, tags)
        return decisive if y is decisive else None if x is None or y is None else not decisive
    return says


class Close(Exception):
    """p_alive() and what it is compared with are alike in all digits that two programs can agree on: no pair to compare anything on."""


def told_apart(a, b):
    if a is not None and b is not None and math.isclose(a, b, rel_tol=1e-14):
        raise Close
    return a, b


def opposite(a):
    return None if a is None else not a


def among(a, items):
    each = [compare(operator.eq, a, item) for item in items]
    return True if True in each else None if None in each else False


def look_up(table, key):
    if key is None or key in table["values"]:
        return table["values"].get(key)
    return key if table.get("keep") else table.get("else")


def outcome(d, catalog):
    """What a dimension's rules say: a function of (customer, now, tags)."""
    rules = [(tag, *meaning(node, catalog)) for tag, _, node, _ in catalog["rules"][d]]
    def value(customer, now, tags):
        return tag_text(rules[0][1](customer, now, tags))
    def first_true(customer, now, tags):
        for tag, says, _ in rules:
            if says(customer, now, tags) is True:
                return tag
        return None
    return kept(value if "value" in catalog["all"][d] else first_true, joined(*(span for _, _, span in rules)))


class Chases(Exception):
    """Rules that look back at how dimensions stood, and so change them for ever: no pair to compare anything on."""


CHASE = 60  # such changes of a customer in a row, a millisecond apart; the engine gives up at 100
CHASES = 600  # in all, between two records


class Chase:
    def __init__(self):
        self.at, self.n, self.all = None, 0, 0

    def step(self, at):
        self.n = self.n + 1 if self.at is not None and at == self.at + 1 else 0
        self.at, self.all = at, self.all + 1
        if self.n > CHASE or self.all > CHASES:
            raise Chases


class Standing:
    """How a dimension stands: its tag, the one before and since when; and what a rule's outcome has to pass before it is the tag."""
    def copy(self):
        new = Standing.__new__(Standing)
        new.__dict__.update(self.__dict__)
        return new

    def __init__(self):
        self.tag = self.before = self.at = None
        self.word = None  # the person's word that the tag is
        self.rule = self.rule_at = None  # the outcome that for and min_dwell let stand
        self.wanted, self.wanted_at = (), None  # another one that waits; () nothing does
        self.approved = None
        self.open = None  # of a proposal: its tag, since when, its revision
        self.declined = ()  # an outcome that isn't proposed again; () none is

    def key(self):
        return (self.tag, self.word and id(self.word), self.rule, self.rule_at, self.wanted, self.wanted_at, self.approved, self.open, self.declined)


class Customer:
    def __init__(self, catalog):
        self.catalog, self.events, self.kept = catalog, [], {}  # kept: what is so until the next record
        self.standing = {d: Standing() for d in catalog["rules"]}
        self.past, self.words, self.goals, self.chase = self.standing, {}, {}, Chase()
        self.revision, self.ids, self.exists, self.updates = {"tag": 0, "alert": 0, "proposal": 0, "goal": 0, "churn": 0}, {}, False, []

    @property
    def tags(self):
        return {d: standing.tag for d, standing in self.standing.items()}

    def word(self, d, now):
        """What persons say the tag is, now: the latest word by time, then arrival; None: nothing."""
        word = sorted(self.words[d], key=lambda w: w["time"])[-1]
        return word if word["tag"] is not None and (word["until"] is None or now < word["until"]) else None

    def attribute(self, name):
        """The value of its latest update by time, then arrival."""
        updates = sorted((u for u in self.updates if name in u[1]), key=lambda u: u[0])
        return typed(updates[-1][1][name], self.catalog["attributes"][name]) if updates else None

    def local_day(self, ms):
        return datetime(1970, 1, 1) + timedelta(days=(ms + self.catalog["zone"]) // DAY)

    def calendar_date(self, node):
        """The date that days_until or years is of: an attribute, or the local day of the first event."""
        if node[3] is None:
            return self.attribute(node[2][5:])
        times = self.select(node[3])[1]
        return Date(self.local_day(times[0]).date().isoformat()) if times else None

    def field(self, event, name):
        return event["source"] if name == "source" else event["data"].get(name)

    def select(self, members):
        """The customer's events of E, in order of time, then arrival."""
        key = id(members)  # the parsed rule's own list
        if key not in self.kept:
            found = [e for e in self.events if any(
                e["type"] == t and all(compare(COMPARE[op], self.field(e, f), v) is True for f, op, v in terms)
                for t, terms in members)]
            found.sort(key=lambda e: e["time"])
            self.kept[key] = (found, [e["time"] for e in found])
        return self.kept[key]

    def window(self, members, window, now):
        events, times = self.select(members)
        if window is None:
            return events
        length, pane, offset = window
        shift = self.catalog["zone"] if pane == DAY else 0
        last = (now - offset + shift) // pane
        begin, end = (last - length // pane + 1) * pane - shift, (last + 1) * pane - shift
        return events[bisect_left(times, begin):bisect_left(times, end)]

    def purchases(self):
        """Repeat days; the first instant and the last."""
        if "purchases" not in self.kept:
            times = self.select(self.catalog["purchases"])[1]
            self.kept["purchases"] = len({(t + self.catalog["zone"]) // DAY for t in times}) - 1, times[0] if times else None, times[-1] if times else None
        return self.kept["purchases"]

    def p_alive(self, now):
        """BG/NBD (Fader, Hardie, Lee 2005) or MBG/NBD (Batislam and others 2007): the formula, in weeks."""
        churn = self.catalog["churn"]
        x, first, last = self.purchases()
        bg = churn["model"] == "bg-nbd"
        if x < 0 or (bg and x == 0):
            return None
        t_x, total = (last - first) / UNITS["w"], (now - first) / UNITS["w"]
        odds = churn["a"] / (churn["b"] + x - (1 if bg else 0))
        log_odds = math.log(odds) + (churn["r"] + x) * math.log((churn["alpha"] + total) / (churn["alpha"] + t_x))
        return 1 / (1 + math.exp(log_odds)) if log_odds < 700 else max(math.exp(-log_odds), sys.float_info.min)  # above 0, by definition

    def value(self, node, now, tags):
        return meaning(node, self.catalog)[0](self, now, tags)

    def look_back(self, node, now):
        past = self.past[node[2]]
        if node[0] == "held":
            return None if past.tag is None else limited(now - past.at)
        return past.tag if node[0] == "was" else past.before

    def anchor(self, node):
        """The instant that since or until is of."""
        kind, _, field, members, more = node
        events, times = self.select(members)
        if kind in ("since", "since_first"):
            return None if not times else times[-1] if kind == "since" else times[0]
        events = [e for e in events if e["data"].get(field) is not None]
        if kind == "until":
            return events[-1]["data"][field] if events else None
        met, before = more
        last = max(self.select(met)[1], default=None)
        return min((e["data"][field] for e in events if last is None or last <= e["time"] or last < e["data"][field] - before), default=None)

    def function(self, node, now):
        kind = node[0]
        if kind == "attr":
            return self.attribute(node[1][5:])
        if kind in CALENDAR:
            of, today = self.calendar_date(node), self.local_day(now)
            n = None if of is None else next_return(of, today) if kind == "days_until" else years_of(of, today)
            return None if n is None else whole(n)
        events = self.window(node[3], node[4], now)
        if kind == "count":
            return whole(len(events))
        if kind == "days":
            return whole(len({(e["time"] + self.catalog["zone"]) // DAY for e in events}))
        values = [v for v in (self.field(e, node[2]) for e in events) if v is not None]
        if kind == "sum":
            return Exact(sum(values))
        if kind == "distinct":
            return whole(len(set(values)))
        if not values:
            return None
        if kind == "avg":
            return sum(values) / whole(len(values))
        if kind == "top":
            return max(reversed(values), key=values.count)  # of equals the first met: the one seen last
        return {"min": min, "max": max, "first": lambda v: v[0], "latest": lambda v: v[-1]}[kind](values)

    def ripe(self, d, standing):
        """When what waits is let stand, if it stays the outcome."""
        spans, value = self.catalog["spans"][d], "value" in self.catalog["all"][d]
        name = lambda tag: "" if value and tag is not None else tag
        held = standing.wanted_at + spans[name(standing.wanted)][0]
        return held if standing.rule is None else max(held, standing.rule_at + spans[name(standing.rule)][1])

    def evaluate(self, now, of=None, decision=None):
        """How the dimensions stand after an evaluation at an instant, by definition from how they stood before; and what became of
        proposals, in catalog order. of: only a dimension and what it needs. decision: dimension -> approved or rejected."""
        self.past, changed, tags, news = self.standing, {}, {}, {}
        outcomes, reviewed = self.catalog["outcomes"], self.catalog["reviewed"]
        for d in self.catalog["parts"][of].order:
            old, tag, word = self.standing[d], outcomes[d](self, now, tags), self.word(d, now) if d in self.words else None
            said = word["tag"] if word else tag
            if said == old.tag and tag == old.rule and word is old.word and old.wanted == old.declined == () and not old.open:
                tags[d] = said  # nothing new is said and nothing waits: it stands as it stood
                continue
            new = changed[d] = old.copy()
            tag = self.hold_back(d, new, tag, now)
            if d in reviewed:
                news[d] = self.review(d, new, tag, now, word, (decision or {}).get(d))
                tag = new.approved
            new.word = word
            tags[d] = word["tag"] if word else tag
            if tags[d] != new.tag:
                new.before, new.tag, new.at = new.tag, tags[d], now
        after = {**self.standing, **changed} if changed else self.standing
        return after, [(d, *event) for d in self.catalog["rules"] for event in news.get(d, [])] if news else []

    def hold_back(self, d, new, tag, now):
        if tag == new.rule:
            new.wanted, new.wanted_at = (), None
            return new.rule
        if new.wanted == () or new.wanted != tag:
            new.wanted, new.wanted_at = tag, now
        if now >= self.ripe(d, new):
            new.rule, new.rule_at, new.wanted, new.wanted_at = tag, now, (), None
        return new.rule

    def review(self, d, new, tag, now, word, decision):
        news, expires = [], self.catalog["all"][d].get("expires")
        def close(status):
            news.append((status, new.open, new.approved if status != "approved" else old))
            new.open = None
        old = new.approved
        if new.open and decision:
            if decision == "approved":
                new.approved = new.open[0]
            else:
                new.declined = new.open[0]
            close(decision)
        elif new.open and expires and now >= new.open[1] + duration(expires):
            new.declined = new.open[0]
            close("expired")
        if new.open and (word or new.open[0] != tag):
            close("withdrawn")
        if new.declined != () and new.declined != tag:
            new.declined = ()
        if not new.open and not word and tag != new.approved and new.declined == ():
            new.open = (tag, now, None)
            news.append(("open", new.open, new.approved))
        return news

    def overdue(self, now):
        return bool(self.goals) and any(now >= started + duration(self.catalog["goals"][name]["within"]) for name, started in self.goals.items())

    def moved(self, after):
        return after is not self.standing and any(new is not self.standing[d] and new.key() != self.standing[d].key() for d, new in after.items())

    # ---- instants at which time alone may change something ----

    def boundaries(self, nodes, begin, end):
        """Starts and ends of panes with events, as windows see them, and of days, in (begin, end]."""
        found, zone = set(), self.catalog["zone"]
        for node in nodes:
            if node[0] not in CALENDAR:
                edges = self.pane_edges(node)
                found.update(edges[bisect_right(edges, begin):bisect_right(edges, end)])
            elif self.calendar_date(node) is not None:
                found.update(day * DAY - zone for day in range((begin + zone) // DAY + 1, (end + zone) // DAY + 1))
        return found

    def pane_edges(self, node):
        key = "edges", node[1]
        if key not in self.kept:
            length, pane, offset = node[4]
            shift = self.catalog["zone"] if pane == DAY else 0
            starts = {(t + shift) // pane * pane - shift + offset for t in self.select(node[3])[1]}
            self.kept[key] = sorted(starts | {start + length for start in starts})
        return self.kept[key]

    def instants(self, begin, end, of=None):
        part = self.catalog["parts"][of]
        found = self.boundaries(part.stepping, begin, end)
        self.past = self.standing
        for search, a, b, cut, stepping in part.moving:
            edges = [begin, *sorted(self.boundaries(stepping, begin, end)), end + 1]
            for x, y in zip(edges, edges[1:]):
                found |= {t for t in search(self, a, b, x, y - 1, cut) if begin < t <= end}
        for d in part.order:
            standing, expires = self.standing[d], self.catalog["all"][d].get("expires")
            own = {begin + 1} if standing.at == begin else set()
            if standing.wanted != ():
                own.add(self.ripe(d, standing))
            own |= {word["until"] for word in self.words.get(d, []) if word["until"] is not None}
            if standing.open and expires:
                own.add(standing.open[1] + duration(expires))
            found |= {t for t in own if begin < t <= end}
        for name, started in self.goals.items():
            deadline = started + duration(self.catalog["goals"][name]["within"])
            found |= {deadline} if begin < deadline <= end else set()
        return sorted(found)

    def alive_crossing(self, a, b, x, y, _):
        """p_alive() falls: the millisecond in which it passes the other side, by bisection."""
        def gap(t):
            left, right = a(self, t, {}), b(self, t, {})
            return None if left is None or right is None else float(left) - float(right)
        first = gap(x)
        if first is None or y <= x or (gap(y) > 0) == (first > 0) and (gap(y) >= 0) == (first >= 0):
            return set()
        while y - x > 1:
            middle = (x + y) // 2
            x, y = (middle, y) if ((gap(middle) > 0), (gap(middle) >= 0)) == ((first > 0), (first >= 0)) else (x, middle)
        return {y - 1, y, y + 1}

    def crossing(self, a, b, x, y, cut):
        """The milliseconds in (x, y] from which two expressions that are linear there compare otherwise than a millisecond before.
        cut: to whole milliseconds, by a factor or divisor."""
        if y <= x:
            return set()
        def gap(t):
            left, right = a(self, t, {}), b(self, t, {})
            return None if left is None or right is None or isinstance(left, (str, bool)) else float(left) - float(right)
        f = gap(x)
        g = None if f is None else gap(y)
        if g is None or min(f, g) > 3 or max(f, g) < -3:  # unknown, or apart by more than cutting may blur
            return set()
        found = {x + 1}
        if cut and abs(f) <= 2 and abs(g) <= 2 and isinstance(a(self, x, {}), Dur):
            found |= set(range(x, min(y, x + 5000) + 1))  # cutting may turn it anywhere between, with the ends alike
        if f != g:
            # cutting to whole milliseconds blurs each side by up to one (a number by less): look as far around as that reaches
            slope = abs(g - f) / (y - x)
            root, reach = x + (y - x) * (f / (f - g)), 1 if not cut else min(2000, math.ceil(3 / slope) + 3 if slope > 1e-5 else 5)
            if x - reach <= root <= y + reach:
                found |= {math.floor(root) + k for k in range(-reach, reach + 1)}
        found = {t for t in found if x < t <= y}
        order = {t: (gap(t) > 0, gap(t) < 0) for t in found | {t - 1 for t in found}}
        return {t for t in found if order[t] != order[t - 1]}


def show(value):
    if isinstance(value, Dur):
        return {"ms": int(value)}
    if isinstance(value, Time):
        return time_text(value)
    if isinstance(value, Exact):
        return value // 10000 if value % 10000 == 0 else float(value)
    return value


class Simulation:
    def __init__(self, catalog, horizon=400 * DAY, grid=False):
        self.catalog, self.horizon, self.grid = load(catalog), horizon, grid
        self.customers, self.clock, self.out = {}, None, []
        self.late = 0

    def values(self, customer, rule, now, tags):
        shown = {}
        def visit(node):
            if node[0] in FUNCTIONS or node[0] in ("metric", "dimension", "lookup"):
                shown.setdefault(node[1], show(customer.value(node, now, tags)))
                return
            for part in node[2:]:
                for child in part if isinstance(part, list) else [part]:
                    if isinstance(child, tuple):
                        visit(child)
        visit(rule)
        return shown

    def until(self, customer, dimension, now):
        """The first instant at which the tag changes if nothing more happens: time runs on a copy of how things stand."""
        tag, kept = customer.tags[dimension], customer.standing
        begin, end, chase = now, now + self.horizon, Chase()
        try:
            span = 2 * DAY if customer.catalog["stateful"] else self.horizon  # a stretch at a time: what changes it is looked for anew
            while begin < end:
                stretch = min(end, begin + span)
                moved = None
                for instant in customer.instants(begin, stretch, dimension):
                    after, _ = customer.evaluate(instant, dimension)
                    if after[dimension].tag != tag:
                        return time_text(instant), after[dimension].tag
                    if customer.catalog["stateful"] and customer.moved(after):
                        chase.step(instant)
                        customer.standing, moved = after, instant
                        break
                begin, span = (stretch, 2 * span) if moved is None else (moved, 2 * DAY)
            return None, None
        finally:
            customer.standing = customer.past = kept

    def settle(self, subject, now, cause, decision=None):
        customer = self.customers[subject]
        before = customer.standing
        if cause:
            customer.chase = Chase()
        after, news = customer.evaluate(now, decision=decision)
        customer.standing = after
        self.end_goals(subject, customer, now, cause)
        for name, goal in self.catalog.get("goals", {}).items():
            d, _, tag = self.catalog.get("aliases", {}).get(goal["start"], goal["start"]).rpartition(".")
            if name not in customer.goals and after[d].tag == tag != before[d].tag:
                customer.goals[name] = now
        for d in self.catalog["rules"]:
            for _, status, proposal, approved in [n for n in news if n[0] == d]:
                self.propose(subject, customer, d, status, proposal, approved, now, cause, decision, before)
            if after[d].tag != before[d].tag:
                self.change(subject, customer, d, before, now, cause, decision)

    def event(self, subject, customer, kind, type_of, now, cause, data):
        customer.revision[kind] += 1
        data["revision"] = customer.revision[kind]
        event = {"specversion": "1.0", "id": f"{kind}:{subject}:{customer.revision[kind]}", "source": "tagd/tagd", "type": type_of,
                 "subject": subject, "time": time_text(now), "recordedtime": time_text(now), "datacontenttype": "application/json",
                 "data": {**data, "catalog": f"{self.catalog['catalog']}@{self.catalog['version']}",
                          "tags": {x: customer.tags[x] for x in self.catalog["dimensions"] if customer.tags[x] is not None}, "caught_up": True}}
        if cause:
            event["causationid"] = f"{cause['source']}#{cause['id']}"
            self.late += cause["time"] < now
        self.out.append(event)

    def rule_of(self, d, tag):
        rules = self.catalog["rules"][d]
        return None if tag is None else next(i for i, r in enumerate(rules) if "value" in self.catalog["all"][d] or r[0] == tag)

    def because(self, customer, d, new, old, old_word, now, before):
        """The rule that won, and the one of the tag before if it stands before that and holds no longer."""
        rules, won, lost = self.catalog["rules"][d], self.rule_of(d, new), self.rule_of(d, old)
        customer.past = before
        def shown(i):
            return {"rule": rules[i][1], "values": self.values(customer, rules[i][2], now, customer.tags)}
        because = {**(shown(won) if won is not None else {"rule": None, "values": {}}), "failed": None}
        if lost is not None and not old_word and rules[lost][1] is not None and (won is None or lost < won):
            because["failed"] = shown(lost)
        customer.past = customer.standing
        return because

    def origin(self, d, cause, decision):
        if not cause:
            return "time"
        return "manual" if cause.get("word") == d else "review" if decision and d in decision else "event"

    def end_goals(self, subject, customer, now, cause):
        for name, goal in self.catalog.get("goals", {}).items():
            started = customer.goals.get(name)
            if started is None:
                continue
            deadline = started + duration(goal["within"])
            missed = now >= deadline
            reached = cause and "event" in cause and cause["time"] >= started and any(
                e is cause["event"] for e in customer.select(self.catalog["reach"][name])[0])
            if not (missed or reached):
                continue
            del customer.goals[name]
            d, _, tag = self.catalog.get("aliases", {}).get(goal["start"], goal["start"]).rpartition(".")
            self.event(subject, customer, "goal", "tagd.goal.missed" if missed else "tagd.goal.reached", now, None if missed else cause,
                       {"goal": name, "dimension": d, "tag": tag, "started": time_text(started), "deadline": time_text(deadline),
                        "holdout": holdout(name, goal, subject), "origin": "time" if missed else "event"})

    def started_goal(self, subject, customer, d, tag):
        """The goal that entering the tag started, or that runs since an earlier entry."""
        for name, goal in self.catalog.get("goals", {}).items():
            if self.catalog.get("aliases", {}).get(goal["start"], goal["start"]) == f"{d}.{tag}":
                return {"goal": {"name": name, "deadline": time_text(customer.goals[name] + duration(goal["within"])),
                                 "holdout": holdout(name, goal, subject)}}
        return {}

    def propose(self, subject, customer, d, status, proposal, approved, now, cause, decision, before):
        tag, at, revision = proposal
        data = {"dimension": d, "from": approved, "to": tag, "origin": self.origin(d, cause, decision)}
        if status == "open":
            customer.standing[d].open = (tag, at, customer.revision["proposal"] + 1)
            expires = self.catalog["all"][d].get("expires")
            data.update(because=self.because(customer, d, tag, approved, None, now, before), plan=self.plan(d, tag),
                        expires=time_text(at + duration(expires)) if expires else None)
            self.event(subject, customer, "proposal", "tagd.tag.proposed", now, cause, data)
        else:
            data.update(proposal=f"proposal:{subject}:{revision}", status=status, by=cause["by"] if data["origin"] == "review" else None)
            self.event(subject, customer, "proposal", "tagd.proposal.closed", now, cause, data)

    def plan(self, d, tag):
        won = self.rule_of(d, tag)
        return None if won is None else self.catalog["rules"][d][won][3]

    def change(self, subject, customer, d, before, now, cause, decision):
        new, old, word = customer.tags[d], before[d].tag, customer.standing[d].word
        origin = self.origin(d, cause, decision)
        if word:
            because = {"by": word["by"], "reason": word["reason"], "until": time_text(word["until"]) if word["until"] is not None else None}
        else:
            because = self.because(customer, d, new, old, before[d].word, now, before)
            if origin == "review":
                because.update(by=cause["by"], proposal=cause["proposal"])
        until, then = self.until(customer, d, now)
        data = {"origin": origin, "because": because, "valid_until": until, "plan": self.plan(d, new)}
        if "alert" in self.catalog["all"][d]:
            self.event(subject, customer, "alert", "tagd.alert.raised" if new else "tagd.alert.cleared", now, cause,
                       dict(data, alert=self.catalog["all"][d]["alert"]))
        else:
            churn = {} if d != "churn.level" else self.churn(customer, now, before)
            self.event(subject, customer, "churn" if churn else "tag", "tagd.churn.changed" if churn else "tagd.tag.changed", now, cause, {
                **churn, **data, "dimension": d, "from": old, "to": new, "then": then, **self.started_goal(subject, customer, d, new)})

    def churn(self, customer, now, before):
        """What a change of churn.level has besides."""
        if "churn" not in self.catalog:
            return {"p_alive": None, "drivers": [], "last_activity": None}
        customer.past = before
        drivers = [{"name": name, "value": show(customer.value(value, now, customer.tags)), "usual": show(customer.value(usual, now, customer.tags))}
                   for name, value, usual in self.catalog["drivers"]]
        customer.past = customer.standing
        times = customer.select(self.catalog["activity"])[1]
        return {"p_alive": customer.p_alive(now), "drivers": drivers, "last_activity": time_text(times[-1]) if times else None}

    def run_time(self, begin, end):
        """Every instant in (begin, end], customer by customer."""
        for subject, customer in self.customers.items():
            start = begin
            while start is not None:
                start, instants = None, range(start + 1, end + 1) if self.grid else customer.instants(start, end)
                for instant in instants:
                    if customer.moved(customer.evaluate(instant)[0]) or customer.overdue(instant):
                        customer.chase.step(instant)
                        self.settle(subject, instant, None)
                        if self.catalog["stateful"] and not self.grid:
                            start = instant  # what comes next depends on how it stands now
                            break

    def say(self, record, clock):
        """tag.assigned, tag.cleared, tag.reviewed."""
        now, data, subject, kind = time_ms(record["time"]), record["data"], record["subject"], record["type"]
        customer = self.customers.setdefault(subject, Customer(self.catalog))
        cause = {"source": record["source"], "id": record["id"], "time": now, "by": data["by"]}
        decision = None
        if kind == "tag.reviewed":
            d = next((d for d, s in customer.standing.items() if s.open and f"proposal:{subject}:{s.open[2]}" == data["proposal"]), None)
            decision, cause["proposal"] = {d: data["decision"]} if d else None, data["proposal"]
        else:
            old = f"{data['dimension']}.{data.get('tag')}"
            name, _, tag = self.catalog.get("aliases", {}).get(old, old).rpartition(".")
            d = cause["word"] = Parser("", self.catalog).dimension(name)
            until = data.get("until")
            customer.words.setdefault(d, []).append({"time": now, "tag": tag if kind == "tag.assigned" else None, "by": data["by"],
                                                     "reason": data.get("reason"), "until": time_ms(until) if until else None})
        self.settle(subject, clock, cause, decision)

    def take(self, record):
        now = time_ms(record["time"])
        clock = now if self.clock is None else max(self.clock, now)
        if self.clock is not None:
            self.run_time(self.clock, clock)
        self.clock = clock
        if record["type"] == "profile.updated":
            customer = self.customers.setdefault(record["subject"], Customer(self.catalog))
            known = {k: v for k, v in record["data"]["attributes"].items() if k in self.catalog["attributes"]}
            customer.updates.append((now, known))
            customer.kept = {}
            self.settle(record["subject"], clock, {"source": record["source"], "id": record["id"], "time": now})
            return
        if record["type"] in ("tag.assigned", "tag.cleared", "tag.reviewed"):
            self.say(record, clock)
            return
        if record["type"] not in self.catalog["types"]:
            return
        fields, dedupe = self.catalog["types"][record["type"]]
        customer = self.customers.setdefault(record["subject"], Customer(self.catalog))
        key = (record["source"], record["id"])
        if dedupe and key in customer.ids and clock <= customer.ids[key]:
            return
        if dedupe:
            customer.ids[key] = now + dedupe
        data = {}
        for name, kind in fields.items():
            data[name] = typed(record.get("data", {}).get(name), kind)
        customer.events.append({"type": record["type"], "time": now, "source": record["source"], "id": record["id"], "data": data})
        customer.kept = {}
        event = customer.events[-1]
        self.settle(record["subject"], clock, {"event": event, "time": now, "source": event["source"], "id": event["id"]})

    def finish(self, until):
        if self.clock is not None and until is not None and until > self.clock:
            self.run_time(self.clock, until)


def simulate(catalog, records, until=None, grid=False):
    simulation = Simulation(catalog, grid=grid)
    for record in records:
        simulation.take(record)
    simulation.finish(until)
    return simulation


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--catalog", required=True)
    parser.add_argument("--until")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("events")
    args = parser.parse_args()
    catalog = json.load(open(args.catalog))
    records = [json.loads(line) for line in open(args.events) if line.strip()]
    for event in simulate(catalog, records, time_ms(args.until) if args.until else None, args.grid).out:
        sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
