"""What tests of the churn model stand on: CDNOW's 2,357 customers, the sample that the papers use (a file of the package
`lifetimes`), and tagd's model as commands."""
import datetime
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAGD = os.environ.get("TAGD", os.path.join(ROOT, "build/release/tagd"))
PROBE = os.path.join(os.path.dirname(TAGD), "model_probe")
DATA = os.path.join(ROOT, "build/data")
SAMPLE = os.path.join(DATA, "lifetimes/datasets/CDNOW_sample.txt")
END = datetime.date(1997, 9, 30)  # of weeks 1 to 39, which models are fitted to; weeks 40 to 78 follow
UNTIL = f"{END}T23:59:59Z"
PARAMETERS = ("r", "alpha", "a", "b")


def purchases():
    """[(customer, date)], as they stand in the sample."""
    rows = [line.split() for line in open(SAMPLE) if line.strip()]
    return [(row[1], datetime.date(int(row[2][:4]), int(row[2][4:6]), int(row[2][6:]))) for row in rows]


def event(customer, time, number=0, type="order.paid"):
    return json.dumps({"specversion": "1.0", "id": f"p{number}", "source": "cdnow", "type": type, "subject": customer, "time": time})


def lines():
    """The sample's purchases as CloudEvents."""
    return [event(customer, f"{day}T00:00:00Z", i) for i, (customer, day) in enumerate(purchases())]


def summaries(end=END):
    """{customer: (x, t_x, T)} in days, at the end of that day."""
    days = {}
    for customer, day in purchases():
        if day <= end:
            days.setdefault(customer, set()).add(day)
    return {customer: (len(seen) - 1, (max(seen) - min(seen)).days, (end - min(seen)).days) for customer, seen in days.items()}


def run_fit(text, *arguments):
    return subprocess.run([TAGD, "fit", *arguments], input=text, capture_output=True, text=True, timeout=120)


def fit(model, text, *arguments, code=0):
    """The churn section that `tagd fit` prints."""
    done = run_fit(text, "--model", model, *arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)["churn"]


def ask(what, model, parameters, rows):
    """What model_probe answers to each row."""
    done = subprocess.run([PROBE, what, model, *map(repr, parameters)], input="".join(" ".join(map(repr, row)) + "\n" for row in rows),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) == len(rows)
    return answers


def p_alive(model, parameters, rows):
    return [float(answer) for answer in ask("alive", model, parameters, rows)]
