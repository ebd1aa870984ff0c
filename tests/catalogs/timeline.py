"""Tables of what shall happen to a customer, and what `tagd simulate` makes of it. A table is a text, NAME.txt for the catalog NAME:

    = DIMENSION | the row of the specification, in words
    * TAG: what this timeline shows
    TIME  EVENT FIELD=VALUE...  -> TAG
    TIME  -> TAG
    ~ enters by time: TAG, TAG | why this can't be

A timeline is of one customer. TIME counts from a midnight in the catalog's time zone: 30d, 30d+1ms, 90d-1h. A line without an event is
time alone; an event with x20 behind it comes twenty times. After the arrow stands the tag that the row's dimension has then, `-` for none; or DIMENSION=TAG, several of them. Besides dimensions there
are `alert.NAME` (raised or none), `goal.NAME` (running, reached, missed) and `proposal.DIMENSION` (open/TAG, or what became of it).

Values are JSON, or texts as they are. `@30d` is an instant as a text. `source=` is the event's source, `proposal=1` the customer's first one."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/schemas"))
sys.path.insert(0, os.path.join(ROOT, "tests/reference"))
import validators  # noqa: E402
from reference import UNITS, duration, time_ms, time_text  # noqa: E402
from validators import TAGD, read_jsonc  # noqa: E402

CATALOGS = ("retail", "rfm", "accounts", "loyalty")
BEGIN = time_ms("2026-03-02T00:00:00+08:00")
CUSTOMER = "C1"
SAMPLES = ROOT + "/deploy/catalogs/samples"
END = time_ms("2026-12-01T00:00:00+08:00")  # of the samples
WAYS = ("enters by event", "leaves by event", "enters by time", "leaves by time")


def path_of(catalog):
    return f"{ROOT}/deploy/catalogs/{catalog}.json"


def read_catalog(catalog):
    with open(path_of(catalog)) as file:
        return read_jsonc(file.read())


def read_samples(catalog):
    with open(f"{SAMPLES}/{catalog}.jsonl") as file:
        return [json.loads(line) for line in file]


def instant(text):
    """ms: 30d+1ms-2h, counted from the beginning."""
    parts = re.findall(r"([+-]?)(\d+[a-z]+)", text)
    assert "".join(sign + span for sign, span in parts) == text, text
    return BEGIN + sum((-1 if sign == "-" else 1) * duration(span) for sign, span in parts)


def value_of(text):
    if text[0] == "@":
        return time_text(instant(text[1:]))
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def event_of(at, words, number):
    type, *fields = words
    data = {name: value_of(value) for name, value in (f.split("=", 1) for f in fields)}
    event = {"specversion": "1.0", "id": data.pop("id", f"e{number}"), "source": data.pop("source", "app"), "type": type, "subject": CUSTOMER, "time": time_text(at)}
    if type == "tag.reviewed":
        data["proposal"] = f"proposal:{CUSTOMER}:{data['proposal']}"
    return {**event, "data": {"attributes": data} if type == "profile.updated" else data}


class Line:
    def __init__(self, place, text, dimension, number):
        before, arrow, after = text.partition("->")
        assert arrow and after.strip(), f"{place}: expected TIME [EVENT] -> TAG"
        words = before.split()
        times = int(words.pop()[1:]) if re.fullmatch(r"x\d+", words[-1]) else 1
        self.place, self.at = place, instant(words[0])
        self.events = [event_of(self.at, words[1:], f"{number}.{i}") for i in range(times)] if words[1:] else []
        self.wanted = dict(x.split("=") if "=" in x else (dimension, x) for x in after.split())


class Timeline:
    def __init__(self, row, tag, words):
        self.row, self.tag, self.words, self.lines = row, tag, words, []

    @property
    def name(self):
        return f"{self.row.dimension}: {self.tag}: {self.words}"

    def seen(self, catalog):
        """What came out, line by line: the tags, alerts, goals and proposals as they are then."""
        out = simulate(path_of(catalog), [event for line in self.lines for event in line.events], self.lines[-1].at)
        state, found, i = {}, [], 0
        for line in self.lines:
            while i < len(out) and time_ms(out[i]["time"]) <= line.at:
                state.update(told(out[i]))
                i += 1
            found.append(dict(state))
        assert i == len(out)
        return found


class Row:
    def __init__(self, dimension, words):
        self.dimension, self.words, self.timelines, self.never = dimension, words, [], {}


def read_table(catalog):
    """The rows of a catalog's table."""
    rows = []
    with open(f"{HERE}/{catalog}.txt") as file:
        for number, text in enumerate(file.read().splitlines(), 1):
            place = f"{catalog}.txt:{number}"
            mark, rest = text[:2], text[2:]
            if not text.strip() or mark == "# ":
                continue
            if mark == "= ":
                rows.append(Row(*(x.strip() for x in rest.split("|", 1))))
            elif mark == "* ":
                tag, words = rest.split(":", 1)
                rows[-1].timelines.append(Timeline(rows[-1], tag.strip(), words.strip()))
            elif mark == "~ ":
                tags, why = rest.split("|", 1)
                way, tags = tags.split(":")
                assert way in WAYS and why.strip(), place
                rows[-1].never.update({(way, tag.strip()): why.strip() for tag in tags.split(",")})
            else:
                timeline = rows[-1].timelines[-1]
                timeline.lines.append(Line(place, text, rows[-1].dimension, len(timeline.lines) + 1))
                assert len(timeline.lines) == 1 or timeline.lines[-2].at < timeline.lines[-1].at, f"{place}: expected a later time than the line before has"
    return rows


def simulate(path, events, until=None, *more):
    """Events out, in their order. Every event in must be taken."""
    command = [TAGD, "simulate", "--catalog", path, *(["--until", time_text(until)] if until is not None else []), *more]
    run = subprocess.run(command, input="".join(json.dumps(e) + "\n" for e in events), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def told(event):
    """What an event out says is so from now on."""
    kind, data = event["type"], event["data"]
    if kind in ("tagd.tag.changed", "tagd.churn.changed"):
        started = {f"goal.{data['goal']['name']}": "running"} if "goal" in data else {}
        return {data["dimension"]: data["to"], **started}
    if kind in ("tagd.alert.raised", "tagd.alert.cleared"):
        return {f"alert.{data['alert']}": "raised" if kind == "tagd.alert.raised" else None}
    if kind in ("tagd.goal.reached", "tagd.goal.missed"):
        return {f"goal.{data['goal']}": kind.rpartition(".")[2]}
    state = f"open/{data['to'] or '-'}" if kind == "tagd.tag.proposed" else data["status"]
    return {f"proposal.{data['dimension']}": state}
