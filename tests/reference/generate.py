"""Random pairs: a catalog and its events, by seed. Half are histories of seconds for the millisecond grid, half of days."""
import random

from reference import time_text

HOUR, DAY = 3600000, 86400000
START = 1700000000000


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.grid = seed % 2 == 1
        self.used = {}
        self.durations = []  # of since() literals, so that events can fall on their crossings
        self.churns = None
        self.panes = [100] if self.grid else [HOUR]
        self.zone = self.r.choice(["+00:00", "+08:00", "+05:30", "-03:00"])
        self.start = START + self.r.randint(0, DAY)
        if self.chance(0.3):  # shortly before a local midnight
            shift = (-1 if self.zone[0] == "-" else 1) * (int(self.zone[1:3]) * HOUR + int(self.zone[4:6]) * 60000)
            self.start = (START // DAY + 1) * DAY - shift - self.r.randint(0, 1500 if self.grid else 5 * HOUR)
        self.attributes = {}
        if self.chance(0.6):
            self.attributes = {"region": "string", "score": "decimal", "vip": "boolean", "birthday": "date", "joined": "time"}

    def instant(self):
        return time_text(self.start + self.r.choice([-DAY, -500, 0, 300, 1000, 2000] if self.grid else
                                                    [-400 * DAY, -DAY, 0, HOUR, DAY, 5 * DAY, 40 * DAY]))

    def date(self):
        """Near the beginning of the history, in its year, another, or on 29 February; in any form."""
        day = time_text(self.start + self.r.choice([-2, -1, 0, 0, 1, 1, 2, 8, 30, 200]) * DAY)[:10]
        if self.chance(0.08):
            self.use("29 February")
            day = "2000-02-29"
        elif day[5:] != "02-29":
            day = f"{self.r.choice([1987, 2022, 2023, 2024])}{day[4:]}"
        return self.written(day)

    def written(self, day):
        form = self.r.choice(["{}-{}-{}", "{}-{}-{}", "{}/{}/{}", "{}.{}.{}", "{}{}{}", "{}年{}月{}日"])
        year, month, part = day.split("-")
        if form != "{}{}{}" and self.chance(0.4):
            month, part = month.lstrip("0"), part.lstrip("0")
        self.use("date as " + form.format("Y", "m", "d"))
        return form.format(year, month, part)

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
            kind = self.r.choice(["amount", "category", "coupon", "source", "due", "day"] if e in ("order.paid", "buying") else ["source", "direction"] if e == "chat" else ["source"])
            if kind == "amount":
                terms.append(f"amount{self.r.choice(['>=', '>', '<', '<=', '=', '!='])}{self.r.choice(['0', '10', '-5', '20.5', '100.1234'])}")
            elif kind == "category":
                op = self.r.choice(["=", "==", "!=", "<", ">="])
                terms.append("category" + op + self.r.choice(['"beauty"', "'food'"]))
            elif kind == "coupon":
                terms.append(f"coupon{self.r.choice(['=', '!='])}{self.r.choice(['true', 'false'])}")
            elif kind == "due":
                terms.append(f'due{self.r.choice([">=", "<", "!="])}"{self.instant()}"')
            elif kind == "day":
                terms.append(f'day{self.r.choice([">=", "<", "="])}"{self.date()}"')
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

    def exact_number(self):
        """A number that is a decimal, as `value` wants it."""
        kind = self.r.choice(["count", "count", "sum", "sum", "min", "max", "distinct", "distinct", "days", "days", "top", "latest", "first",
                              "attribute", "days_until", "days_until", "years", "days_until of events", "years of events"])
        if kind in ("attribute", "days_until", "years") and not self.attributes:
            kind = "count"
        self.use(kind if kind not in ("latest", "first", "top", "attribute") else kind + " decimal")
        if kind in ("count", "days"):
            return f"{kind}({self.events()}{self.window()})"
        if kind == "distinct":
            field = self.r.choice(["category", "category", "source", "amount", "coupon", "day", "due"])
            self.use("distinct " + field)
            return f"distinct({field}, {self.events(field != 'source')}{self.window()})"
        if kind in ("latest", "first"):
            return f"{kind}(amount, {self.events(True)})"
        if kind == "attribute":
            return "attr.score"
        if kind in ("days_until", "years"):
            return f"{kind}(attr.birthday)"
        if kind.endswith(" of events"):
            return f"{kind.split()[0]}({self.events()})"
        return f"{kind}(amount, {self.events(True)}{self.window()})"

    def number(self, depth=0):
        kind = self.r.choice(["exact"] * 8 + ["avg", "arith", "arith", "ratio", "scaled"])
        if kind == "exact":
            return self.exact_number()
        if kind == "avg":
            self.use("avg")
            return f"avg(amount, {self.events(True)}{self.window()})"
        if depth > 1:
            return str(self.r.choice([0, 1, 2, 2.5]))
        if kind == "ratio":
            self.use("duration / duration")
            return f"{self.clock()} / {self.text_of(self.span())}"
        if kind == "scaled":
            self.use("constant * ratio")
            return f"{self.exact_number()} * ({self.clock()} / {self.text_of(self.span())})"
        op = self.r.choice(["+", "-", "*", "/"])
        self.use("number " + op)
        return f"({self.constant_number(depth + 1)} {op} {self.constant_number(depth + 1)})"

    def constant_number(self, depth):
        while True:
            text = self.number(depth)
            if "since" not in text and "until(due" not in text and "until_next(due" not in text:
                return text

    def since(self):
        kind = self.r.choice(["since", "since", "since_first"])
        self.use(kind)
        return f"{kind}({self.events()})"

    def clock(self):
        """Linear in time."""
        if self.chance(0.75):
            return self.since()
        if self.chance(0.5):
            self.use("until")
            return f"until(due, {self.events(True)})"
        before = f", {self.text_of(self.span())}" if self.chance(0.5) else ""
        self.use("until_next" + (" with a span before" if before else ""))
        return f"until_next(due, {self.events(True)}, {self.events()}{before})"

    def key(self):
        """What a table may have: values of the fields, and tags."""
        return self.r.choice(["web", "store", "app", "beauty", "food", "书", "north", "south", "", "t0", "t1", "rest", "true", "2"])

    def table(self):
        rest = self.r.choice([{}, {"keep": False}, {"keep": True}, {"keep": True}, {"else": "other"}, {"else": ""}])
        self.use("table" + "".join(f" with {name}" for name, value in rest.items() if value is not False))
        return {"values": {self.key(): self.r.choice(["beauty", "web", "store", "t0", "线下", ""]) for _ in range(self.r.randint(1, 6))}, **rest}

    def lookup(self, of):
        self.use("lookup")
        return f"lookup({self.r.choice(list(self.tables))}, {of})"

    def word(self):
        """A string."""
        if self.chance(0.25):
            return self.lookup(self.word())
        if self.words and self.chance(0.2):
            self.use("metric that is a string")
            return self.r.choice(self.words)
        kind = self.r.choice(["latest", "latest", "first", "top", "top", "attribute"])
        if kind == "attribute":
            if self.attributes:
                self.use("attribute string")
                return "attr.region"
            kind = "top"
        source = self.chance(0.3)
        self.use(f"{kind} {'source' if source else 'string'}")
        return f"{kind}({'source' if source else 'category'}, {self.events(not source)}{self.window() if kind == 'top' else ''})"

    def truth(self):
        """A boolean that is no comparison."""
        kind = self.r.choice(["latest", "first", "top", "attribute"])
        if kind == "attribute":
            if self.attributes:
                self.use("attribute boolean")
                return "attr.vip"
            kind = "top"
        self.use(kind + " boolean")
        return f"{kind}(coupon, {self.events(True)}{self.window() if kind == 'top' else ''})"

    def point(self):
        """A time or a date, and a literal of its kind."""
        time = self.chance(0.5)
        kind = self.r.choice(["latest", "first", "top", "min", "max", "min", "max", "attribute"])
        if kind == "attribute" and not self.attributes:
            kind = "max"
        self.use(f"{kind} {'time' if time else 'date'}")
        if kind == "attribute":
            return ("attr.joined", self.instant()) if time else ("attr.birthday", self.date())
        window = self.window() if kind in ("top", "min", "max") else ""
        return f"{kind}({'due' if time else 'day'}, {self.events(True)}{window})", self.instant() if time else self.date()

    def value(self, known):
        """The value of a `value` dimension."""
        kind = self.r.choice(["number", "number", "word", "word", "truth", "point", "dimension"])
        if kind == "dimension" and not known:
            kind = "word"
        self.use("value " + kind)
        if kind == "dimension":
            name = self.r.choice(known)[0]
            return self.lookup(name) if self.chance(0.4) else name
        return self.exact_number() if kind == "number" else self.word() if kind == "word" else self.truth() if kind == "truth" else self.point()[0]

    def duration(self):
        kind = self.r.random()
        if kind < 0.6:
            return self.clock()
        if kind < 0.75:
            self.use("duration * number")
            return f"{self.clock()} * {self.r.choice(['0.5', '2', '1.5', '0.3'])}"
        if kind < 0.85:
            self.use("duration / number")
            return f"{self.clock()} / {self.r.choice(['2', '3', '0.7'])}"
        if kind < 0.87:
            self.use("duration / count")
            return f"{self.clock()} / {self.divisor()}"
        if kind < 0.885:
            self.use("two clocks / count")
            return f"({self.clock()} - {self.clock()}) / {self.divisor()}"
        if kind < 0.9:
            self.use("number * duration")
            return f"{self.r.choice(['0.5', '2', '-1.5'])} * {self.clock()}"
        if kind < 0.93:
            self.use("duration - duration of two clocks")
            return f"{self.clock()} - {self.clock()}"
        if kind < 0.96:
            self.use("literal - clock")
            return f"{self.text_of(self.span())} - {self.clock()}"
        self.use("duration + duration")
        return f"{self.clock()} {self.r.choice(['+', '-'])} {self.text_of(self.span())}"

    def divisor(self):
        return self.r.choice([f"count({self.events()})", f"(count({self.events()}) - 1)", f"count({self.events()}{self.window()})", f"distinct(source, {self.events()})"])

    def alive(self):
        """p_alive() against something that is constant between events, or a null test."""
        self.use("p_alive")
        level = self.r.choice([0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1, 0.02])
        if self.chance(0.1):
            return f"p_alive() is {self.r.choice(['', 'not '])}null"
        if self.chance(0.2):
            return f"{level} {self.r.choice(['>=', '>', '<', '<='])} p_alive()"
        right = f"count({self.events()}{self.window()}) / 4" if self.chance(0.15) else level
        return f"p_alive() {self.r.choice(['>=', '>', '<', '<='])} {right}"

    def churn(self):
        self.use("churn")
        kind = self.r.choice(["bg-nbd", "mbg-nbd"])
        self.use(kind)
        out = {"model": kind, "event": self.events(), "fit": {"any": "thing"}}
        # no round figures: with them p_alive() is a level to the last digit at some millisecond, where two programs may differ
        for name, values in (("r", [60.37, 300.71, 2000.5] if self.grid else [0.243, 1.0231, 4.5017]),
                             ("alpha", [0.000213, 0.00107] if self.grid else [0.5123, 4.414]), ("a", [0.3091, 0.793, 2.0117]), ("b", [0.8123, 2.426])):
            out[name] = self.r.choice(values)
        if self.chance(0.6):
            self.use("levels")
            limits = sorted(self.r.sample([0.05, 0.2, 0.4, 0.5, 0.7, 0.85, 0.95], 3))
            out["levels"] = {name: {"below": limit} for name, limit in zip(["churned", "at-risk", "watch"], limits) if self.chance(0.8)}
            for level in out["levels"].values():
                if self.chance(0.5):
                    level["silence"] = self.text_of(self.span())
                if self.chance(0.3):
                    level["plan"] = {"call": True}
            if self.chance(0.3):
                out["levels"]["stable"] = {"plan": "none"}
        if self.chance(0.4):
            self.use("drivers")
            out["drivers"] = [{"name": "silence", "value": self.clock()}, {"name": "spend", "value": f"sum(amount, {self.events(True)}{self.window()})",
                                                                           "usual": self.constant_number(0)}]
        if self.chance(0.4):
            out["activity"] = self.events()
        if self.chance(0.2):
            self.use("for")
            out["for"] = self.text_of(self.span())
        return out

    def comparison(self):
        if self.churns and self.chance(0.12):
            return self.alive()
        op = self.r.choice([">=", ">", "<", "<=", "==", "!="])
        kind = self.r.random()
        self.use(op)
        if kind < 0.33:
            return f"{self.number()} {op} {self.r.choice([0, 1, 2, 3, 5, 10, '20.5', '-3', '0.33333', 364, 36])}"
        if kind < 0.57:
            span = self.text_of(self.span())
            return f"{self.duration()} {op} {'-' if self.chance(0.1) else ''}{span}"
        if kind < 0.59:
            self.use("clock vs constant * duration")
            return f"{self.clock()} {op} {self.constant_number(1)} * {self.text_of(self.span())}"
        if kind < 0.63:
            self.use("flipped")
            return f"{self.text_of(self.span())} {op} {self.clock()}"
        if kind < 0.69:
            self.use("duration vs duration")
            return f"{self.duration()} {op} {self.clock()} * 0.25"
        if kind < 0.74:
            self.use("in")
            return f"{self.exact_number()} in (1, 3, {self.r.choice(['null', '4'])})"
        if kind < 0.82:
            self.use("string compared")
            return f"{self.word()} {self.r.choice(['==', '!=', '<', '>='])} {self.r.choice(['`beauty`', '`web`', '`north`', self.word()])}".replace("`", "'")
        if kind < 0.86:
            self.use("string in")
            return f"{self.word()} in ('web', 'store', 'food')"
        if kind < 0.92:
            a, b = self.point()
            self.use("time or date compared")
            return f"{a} {op} '{b}'"
        if kind < 0.95:
            return self.truth() if self.chance(0.6) else f"{self.truth()} {self.r.choice(['==', '!='])} {self.r.choice(['true', 'false'])}"
        if kind < 0.965:
            self.use("condition compared")
            return f"({self.comparison()}) {self.r.choice(['==', '!='])} ({self.comparison()})"
        self.use("is null")
        if self.chance(0.15):
            return f"({self.comparison()}) is {self.r.choice(['', 'not '])}null"
        return f"{self.r.choice([self.clock(), self.number(), self.word(), self.truth(), self.point()[0]])} is {self.r.choice(['', 'not '])}null"

    def past(self, known):
        """How a dimension stood before: this one too."""
        name, tags = self.r.choice(known + [self.own, self.own] if self.own else known)
        name = self.old.get(name, name)
        kind = self.r.choice(["was", "previous", "held", "held"])
        self.use(kind, "of itself" if self.own and name == self.own[0] else "of another dimension")
        if kind == "held":
            return f"held({name}) {self.r.choice(['>=', '>', '<', '<=', '=='])} {self.text_of(self.span())}"
        if self.chance(0.2):
            return f"{kind}({name}) is {self.r.choice(['', 'not '])}null"
        some = self.named(name, tags)
        return f"{kind}({name}) in ('{some}', '{self.named(name, tags)}')" if self.chance(0.3) else \
            f"{kind}({name}) {self.r.choice(['==', '!='])} '{some}'"

    def named(self, name, tags):
        """A tag, under its old name if the dimension is under its old one."""
        tag = self.r.choice(tags or ["beauty", "web", "2", "0", "true", "20.5"])
        return next((old.rpartition(".")[2] for old, to in self.aliases.items() if old.startswith(name + ".") and to.endswith("." + tag)), tag) \
            if name not in (self.own and self.own[0], None) else tag

    def condition(self, known, depth=0):
        kind = self.r.random()
        if (known or self.own) and self.chance(self.pasts):
            return self.past(known)
        if known and kind < 0.15:
            self.use("dimension in a rule")
            name, tags = self.r.choice(known)
            tags = tags or ["beauty", "web", "2", "0", "true", "20.5", time_text(self.start)[:10]]
            name = self.old.get(name, name)
            if self.chance(0.25):
                self.use("lookup of a dimension")
                return f"{self.lookup(name)} {self.r.choice(['==', '!=', '<'])} {self.r.choice(['`beauty`', '`t0`', '`other`', self.word()])}".replace("`", "'")
            return f"{name} {self.r.choice(['==', '!='])} '{self.named(name, tags)}'" if self.chance(0.7) else f"{name} is null"
        if depth < 2 and kind < 0.4:
            word = self.r.choice(["and", "or"])
            self.use(word)
            return f"({self.condition(known, depth + 1)} {word} {self.condition(known, depth + 1)})"
        if depth < 2 and kind < 0.48:
            self.use("not")
            return f"not {self.condition(known, depth + 1)}" if self.chance(0.5) else f"not ({self.condition(known, depth + 1)})"
        if self.conditions and kind < 0.53:
            return f"{self.r.choice(['', 'not '])}{self.r.choice(self.conditions)}"
        numbers = [name for name in self.metrics if name not in self.conditions + self.words]
        if numbers and kind < 0.6:
            self.use("metric")
            return f"{self.r.choice(numbers)} >= {self.r.choice([1, 2, 15])}"
        return self.comparison()

    def catalog(self):
        self.use("zone " + self.zone)
        buying = ["order.paid", "order.gift{amount>5}"] if self.chance(0.5) else ["order.paid{coupon=true}", "order.gift"]
        fields = {"amount": "decimal", "category": "string", "coupon": "boolean", "due": "time", "day": "date"}
        events = {"order.paid": {"fields": fields}, "order.gift": {"fields": fields}, "login": {}, "chat": {"fields": {"direction": "string"}}}
        if self.chance(0.6):
            self.use("dedupe")
            events["order.paid"]["dedupe"] = "700ms" if self.grid else "2d"
            if self.chance(0.5):
                events["login"]["dedupe"] = "300ms" if self.grid else "6h"
        self.churns = self.churn() if self.chance(0.3) else None
        self.tables = {f"l{i}": self.table() for i in range(self.r.randint(1, 3))}
        self.metrics, self.words = {}, []
        if self.chance(0.3):
            self.metrics["m8"] = self.word()
            self.words = ["m8"]
        for i in range(self.r.randint(0, 2)):
            self.metrics[f"m{i}"] = self.constant_number(0)
        self.conditions = []
        if self.chance(0.3):
            self.use("metric that is a condition")
            self.conditions = ["m9"]
            self.metrics["m9"] = self.comparison()
        dimensions, known = {}, []
        self.aliases, self.old, self.own = {}, {}, None
        self.pasts = self.r.choice([0, 0, 0.15, 0.3])
        holding, assigning = self.chance(0.4), self.chance(0.4)
        for i in range(self.r.randint(2, 5)):
            name = f"d.x{i}"
            if self.chance(0.2):
                self.use("value dimension")
                self.own = (name, None)
                dimensions[name] = {"value": self.value(known), **self.holds(holding)}
                known.append((name, None))
                continue
            names = [f"t{j}" for j in range(self.r.randint(1, 4))] + (["rest"] if self.chance(0.3) else [])
            self.own = (name, names)
            assign = self.r.choice(["auto", "manual", "review", "review"]) if assigning and self.chance(0.6) else None
            dimension = {"tags": [self.rule(tag, known, holding, assign) for tag in names]}
            if assign:
                self.use("assign " + assign)
                dimension["assign"] = assign
            if assign == "review" and self.chance(0.5):
                self.use("expires")
                dimension["expires"] = self.text_of(self.span())
            if assign != "manual":
                dimension.update(self.holds(holding))
            dimensions[name] = dimension
            known.append((name, names))
            if self.chance(0.15):
                self.use("alias")
                self.old[name] = f"old.y{i}"
                self.aliases.update({f"old.y{i}.{tag}s": f"{name}.{tag}" for tag in names})
        self.own = None
        self.assignable = [(self.old.get(n, n) if self.chance(0.3) else n, tags) for n, tags in known if tags] if assigning else []
        self.reviews = any(d.get("assign") == "review" for d in dimensions.values())
        goals, starts = {}, [f"{n}.{t}" for n, tags in known for t in tags or []]
        for i in range(self.r.choice([0, 0, 1, 2])):
            if not starts:
                break
            self.use("goal")
            start = starts.pop(self.r.randrange(len(starts)))
            goals[f"g{i}"] = {"start": next((old for old, to in self.aliases.items() if to == start), start), "reach": self.events(),
                              "within": self.text_of(self.span()), "holdout": self.r.choice([0, 0.5, 1]), "target": 0.15}
        alerts = {}
        for i in range(self.r.choice([0, 0, 0, 1, 2])):
            self.use("alert")
            alerts[f"a{i}"] = {"when": self.condition(known), **({"for": self.text_of(self.span())} if holding and self.chance(0.5) else {})}
            if self.chance(0.3):
                alerts[f"a{i}"]["plan"] = "call"
        if self.chance(0.3):  # dimensions may stand before those they read
            self.use("catalog order against dependency")
            dimensions = dict(reversed(dimensions.items()))
        return {"catalog": "random", "version": "1", "timezone": self.zone, "events": events,
                "groups": {"buying": buying, "any": ["login", 'chat{direction="inbound"}', "order.paid"]},
                "attributes": self.attributes, "tables": self.tables, "metrics": self.metrics, "dimensions": dimensions,
                **({"churn": self.churns} if self.churns else {}), **({"goals": goals} if goals else {}), **({"alerts": alerts} if alerts else {}), **({"aliases": self.aliases} if self.aliases else {})}

    def holds(self, holding):
        """for and min_dwell, of a dimension or a tag."""
        out = {}
        for key in ("for", "min_dwell"):
            if holding and self.chance(0.3):
                self.use(key)
                out[key] = self.text_of(0 if self.chance(0.1) else self.span())
        return out

    def rule(self, tag, known, holding, assign):
        rule = {"tag": tag}
        if assign != "manual":
            rule.update(when="true" if tag == "rest" else self.condition(known), **self.holds(holding))
        if self.chance(0.2):
            rule["plan"] = {"goal": tag, "steps": [1, "b"]}
        return rule

    # ---- events ----

    def stamp(self, ms):
        minutes = self.r.choice([0, 0, 480, -180, 330])
        local = ms + minutes * 60000
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

    def update(self):
        values = {"region": self.r.choice(["north", "south", ""]), "score": self.r.choice([0, 1, 2, 20.5, -3, 7.00005]), "vip": self.chance(0.5),
                  "birthday": self.date(), "joined": self.instant(), "unknown": {"any": ["thing"]}}
        out = {}
        for name in values:
            if self.chance(0.5):
                removed = self.chance(0.15)
                self.use("attribute removed" if removed else "attribute set")
                out[name] = None if removed else values[name]
        return out

    def record(self, i, at):
        kind = self.r.choice(["order.paid"] * 4 + ["order.gift", "login", "login", "chat", "other.type"] +
                             (["profile.updated"] * 2 if self.attributes else []))
        data = {}
        if kind.startswith("order"):
            if self.chance(0.9):
                data["amount"] = self.r.choice([1, 5, 10.5, 20.5, -3, 0.1, 7.12345, 12.00005, 99.99, 0.33335, -2.00005])
            if self.chance(0.8):
                data["category"] = self.r.choice(["beauty", "food", "书"])
            if self.chance(0.7):
                data["coupon"] = self.chance(0.5)
            if self.chance(0.6):
                data["due"] = self.stamp(at + self.r.choice([-300, 0, 100, 500, 1000] if self.grid else [-DAY, 0, 60000, HOUR, DAY, 3 * DAY, 30 * DAY]))
            if self.chance(0.5):
                data["day"] = self.date()
        if kind == "profile.updated":
            data = {"attributes": self.update()}
        if kind == "chat":
            data["direction"] = self.r.choice(["inbound", "outbound"])
        subject = f"c{self.r.randint(0, 1 if self.grid else 2)}"
        if (self.assignable or self.reviews) and self.chance(0.3):
            kind, data = self.verdict(subject, at)
        return {"specversion": "1.0", "id": f"e{i}", "source": self.r.choice(["web", "store", "app"]), "type": kind,
                "subject": subject, "time": self.stamp(at), "data": data}

    def verdict(self, subject, at):
        """What a person says."""
        by = self.r.choice(["li", "王"])
        if self.reviews and (not self.assignable or self.chance(0.6)):
            decision = self.r.choice(["approved", "approved", "rejected"])
            self.use(decision)
            return "tag.reviewed", {"proposal": f"proposal:{subject}:{self.r.choice([1, 1, 1, 2, 3, 3, 4, 5, 6])}", "decision": decision, "by": by}
        name, tags = self.r.choice(self.assignable)
        if self.chance(0.3):
            self.use("tag.cleared")
            return "tag.cleared", {"dimension": name, "by": by}
        self.use("tag.assigned")
        data = {"dimension": name, "tag": self.named(name, tags), "by": by, "reason": "as agreed"}
        if self.chance(0.5):
            self.use("until")
            span = self.span()
            data["until"] = self.stamp(at + span if self.chance(0.9) else at - span)
        return "tag.assigned", data

    def history(self):
        now, out, times = self.start, [], []
        for i in range(self.r.randint(14, 32) if self.grid else self.r.randint(22, 64)):
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
