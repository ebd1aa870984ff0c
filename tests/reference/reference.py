#!/usr/bin/env python3
"""The reference evaluator: slow and obvious, written from the contract alone. It keeps every raw event and computes each tag
by definition at any instant. It shares no code, no state layout and no list of instants with the engine.

usage: reference.py --catalog F [--until TIME] [--grid] EVENTS.jsonl

--grid looks at every millisecond up to the last event instead of at a list of candidate instants (for histories of seconds)."""
import argparse
import json
import math
import operator
import re
import sys
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000}
DAY = UNITS["d"]
DURATION_MAX = 2**53


class Dur(int):
    """A duration in ms, so that it is told apart from a number."""


class Time(int):
    """An instant in ms."""


class Date(str):
    """A date as YYYY-MM-DD, whatever form it came in."""


DATE_FORMS = [re.compile(form, re.A) for form in (r"(\d{4})-(\d{1,2})-(\d{1,2})", r"(\d{4})/(\d{1,2})/(\d{1,2})", r"(\d{4})\.(\d{1,2})\.(\d{1,2})",
                                                 r"(\d{4})(\d{2})(\d{2})", r"(\d{4})年(\d{1,2})月(\d{1,2})日")]


def date(text):
    year, month, day = next(m.groups() for m in (form.fullmatch(text) for form in DATE_FORMS) if m)
    return Date(datetime(int(year), int(month), int(day)).date().isoformat())


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


def duration(text):
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d|w)", text)
    return int(match[1]) * UNITS[match[2]]


def decimal_field(value):
    """4 places, half away from zero, by the number's decimal text of 15 digits."""
    exact = Decimal("%.15g" % float(value))
    return Fraction(exact.quantize(Decimal("0.0001"), ROUND_HALF_UP))


def typed(value, kind):
    """A JSON value as the declared type has it."""
    if value is None:
        return None
    return decimal_field(value) if kind == "decimal" else Time(time_ms(value)) if kind == "time" else date(value) if kind == "date" else value


