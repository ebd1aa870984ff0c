"""A catalog turned by one unit, in one place: a threshold, a window, a comparison, a time, a group. And whether a timeline notices.

usage: turned.py [CATALOG...]    tells what no timeline notices"""
import copy
import json
import os
import re
import sys
import tempfile

from timeline import CATALOGS, UNITS, duration, read_catalog, read_table, simulate, time_ms, told

# The step of a constant is its last unit, a cent or a millisecond or one; of these it is what one event more or less makes.
STEPS = {
    "retail": {"profit_high": 0.000005, "profit_mid": 0.00005, "conversion_high": 0.034, "conversion_mid": 0.0024, "coupon_share": 0.1, "launch_share": 0.17, "quality_share": 0.17},
    "rfm": {"online_share": 0.17},
    "accounts": {"trend_band": 0.1},
    "loyalty": {"order_band": 0.0001, "coupon_share": 0.1},
}
MONEY = {"value_high", "value_mid", "money_high", "money_mid", "month_high", "month_mid", "large_order", "large_revenue", "mid_revenue", "much_revenue", "loyal_spend", "potential_spend"}
# Turns that change no tag, and why.
SAME = {
    "rfm": [(r"interaction ", "it stands in what a change of churn.level tells, and in no rule")],
    "loyalty": [(r"(anniversary_after: |moment.now.anniversary: .*since_first\(order.paid\) > anniversary_after)", "no anniversary is near 300 days after the first order"),
                (r"moment.now.first-order: .*since_contact >= since_first\(order.paid\)", "only for a contact in the very millisecond of the first order")],
}
PANES = [("1d", "1m"), ("32d", "1h"), ("100000d", "1d")]  # a window below it has such panes
COMPARED = {">=": ">", ">": ">=", "<=": "<", "<": "<="}


def text_of(ms):
    """The duration as a catalog writes it: one whole number and a unit."""
    unit = next(u for u in ("d", "h", "m", "s", "ms") if ms % UNITS[u] == 0)
    return f"{ms // UNITS[unit]}{unit}"


def number_of(value):
    return f"{value:.7f}".rstrip("0").rstrip(".")


def constants(catalog, metrics):
    """(metric, its value a step up or down)"""
    for name, text in metrics.items():
        if re.fullmatch(r"\d+[a-z]+", text):
            yield from ((name, text_of(duration(text) + step)) for step in (1, -1))
        elif re.fullmatch(r"[\d.]+", text):
            step = STEPS[catalog].get(name, 0.01 if name in MONEY else 1)
            yield from ((name, number_of(float(text) + s)) for s in (step, -step))


def windows(text):
    """The expression with one of its windows a pane longer or shorter."""
    for found in re.finditer(r"\[(\d+[a-z]+)\]( offset)?", text):
        length = duration(found[1])
        pane = next(duration(pane) for below, pane in PANES if length < duration(below))
        for step in (pane, -pane):
            yield text[:found.start(1)] + text_of(length + step) + text[found.end(1):]


def comparisons(text):
    """The expression with one of its comparisons holding at its limit, or not any more. Where a hair or half a cent is allowed for, the limit is never met."""
    for found in re.finditer(r"(?<![<>=!])(>=|<=|>|<)(?!=)", text):
        if not re.search(r"\b(half_a_cent|hair)\b", re.split(" and | or ", text[found.end():])[0]):
            yield text[:found.start()] + COMPARED[found[0]] + text[found.end():]


def numbers(text):
    """The expression with a number or a duration that it compares with a unit more or less."""
    for found in re.finditer(r"[<>=] (\d+)(ms|s|m|h|d|w)?(?![\w.])", text):
        value = text[found.start(1):found.end()]
        for step in (1, -1):
            if not found[2]:
                yield text[:found.start(1)] + str(int(value) + step) + text[found.end():]
            elif duration(value) + step >= 0:
                yield text[:found.start(1)] + text_of(duration(value) + step) + text[found.end():]


def expressions(document):
    """(where, the node and key that hold it)"""
    for name in document["metrics"]:
        yield name, document["metrics"], name
    for name, dimension in document["dimensions"].items():
        if "value" in dimension:
            yield name, dimension, "value"
        yield from ((f"{name}.{tag['tag']}", tag, "when") for tag in dimension.get("tags", []) if "when" in tag)
    yield from ((f"alert.{name}", alert, "when") for name, alert in document.get("alerts", {}).items())


