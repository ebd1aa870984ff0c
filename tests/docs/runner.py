"""Runs what documents show. A fenced block's info string says what it is, after its language:

    file=NAME            the text is written to a file of the scratch folder
    run                  the shell runs it there; `exit=N`: it ends with N; `background`: it goes on until the document ends, or
                         until a `run stop`, which ends it first, as Ctrl-C would
    output               what the run before it printed, both streams. A line `...` stands for any lines, `...` in a line for
                         any text
    base                 a catalog that the examples after it add to
    example              dimensions and more that are added to the base for the events that follow
    events               one event a line: TIME TYPE [FIELD=VALUE...], of one customer; last, perhaps: until TIME
    changes              what `tagd simulate` makes of them, a line an event out: TIME DIMENSION: FROM -> TO; of a proposal
                         TIME DIMENSION: proposed FROM -> TO, ID, and TIME DIMENSION: STATUS FROM -> TO by WHO, ID; of an alert
                         TIME alert NAME: raised, or cleared; of a goal TIME goal NAME: reached, or missed
    refused              `tagd check` refuses the example with a message that has these lines
    records              events as they are, one JSON a line, for `tagd simulate`
    told                 what simulate printed of them on standard error

A block without such a word is there to be read only. Addresses are replaced: 127.0.0.1:9092 by the test's broker,
127.0.0.1:6379 by its Redis, 127.0.0.1:9464 by a free port."""
import copy
import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../schemas"))
import validators  # noqa: E402
from validators import ROOT, TAGD, read_jsonc  # noqa: E402

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 60  # of one command
WORDS = {"run", "background", "stop", "output", "base", "example", "events", "changes", "refused", "records", "told"}


class Block:
    def __init__(self, path, text, match):
        self.language, self.text = match[1], match[3]
        self.line = text.count("\n", 0, match.start()) + 1
        self.place = f"{os.path.relpath(path, ROOT)}:{self.line}"
        words = match[2].split()
        self.words = {w for w in words if "=" not in w}
        self.values = dict(w.split("=", 1) for w in words if "=" in w)
        assert self.words <= WORDS and self.values.keys() <= {"file", "exit"}, f"{self.place}: info string {match[2]!r}"


def blocks(path):
    text = open(path).read()
    assert len(re.findall("^```", text, re.MULTILINE)) % 2 == 0, f"{path}: a fence is not closed"
    return [Block(path, text, m) for m in FENCE.finditer(text)]


def matches(wanted, found):
    """Whether the output is the one shown, `...` standing for anything."""
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
                      for line in wanted.splitlines())
    return re.fullmatch(pattern, found if found.endswith("\n") or not found else found + "\n")


