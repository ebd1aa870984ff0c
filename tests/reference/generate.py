"""Random pairs: a catalog and its events, by seed. Half are histories of seconds for the millisecond grid, half of days."""
import random

HOUR, DAY = 3600000, 86400000
START = 1700000000000


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.grid = seed % 2 == 1
        self.used = {}
        self.durations = []  # of since() literals, so that events can fall on their crossings
        self.panes = [100] if self.grid else [HOUR]

    def use(self, *names):
        for name in names:
            self.used[name] = self.used.get(name, 0) + 1

    def chance(self, p):
        return self.r.random() < p

    # ---- catalog ----

    def text_of(self, ms):
        for unit, size in (("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", 60000), ("s", 1000)):
            if ms and ms % size == 0 and self.chance(0.9):
                return f"{ms // size}{unit}"
        return f"{ms}ms"

    def span(self):
        ms = self.r.choice([100, 200, 300, 500, 700, 1000, 1500, 2000]) if self.grid else \
            self.r.choice([90000, 15 * 60000, 2 * HOUR, 12 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY])
        self.durations.append(ms)
        return ms

    def filter(self, e):
        terms = []
        for _ in range(self.r.choice([1, 1, 2])):
            kind = self.r.choice(["amount", "category", "coupon", "source"] if e in ("order.paid", "buying") else ["source", "direction"] if e == "chat" else ["source"])
            if kind == "amount":
                terms.append(f"amount{self.r.choice(['>=', '>', '<', '<=', '=', '!='])}{self.r.choice(['0', '10', '-5', '20.5', '100.1234'])}")
            elif kind == "category":
                op = self.r.choice(["=", "==", "!=", "<", ">="])
                terms.append("category" + op + self.r.choice(['"beauty"', "'food'"]))
            elif kind == "coupon":
                terms.append(f"coupon{self.r.choice(['=', '!='])}{self.r.choice(['true', 'false'])}")
            elif kind == "direction":
                terms.append('direction="inbound"')
            else:
                terms.append(f'source{self.r.choice(["=", "!="])}"{self.r.choice(["web", "store"])}"')
            self.use("filter " + kind)
        return "{" + ",".join(terms) + "}"

    def events(self, money=False):
        e = self.r.choice(["order.paid", "buying"] if money else ["order.paid", "login", "chat", "buying", "any"])
        self.use("group" if e in ("buying", "any") else "event type")
        return e + (self.filter(e) if self.chance(0.3) else "")

    def window(self):
        if self.chance(0.15):
            self.use("all time")
            return ""
        if self.grid:
            pane = self.r.choice([100, 200, 250, 500, 1000])
            panes, text = self.r.randint(1, 8), True
        else:
            pane = self.r.choice([1000, 60000, 15 * 60000, HOUR, 6 * HOUR, DAY])
            panes, text = self.r.choice([1, 2, 7, 24, 30]), self.chance(0.6)
            if not text:
                length = self.r.choice([90000, 50 * 60000, 5 * HOUR, DAY, 7 * DAY, 31 * DAY, 60 * DAY])
                pane = 1000 if length < HOUR else 60000 if length < DAY else HOUR if length <= 31 * DAY else DAY
                panes = length // pane
        self.panes.append(pane)
        out = f"[{self.text_of(pane * panes)}" + (f":{self.text_of(pane)}" if text else "") + "]"
        self.use("pane given" if text else "default pane", "day pane" if pane == DAY else "pane")
        if self.chance(0.25):
            self.use("offset")
            out += f" offset {self.text_of(pane * self.r.randint(1, 5))}"
        return out

    def number(self, depth=0):
        kind = self.r.choice(["count", "count", "sum", "sum", "avg", "latest", "arith", "ratio"])
        if kind == "count":
            self.use("count")
            return f"count({self.events()}{self.window()})"
        if kind in ("sum", "avg"):
            self.use(kind)
            return f"{kind}(amount, {self.events(True)}{self.window()})"
        if kind == "latest":
            self.use("latest decimal")
            return f"latest(amount, {self.events(True)})"
        if depth > 1:
            return str(self.r.choice([0, 1, 2, 2.5]))
        if kind == "ratio":
            self.use("duration / duration")
            return f"{self.since()} / {self.text_of(self.span())}"
        op = self.r.choice(["+", "-", "*", "/"])
        self.use("number " + op)
        return f"({self.constant_number(depth + 1)} {op} {self.constant_number(depth + 1)})"

    def constant_number(self, depth):
        while True:
            text = self.number(depth)
            if "since" not in text:
                return text

    def since(self):
        kind = self.r.choice(["since", "since", "since_first"])
        self.use(kind)
        return f"{kind}({self.events()})"

    def duration(self):
        kind = self.r.random()
        if kind < 0.6:
            return self.since()
        if kind < 0.75:
            self.use("duration * number")
            return f"{self.since()} * {self.r.choice(['0.5', '2', '1.5', '0.3'])}"
        if kind < 0.85:
            self.use("duration / number")
            return f"{self.since()} / {self.r.choice(['2', '3', '0.7'])}"
        self.use("duration + duration")
        return f"{self.since()} {self.r.choice(['+', '-'])} {self.text_of(self.span())}"

    def comparison(self):
        op = self.r.choice([">=", ">", "<", "<=", "==", "!="])
        kind = self.r.random()
        self.use(op)
        if kind < 0.35:
            return f"{self.number()} {op} {self.r.choice([0, 1, 2, 3, 5, 10, '20.5', '-3', '0.33333'])}"
        if kind < 0.65:
            return f"{self.duration()} {op} {self.text_of(self.span())}"
        if kind < 0.72:
            self.use("flipped")
            return f"{self.text_of(self.span())} {op} {self.since()}"
        if kind < 0.78:
            self.use("duration vs duration")
            return f"{self.duration()} {op} {self.since()} * 0.25"
        if kind < 0.84:
            self.use("in")
            return f"count({self.events()}{self.window()}) in (1, 3, {self.r.choice(['null', '4'])})"
        if kind < 0.9:
            self.use("latest string")
            return f"latest(category, {self.events(True)}) {self.r.choice(['==', '!='])} 'beauty'"
        if kind < 0.94:
            self.use("latest source")
            return f"latest(source, {self.events()}) in ('web', 'store')"
        self.use("is null")
        return f"{self.r.choice([self.since(), self.number()])} is {self.r.choice(['', 'not '])}null"

    def condition(self, known, depth=0):
        kind = self.r.random()
        if known and kind < 0.15:
            self.use("dimension in a rule")
            name, tags = self.r.choice(known)
            return f"{name} {self.r.choice(['==', '!='])} '{self.r.choice(tags)}'" if self.chance(0.7) else f"{name} is null"
        if depth < 2 and kind < 0.4:
            word = self.r.choice(["and", "or"])
            self.use(word)
            return f"({self.condition(known, depth + 1)} {word} {self.condition(known, depth + 1)})"
        if depth < 2 and kind < 0.48:
            self.use("not")
            return f"not {self.condition(known, depth + 1)}" if self.chance(0.5) else f"not ({self.condition(known, depth + 1)})"
        if self.metrics and kind < 0.6:
            self.use("metric")
            return f"{self.r.choice(list(self.metrics))} >= {self.r.choice([1, 2, 15])}"
        return self.comparison()

    def catalog(self):
        zone = self.r.choice(["+00:00", "+08:00", "+05:30", "-03:00"])
        self.use("zone " + zone)
        buying = ["order.paid", "order.gift{amount>5}"] if self.chance(0.5) else ["order.paid{coupon=true}", "order.gift"]
        fields = {"amount": "decimal", "category": "string", "coupon": "boolean"}
        events = {"order.paid": {"fields": fields}, "order.gift": {"fields": fields}, "login": {}, "chat": {"fields": {"direction": "string"}}}
        if self.chance(0.6):
            self.use("dedupe")
            events["order.paid"]["dedupe"] = "700ms" if self.grid else "2d"
            if self.chance(0.5):
                events["login"]["dedupe"] = "300ms" if self.grid else "6h"
        self.metrics = {}
        for i in range(self.r.randint(0, 2)):
            self.metrics[f"m{i}"] = self.constant_number(0)
        dimensions, known = {}, []
        for i in range(self.r.randint(2, 5)):
            name, tags = f"d.x{i}", []
            for j in range(self.r.randint(1, 4)):
                rule = {"tag": f"t{j}", "when": self.condition(known)}
                if self.chance(0.2):
                    rule["plan"] = {"goal": f"g{j}", "steps": [1, "b"]}
                tags.append(rule)
            if self.chance(0.3):
                tags.append({"tag": "rest", "when": "true"})
            dimensions[name] = {"tags": tags}
            known.append((name, [t["tag"] for t in tags]))
        if self.chance(0.3):  # dimensions may stand before those they read
            self.use("catalog order against dependency")
            dimensions = dict(reversed(dimensions.items()))
        return {"catalog": "random", "version": "1", "timezone": zone, "events": events,
                "groups": {"buying": buying, "any": ["login", 'chat{direction="inbound"}', "order.paid"]},
                "metrics": self.metrics, "dimensions": dimensions}

    # ---- events ----

    def stamp(self, ms):
        minutes = self.r.choice([0, 0, 480, -180, 330])
        local = ms + minutes * 60000
        from reference import time_text
        text = time_text(local)[:-1]
        return text + ("Z" if minutes == 0 else f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")

    def next_time(self, now, times):
        kind = self.r.random()
        step = self.r.choice([0, 1, 7, 50, 100, 333, 900]) if self.grid else self.r.choice([0, 1, 1000, 60000, HOUR, 5 * HOUR, DAY, 4 * DAY, 20 * DAY])
        if kind < 0.2:
            self.use("on a pane boundary")
            pane = self.r.choice(self.panes)
            return (now // pane + 1) * pane
        if kind < 0.35 and times and self.durations:
            at = self.r.choice(times) + self.r.choice(self.durations)
            if now <= at <= now + (700 if self.grid else 60 * DAY):
                self.use("on a crossing")
                return at
        return now + self.r.randint(0, step)

    def record(self, i, at):
        kind = self.r.choice(["order.paid"] * 4 + ["order.gift", "login", "login", "chat", "other.type"])
        data = {}
        if kind.startswith("order"):
            if self.chance(0.9):
                data["amount"] = self.r.choice([1, 5, 10.5, 20.5, -3, 0.1, 7.12345, 12.00005, 99.99, 0.33335, -2.00005])
            if self.chance(0.8):
                data["category"] = self.r.choice(["beauty", "food", "书"])
            if self.chance(0.7):
                data["coupon"] = self.chance(0.5)
        if kind == "chat":
            data["direction"] = self.r.choice(["inbound", "outbound"])
        return {"specversion": "1.0", "id": f"e{i}", "source": self.r.choice(["web", "store", "app"]), "type": kind,
                "subject": f"c{self.r.randint(0, 1 if self.grid else 2)}", "time": self.stamp(at), "data": data}

    def history(self):
        now, out, times = START + self.r.randint(0, DAY), [], []
        for i in range(self.r.randint(10, 22) if self.grid else self.r.randint(15, 45)):
            now = self.next_time(now, times)
            at = now
            if out and self.chance(0.32):
                self.use("late event")
                at = now - self.r.choice([1, 40, 300, 1000] if self.grid else [1, 60000, HOUR, DAY, 10 * DAY])
            times.append(at)
            if out and self.chance(0.08):
                self.use("duplicate id")
                again = dict(self.r.choice(out))
                again["time"] = self.stamp(at)
                out.append(again)
            else:
                out.append(self.record(i, at))
        until = now + (self.r.randint(0, 900) if self.grid else self.r.choice([0, DAY, 40 * DAY]))
        return out, until


def pair(seed):
    """catalog, records, until (ms), grid?, what was used"""
    maker = Maker(seed)
    catalog = maker.catalog()
    records, until = maker.history()
    return catalog, records, until, maker.grid, maker.used