def times(document):
    """(where, the node and key) of each duration that stands by itself."""
    for name, dimension in document["dimensions"].items():
        for where, node in [(name, dimension), *((f"{name}.{tag['tag']}", tag) for tag in dimension.get("tags", []))]:
            yield from ((where, node, key) for key in ("for", "min_dwell", "expires") if key in node)
    yield from ((f"goal.{name}", goal, "within") for name, goal in document.get("goals", {}).items())
    yield from ((f"churn.level.{name}", level, "silence") for name, level in document["churn"]["levels"].items() if "silence" in level)


def smaller(groups):
    """(what, a group, its members without one, or one of them without its filter)"""
    for name, members in groups.items():
        for i, member in enumerate(members):
            yield f"{name} without {member}", name, members[:i] + members[i + 1:]
            plain = member.split("{")[0]
            if plain != member and plain not in members:
                yield f"{name} with every {plain}", name, [*members[:i], plain, *members[i + 1:]]


def turned(catalog):
    """(what was turned, the catalog so)"""
    document = read_catalog(catalog)

    def made(node, key, value):
        before, node[key] = node[key], value
        try:
            return copy.deepcopy(document)
        finally:
            node[key] = before
    for name, value in constants(catalog, document["metrics"]):
        yield f"{name}: {value}", made(document["metrics"], name, value)
    for where, node, key in expressions(document):
        for text in (*windows(node[key]), *comparisons(node[key]), *numbers(node[key])):
            yield f"{where}: {text}", made(node, key, text)
    for where, node, key in times(document):
        for step in (1, -1):
            value = text_of(duration(node[key]) + step)
            yield f"{where} {key}: {value}", made(node, key, value)
    for what, name, members in smaller(document["groups"]):
        yield what, made(document["groups"], name, members)
    for name, level in document["churn"]["levels"].items():
        for step in (0.0001, -0.0001) if "below" in level else ():
            yield f"churn.level.{name} below: {level['below'] + step:.4f}", made(level, "below", round(level["below"] + step, 4))


class Timelines:
    """All of a catalog's, each as a customer of its own, so that one simulation is enough."""

    def __init__(self, catalog, only=None):
        rows = [row for row in read_table(catalog) if only in (None, row.dimension)]
        self.of = {f"T{i}": t for i, t in enumerate(t for row in rows for t in row.timelines)}
        events = [json.loads(json.dumps({**e, "subject": c}).replace("proposal:C1:", f"proposal:{c}:")) for c, t in self.of.items() for line in t.lines for e in line.events]
        self.events = sorted(events, key=lambda e: time_ms(e["time"]))
        self.until = max(t.lines[-1].at for t in self.of.values())

    def seen(self, path):
        """customer -> what came out."""
        out = {c: [] for c in self.of}
        for event in simulate(path, self.events, self.until):
            out[event["subject"]].append(event)
        return out

    def failed(self, path):
        """The first place where it isn't as written."""
        seen = self.seen(path)
        for customer, timeline in self.of.items():
            state, out = {}, iter(seen[customer])
            event = next(out, None)
            for line in timeline.lines:
                while event and time_ms(event["time"]) <= line.at:
                    state.update(told(event))
                    event = next(out, None)
                for name, wanted in line.wanted.items():
                    if (state.get(name) or "-") != wanted:
                        return line.place
        return None


def unnoticed(catalog, only=None):
    """What may be turned without any timeline's failing, or any of the only row's; how many were tried."""
    timelines, found, tried = Timelines(catalog, only), [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "turned.json")
        for what, document in [("nothing", read_catalog(catalog)), *turned(catalog)]:
            with open(path, "w") as file:
                json.dump(document, file)
            place = timelines.failed(path)
            if what == "nothing":
                assert place is None, place
            elif place is None and not any(re.match(pattern, what) for pattern, _ in SAME.get(catalog, [])):
                found.append(what)
            tried += what != "nothing"
    return found, tried


if __name__ == "__main__":
    for each in sys.argv[1:] or CATALOGS:
        found, tried = unnoticed(each)
        print(f"{each}: {len(found)} of {tried} unnoticed", *found, sep="\n  ")