def value_of(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def event_of(line, number):
    """TIME TYPE FIELD=VALUE... -> a CloudEvent"""
    time, type, *fields = line.split()
    data = {name: value_of(value) for name, value in (f.split("=", 1) for f in fields)}
    event = {"specversion": "1.0", "id": data.pop("id", f"e{number}"), "source": data.pop("source", "web"), "type": type, "subject": "C1", "time": time}
    return {**event, "data": {"attributes": data} if type == "profile.updated" else data}


def shown(change):
    data, time = change["data"], change["time"].replace(".000Z", "Z")
    if "goal" in data and "started" in data:
        return f"{time} goal {data['goal']}: {change['type'].rpartition('.')[2]}"
    if "alert" in data:
        return f"{time} alert {data['alert']}: {change['type'].rpartition('.')[2]}"
    tags = f"{data['from'] or '-'} -> {data['to'] or '-'}"
    if change["type"] == "tagd.tag.proposed":
        return f"{time} {data['dimension']}: proposed {tags}, {change['id']}"
    if change["type"] == "tagd.proposal.closed":
        return f"{time} {data['dimension']}: {data['status']} {tags}{' by ' + data['by'] if data['by'] else ''}, {data['proposal']}"
    return f"{time} {data['dimension']}: {tags}"


class Runner:
    def __init__(self, folder, addresses=None):
        self.folder, self.addresses = str(folder), addresses or {}
        self.base, self.catalog = None, None  # a catalog; the path of the one in use
        self.given, self.until = "", None  # events for simulate
        self.last, self.running = None, []
        self.done = {}
        bin = os.path.join(self.folder, ".bin")
        os.makedirs(bin, exist_ok=True)
        if not os.path.exists(bin + "/tagd"):
            os.symlink(os.path.abspath(TAGD), bin + "/tagd")
        self.environment = {**os.environ, "PATH": f"{bin}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}

    def here(self, text):
        for shown_address, real in self.addresses.items():
            text = text.replace(shown_address, real)
        return text

    def there(self, text):
        for shown_address, real in self.addresses.items():
            text = text.replace(real, shown_address)
        return text

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def document(self, path):
        try:
            for block in blocks(path):
                self.block(block)
        finally:
            self.stop()
        return self.done

    def block(self, block):
        if "file" in block.values:
            with open(os.path.join(self.folder, block.values["file"]), "w") as file:
                file.write(self.here(block.text))
            self.count("files")
        for word in ("run", "output", "base", "example", "events", "changes", "refused", "records", "told"):
            if word in block.words:
                getattr(self, "on_" + word)(block)

    def on_run(self, block):
        command = ["bash", "-euo", "pipefail", "-c", self.here(block.text)]
        self.count("commands")
        if "stop" in block.words:
            self.stop()
        if "background" in block.words:
            log = open(os.path.join(self.folder, f"background-{len(self.running)}.log"), "w")
            self.running.append(subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True))
            return
        told = subprocess.run(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, timeout=SECONDS)
        wanted = int(block.values.get("exit", 0))
        assert told.returncode == wanted, f"{block.place}: exit {told.returncode}, not {wanted}:\n{told.stdout[-3000:]}"
        self.last = self.there(told.stdout)

    def on_output(self, block):
        assert matches(block.text, self.last), f"{block.place}: shown\n{block.text}\nprinted\n{self.last}"
        self.count("outputs")

    def stop(self):
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise
        self.running = []

    # ---- catalogs by example ----

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def use(self, catalog, place):
        wrong = validators.fault(validators.CATALOG, catalog)
        assert wrong is None, f"{place}: {wrong}"
        self.catalog = self.file("example.json", json.dumps(catalog))

    def on_base(self, block):
        self.base = read_jsonc(block.text)

    def on_example(self, block):
        catalog, added = copy.deepcopy(self.base), read_jsonc("{" + block.text.strip().rstrip(",") + "}")
        for name, value in added.items():
            if "." in name:
                catalog.setdefault("dimensions", {})[name] = value
            else:
                catalog[name] = {**catalog[name], **value} if isinstance(catalog.get(name), dict) else value
        self.use(catalog, block.place)
        self.count("examples")

    def on_events(self, block):
        lines = block.text.strip().splitlines()
        self.until = lines.pop().split()[1] if lines[-1].startswith("until ") else None
        events = [event_of(line, i + 1) for i, line in enumerate(lines)]
        for event in events:
            assert validators.fault(validators.EVENT, event) is None, f"{block.place}: {event}"
        self.given = "".join(json.dumps(e) + "\n" for e in events)

    def on_changes(self, block):
        until = ["--until", self.until] if self.until else []
        told = subprocess.run([TAGD, "simulate", "--catalog", self.catalog, *until], input=self.given, capture_output=True, text=True, timeout=SECONDS)
        assert told.returncode == 0, f"{block.place}: {told.stderr}"
        out = [json.loads(line) for line in told.stdout.splitlines()]
        for change in out:
            validators.check_change(change)
        found = "\n".join(map(shown, out))
        assert found == block.text.strip(), f"{block.place}: shown\n{block.text}\nsimulated\n{found}"
        self.count("simulations")

    def on_refused(self, block):
        told = subprocess.run([TAGD, "check", "--catalog", self.catalog], capture_output=True, text=True, timeout=SECONDS)
        assert told.returncode == 78, f"{block.place}: exit {told.returncode}"
        for line in block.text.strip().splitlines():
            assert line.strip() in told.stderr, f"{block.place}: shown\n{line}\nprinted\n{told.stderr}"
        self.count("refusals")

    def on_records(self, block):
        self.given = block.text

    def on_told(self, block):
        if self.base is not None:
            self.use(self.base, block.place)
        told = subprocess.run([TAGD, "simulate", "--catalog", self.catalog], input=self.given, capture_output=True, text=True, timeout=SECONDS)
        assert told.returncode == (65 if block.text.strip() else 0), f"{block.place}: exit {told.returncode}: {told.stderr}"
        assert matches(block.text, told.stderr), f"{block.place}: shown\n{block.text}\nprinted\n{told.stderr}"
        for _ in block.text.splitlines():
            self.count("bad events")