def tag_text(value):
    """A value as a tag."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        text = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
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
FUNCTIONS = WINDOWED + ("since", "since_first", "until", "first", "latest", "days_until", "years", "attr")
CALENDAR = ("days_until", "years")
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
            return (op, "", a, self.sum())
        if self.take("in"):
            self.need("(")
            items = [self.sum()]
            while self.take(","):
                items.append(self.sum())
            self.need(")")
            return ("in", "", a, items)
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
            return exact if (exact * 10000).denominator == 1 and abs(exact) <= 10**11 and "e" not in text.lower() else float(text)
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
            return ("attr" if text.startswith("attr.") else "metric" if text in self.catalog["metrics"] else "dimension", text)
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
        if text in ("sum", "avg", "min", "max", "distinct", "top", "first", "latest", "until"):
            field = self.take(self.peek())
            self.need(",")
        events = self.events()
        window = self.range() if text in WINDOWED else None
        self.need(")")
        return (text, self.text[start:self.tokens[self.i - 1][3]], field, events, window)

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


def load(catalog):
    catalog = dict(catalog)
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
    catalog["rules"] = {name: [("", d["value"], Parser(d["value"], catalog).expression(), None)] if "value" in d else
                        [(t["tag"], t["when"], Parser(t["when"], catalog).expression(), t.get("plan")) for t in d["tags"]]
                        for name, d in catalog["dimensions"].items()}
    catalog.setdefault("attributes", {})
    needs = {name: {x for _, _, node, _ in rules for x in dimensions_in(node, catalog)} for name, rules in catalog["rules"].items()}
    order = []
    while len(order) < len(needs):
        order.append(next(d for d in needs if d not in order and needs[d] <= set(order)))
    catalog["order"], catalog["needs"] = order, needs
    for d in order:
        for other in list(needs[d]):
            needs[d] |= needs[other]
    return catalog


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
    return {n[1] for n in walk(node, catalog) if n[0] == "dimension"}


# ---- values ----

COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compare(op, a, b):
    if a is None or b is None:
        return None
    if isinstance(a, float) or isinstance(b, float):
        a, b = float(a), float(b)
    if isinstance(a, Time) != isinstance(b, Time):  # a string beside a time is one
        a, b = (x if isinstance(x, Time) else Time(time_ms(x)) for x in (a, b))
    if isinstance(a, Date) != isinstance(b, Date):  # and so beside a date
        a, b = (x if isinstance(x, Date) else date(x) for x in (a, b))
    if isinstance(a, str):
        a, b = a.encode(), b.encode()
    return COMPARE[op](a, b)


def limited(ms):
    return Dur(ms) if abs(ms) <= DURATION_MAX else None


def arithmetic(op, a, b):
    if a is None or b is None:
        return None
    da, db = isinstance(a, Dur), isinstance(b, Dur)
    if da and db and op in "+-":
        return limited(int(a) + int(b) if op == "+" else int(a) - int(b))
    x, y = float(a), float(b)
    if op == "/" and y == 0:
        return None
    result = x + y if op == "+" else x - y if op == "-" else x * y if op == "*" else x / y
    if math.isinf(result) or math.isnan(result):
        return None
    if (op == "*" and (da or db)) or (op == "/" and da and not db):
        return limited(math.trunc(result))
    return result


class Customer:
    def __init__(self, catalog):
        self.catalog, self.events, self.chosen = catalog, [], {}
        self.tags = {d: None for d in catalog["rules"]}
        self.revision, self.ids, self.exists, self.updates = 0, {}, False, []

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
        """The customer's events of E, in order of time, then arrival: by definition, kept until the next event."""
        key = id(members)  # the parsed rule's own list
        if key not in self.chosen:
            found = [e for e in self.events if any(
                e["type"] == t and all(compare(op, self.field(e, f), v) is True for f, op, v in terms)
                for t, terms in members)]
            found.sort(key=lambda e: e["time"])
            self.chosen[key] = (found, [e["time"] for e in found])
        return self.chosen[key]

    def window(self, members, window, now):
        events, times = self.select(members)
        if window is None:
            return events
        length, pane, offset = window
        shift = self.catalog["zone"] if pane == DAY else 0
        last = (now - offset + shift) // pane
        begin, end = (last - length // pane + 1) * pane - shift, (last + 1) * pane - shift
        return events[bisect_left(times, begin):bisect_left(times, end)]

    def value(self, node, now, tags):
        kind = node[0]
        if kind in COMPARE:
            return compare(kind, self.value(node[2], now, tags), self.value(node[3], now, tags))
        if kind == "literal":
            return node[2]
        if kind == "metric":
            return self.value(self.catalog["metric_nodes"][node[1]], now, tags)
        if kind == "dimension":
            return tags[node[1]]
        if kind == "attr":
            return self.attribute(node[1][5:])
        if kind in CALENDAR:
            of, today = self.calendar_date(node), self.local_day(now)
            n = None if of is None else next_return(of, today) if kind == "days_until" else years_of(of, today)
            return None if n is None else Fraction(n)
        if kind == "lookup":
            table, key = self.catalog["tables"][node[2]], self.value(node[3], now, tags)
            if key is None or key in table["values"]:
                return table["values"].get(key)
            return key if table.get("keep") else table.get("else")
        if kind == "count":
            return Fraction(len(self.window(node[3], node[4], now)))
        if kind == "days":
            return Fraction(len({(e["time"] + self.catalog["zone"]) // DAY for e in self.window(node[3], node[4], now)}))
        if kind in WINDOWED:
            values = [v for v in (self.field(e, node[2]) for e in self.window(node[3], node[4], now)) if v is not None]
            if kind == "sum":
                return sum(values, Fraction(0))
            if kind == "distinct":
                return Fraction(len(set(values)))
            if not values:
                return None
            if kind == "avg":
                return float(sum(values) / len(values))
            if kind == "top":
                return max(reversed(values), key=values.count)  # of equals the first met: the one seen last
            return min(values) if kind == "min" else max(values)
        if kind in ("since", "since_first"):
            times = self.select(node[3])[1]
            return limited(now - (times[-1] if kind == "since" else times[0])) if times else None
        if kind in ("first", "latest", "until"):
            values = [v for v in (self.field(e, node[2]) for e in self.select(node[3])[0]) if v is not None]
            value = None if not values else values[0] if kind == "first" else values[-1]
            return value if kind != "until" or value is None else limited(value - now)
        if kind in ("and", "or"):
            a, b = self.value(node[2], now, tags), self.value(node[3], now, tags)
            decisive = kind == "or"
            return decisive if a is decisive or b is decisive else None if a is None or b is None else not decisive
        if kind == "not":
            a = self.value(node[2], now, tags)
            return None if a is None else not a
        if kind in ("null", "notnull"):
            return (self.value(node[2], now, tags) is None) == (kind == "null")
        if kind == "in":
            a = self.value(node[2], now, tags)
            each = [compare("==", a, self.value(item, now, tags)) for item in node[3]]
            return True if True in each else None if None in each else False
        return arithmetic(kind, self.value(node[2], now, tags), self.value(node[3], now, tags))

    def evaluate(self, now, only=None):
        tags = {}
        for d in self.catalog["order"]:
            if only is not None and d not in only:
                continue
            if "value" in self.catalog["dimensions"][d]:
                tags[d] = tag_text(self.value(self.catalog["rules"][d][0][2], now, tags))
            else:
                tags[d] = next((tag for tag, _, node, _ in self.catalog["rules"][d] if self.value(node, now, tags) is True), None)
        return tags

    # ---- instants at which time alone may change something ----

    def boundaries(self, nodes, begin, end):
        """Starts and ends of panes with events, as windows see them, in (begin, end]."""
        found = set()
        for node in nodes:
            if node[0] in CALENDAR and self.calendar_date(node) is not None:
                zone = self.catalog["zone"]
                found |= {day * DAY - zone for day in range((begin + zone) // DAY + 1, (end + zone) // DAY + 1)}
            if node[0] in WINDOWED and node[4]:
                length, pane, offset = node[4]
                shift = self.catalog["zone"] if pane == DAY else 0
                for t in self.select(node[3])[1]:
                    start = (t + shift) // pane * pane - shift + offset
                    for instant in (start, start + length):
                        if begin < instant <= end:
                            found.add(instant)
        return found

    def instants(self, begin, end, only=None):
        nodes = [n for d in (only or self.catalog["rules"]) for _, _, rule, _ in self.catalog["rules"][d]
                 for n in walk(rule, self.catalog)]
        found = self.boundaries(nodes, begin, end)
        varying = [n for n in nodes if n[0] in ("==", "!=", "<", "<=", ">", ">=", "in") and any(
            m[0] in ("since", "since_first", "until") for m in walk(n, self.catalog)) and not any(
            m[0] in ("and", "or", "not", "null", "notnull", "dimension") for m in walk(n, self.catalog))]
        edges = [begin] + sorted(found) + [end + 1]
        for node in varying:
            for b in node[3] if node[0] == "in" else [node[3]]:
                for x, y in zip(edges, edges[1:]):
                    found |= {t for t in self.crossing(node[2], b, x, y - 1) if begin < t <= end}
        return sorted(found)

    def crossing(self, a, b, x, y):
        """Whole milliseconds around where two expressions that are linear in [x, y] meet."""
        if y <= x:
            return {x, y}
        def gap(t):
            left, right = self.value(a, t, {}), self.value(b, t, {})
            return None if left is None or right is None or isinstance(left, (str, bool)) else float(left) - float(right)
        f, g = gap(x), gap(y)
        if f is None or g is None:
            return set()
        found = {x, x + 1}
        if abs(f) <= 2 and abs(g) <= 2 and isinstance(self.value(a, x, {}), Dur):
            found |= set(range(x, min(y, x + 5000) + 1))  # cutting may turn it anywhere between, with the ends alike
        if f != g:
            # cutting to whole milliseconds blurs each side by up to one (a number by less): look as far around as that reaches
            slope = abs(g - f) / (y - x)
            root, reach = x + (y - x) * (f / (f - g)), min(2000, math.ceil(3 / slope) + 3 if slope > 1e-5 else 5)
            if x - reach <= root <= y + reach:
                found |= {math.floor(root) + k for k in range(-reach, reach + 1)}
        return found


def show(value):
    if isinstance(value, Dur):
        return {"ms": int(value)}
    if isinstance(value, Time):
        return time_text(value)
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
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
        only = customer.catalog["needs"][dimension] | {dimension}
        tag = customer.tags[dimension]
        for instant in customer.instants(now, now + self.horizon, only):
            then = customer.evaluate(instant, only)[dimension]
            if then != tag:
                return time_text(instant), then
        return None, None

    def settle(self, subject, now, cause):
        customer = self.customers[subject]
        tags, before = customer.evaluate(now), customer.tags
        customer.tags = tags
        for d in self.catalog["rules"]:
            if tags[d] != before[d]:
                self.change(subject, customer, d, before[d], now, cause)

    def change(self, subject, customer, d, old, now, cause):
        rules = self.catalog["rules"][d]
        names = [tag for tag, _, _, _ in rules]
        rank = (lambda tag: 0) if "value" in self.catalog["dimensions"][d] else names.index
        new, customer.revision = customer.tags[d], customer.revision + 1
        won = rules[rank(new)] if new is not None else None
        failed = None
        if old is not None and (won is None or rank(old) < rank(new)):
            lost = rules[rank(old)]
            failed = {"rule": lost[1], "values": self.values(customer, lost[2], now, customer.tags)}
        until, then = self.until(customer, d, now)
        event = {"specversion": "1.0", "id": f"tag:{subject}:{customer.revision}", "source": "tagd/tagd", "type": "tagd.tag.changed",
                 "subject": subject, "time": time_text(now), "recordedtime": time_text(now), "datacontenttype": "application/json",
                 "data": {"dimension": d, "from": old, "to": new, "revision": customer.revision,
                          "catalog": f"{self.catalog['catalog']}@{self.catalog['version']}", "origin": "event" if cause else "time",
                          "because": {"rule": won[1] if won else None,
                                      "values": self.values(customer, won[2], now, customer.tags) if won else {}, "failed": failed},
                          "valid_until": until, "then": then,
                          "tags": {x: customer.tags[x] for x in self.catalog["rules"] if customer.tags[x] is not None},
                          "plan": won[3] if won else None, "caught_up": True}}
        if cause:
            event["causationid"] = f"{cause['source']}#{cause['id']}"
            self.late += cause["time"] < now
        self.out.append(event)

    def run_time(self, begin, end):
        """Every instant in (begin, end], customer by customer."""
        for subject, customer in self.customers.items():
            for instant in range(begin + 1, end + 1) if self.grid else customer.instants(begin, end):
                if customer.evaluate(instant) != customer.tags:
                    self.settle(subject, instant, None)

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
            self.settle(record["subject"], clock, {"source": record["source"], "id": record["id"], "time": now})
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
        customer.chosen = {}
        self.settle(record["subject"], clock, customer.events[-1])

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
