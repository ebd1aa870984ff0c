"""The churn model and `tagd fit` against others: the paper's figures, the package `lifetimes` (its own optimizer, autograd's
derivatives, its own summaries), and arithmetic of 50 digits. The model's own tests are tests/unit/test_model.c and test_fit.c."""
import datetime
import decimal
import json
import math
import os
import random
import subprocess
import sys

import lifetimes
import numpy
import pandas
import pytest
import scipy.stats
from lifetimes.utils import summary_data_from_transaction_data

import customers
from customers import DATA, PARAMETERS, ROOT, UNTIL, event, fit, p_alive, run_fit

FITTERS = {"bg-nbd": lifetimes.BetaGeoFitter, "mbg-nbd": lifetimes.ModifiedBetaGeoFitter}
WEEK_MS = 7 * 86400 * 1000
LEVELS = (0.7, 0.5, 0.2)
decimal.getcontext().prec = 50


def summary_of(purchases, end):
    """x, t_x and T in weeks, by lifetimes, of [(customer, local time)]."""
    frame = pandas.DataFrame(purchases, columns=["customer", "time"])
    summary = summary_data_from_transaction_data(frame, "customer", "time", observation_period_end=end, freq="D")
    summary["recency"] /= 7
    summary["T"] /= 7
    return summary


@pytest.fixture(scope="module")
def sample():
    return summary_of([(c, pandas.Timestamp(day)) for c, day in customers.purchases()], customers.END)


@pytest.fixture(scope="module", params=FITTERS)
def both(request, sample):
    """(model, tagd's section, lifetimes' fitter) of the sample's weeks 1 to 39."""
    fitter = FITTERS[request.param]().fit(sample.frequency, sample.recency, sample["T"])
    return request.param, fit(request.param, "\n".join(customers.lines()), "--until", UNTIL), fitter


def log_likelihood(model, parameters, summary):
    """By lifetimes' formula, whose unit of time here is a week."""
    of_one = FITTERS[model]._negative_log_likelihood(numpy.log(parameters), summary.frequency.values, summary.recency.values,
                                                     summary["T"].values, numpy.ones(len(summary)), 0)
    return -of_one * len(summary)


# ---- the fit ----

def test_cdnows_sample_gives_the_papers_figures():
    section = fit("bg-nbd", "\n".join(customers.lines()), "--until", UNTIL)
    assert [round(section[p], 3) for p in PARAMETERS] == [0.243, 4.414, 0.793, 2.426]
    assert round(section["fit"]["log_likelihood"], 1) == -9582.4
    assert section["fit"]["repeat_purchases"]["actual"] == [1411, 439, 214, 100, 62, 38, 29, 64]
    assert section["fit"]["customers"] == 2357 and section["fit"]["repeat_customers"] == 946 and section["fit"]["warnings"] == []


def test_the_fit_is_lifetimes_fit(both, sample):
    model, section, fitter = both
    for name in PARAMETERS:
        assert section[name] == pytest.approx(fitter.params_[name], abs=5e-4), name
    found = log_likelihood(model, [section[p] for p in PARAMETERS], sample)
    assert section["fit"]["log_likelihood"] == pytest.approx(found, abs=1e-3)
    assert found >= log_likelihood(model, fitter.params_.values, sample) - 1e-6  # ours is no worse


def test_standard_errors_are_those_of_autograds_hessian(both):
    _, section, fitter = both
    for name in PARAMETERS:
        assert section["fit"]["standard_errors"][name] == pytest.approx(fitter.standard_errors_[name], rel=5e-3), name


def test_standard_errors_are_those_of_differences_of_the_likelihood(both, sample):
    """Without logarithms and the delta method: the Hessian by the parameters themselves, from values alone."""
    model, section, fitter = both
    at, n = fitter.params_.values, len(PARAMETERS)
    steps = at * 1e-3
    hessian = numpy.empty((n, n))
    for i in range(n):
        for j in range(n):
            value = 0
            for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                point = at.copy()
                point[i] += s * steps[i]
                point[j] += t * steps[j]
                value -= s * t * log_likelihood(model, point, sample)
            hessian[i, j] = value / (4 * steps[i] * steps[j])
    errors = numpy.sqrt(numpy.diag(numpy.linalg.inv(hessian)))
    for name, error in zip(PARAMETERS, errors):
        assert section["fit"]["standard_errors"][name] == pytest.approx(error, rel=0.01), name


def test_expected_counts_are_those_of_the_formula(both, sample):
    _, section, fitter = both
    expected = [sum(float(fitter.probability_of_n_purchases_up_to_time(t, k)) * n for t, n in sample["T"].value_counts().items())
                for k in range(7)]
    expected.append(len(sample) - sum(expected))
    counts = section["fit"]["repeat_purchases"]
    assert counts["expected"] == pytest.approx(expected, abs=0.1)
    statistic = sum((a - e) ** 2 / e for a, e in zip(counts["actual"], expected))
    assert counts["chi_square"] == pytest.approx(statistic, abs=0.01) and counts["degrees_of_freedom"] == 8 - 1 - len(PARAMETERS)
    assert counts["p_value"] == pytest.approx(scipy.stats.chi2.sf(statistic, 3), abs=1e-3)


# ---- P(alive) ----

def test_p_alive_is_lifetimes_on_all_customers(both, sample):
    model, _, fitter = both
    published = pandas.read_csv(os.path.join(DATA, "lifetimes/datasets/cdnow_customers_summary.csv"))
    parameters = [float(p) for p in fitter.params_.values]
    for summary in (sample, published):
        theirs = fitter.conditional_probability_alive(summary.frequency, summary.recency, summary["T"])
        ours = p_alive(model, parameters, [(int(x), float(t_x), float(T)) for x, t_x, T in zip(summary.frequency, summary.recency, summary["T"])])
        silent = [x == 0 and model == "bg-nbd" for x in summary.frequency]
        assert [math.isnan(p) for p in ours] == silent
        assert all(p == 1 for p, s in zip(theirs, silent) if s)  # where ours says nothing, lifetimes says 1
        worst = max(abs(a - b) for a, b, s in zip(ours, theirs, silent) if not s)
        print(f"\n{model}: P(alive) of {len(summary)} customers, {len(summary) - sum(silent)} compared, at most {worst:.2e} apart")
        assert len(summary) == 2357 and worst < 1e-9


def exact_alive(model, parameters, x, first, last, now):
    r, alpha, a, b = map(decimal.Decimal, parameters)
    stayed = b + x - (1 if model == "bg-nbd" else 0)
    age, until_last = (alpha + decimal.Decimal(ms - first) / WEEK_MS for ms in (now, last))
    return 1 / (1 + a / stayed * (((r + x) * (age / until_last).ln()).exp()))


def test_crossings_are_exact_to_the_millisecond(both):
    """Of every customer, at exact instants of the day, for three levels: 50 digits say on which millisecond P(alive) is below the
    level for the first time. It falls with time, so that's the one that bisection finds."""
    model, section, _ = both
    parameters = [section[p] for p in PARAMETERS]
    dice = random.Random(39)
    rows = []
    for customer, (x, t_x, _) in sorted(customers.summaries().items()):
        first, last = (int((datetime.datetime(1997, 3, 1) - datetime.datetime(1970, 1, 1)).total_seconds() * 1000) + dice.randrange(86400000) + day * 86400000
                       for day in (0, t_x + 1))
        if x > 0 or model == "mbg-nbd":
            rows += [(x, first, last if x else first, level) for level in LEVELS]
    answers = customers.ask("below", model, parameters, rows)
    compared = 0
    for (x, first, last, level), answer in zip(rows, answers):
        value = decimal.Decimal(level)
        if answer == "never":
            assert exact_alive(model, parameters, x, first, last, last + 365250 * 86400000) > value
            continue
        at = int(answer)
        below = exact_alive(model, parameters, x, first, last, at) < value
        if at == last:
            assert below
            continue
        before = exact_alive(model, parameters, x, first, last, at - 1) < value
        assert below and not before, (x, first, last, level, at)
        compared += 1
    print(f"\n{model}: {len(rows)} crossings, {compared} of them after the last purchase, each on the millisecond")
    assert compared > 2000


# ---- what the command takes ----

def test_days_are_local_and_the_order_of_lines_is_nothing():
    """Purchases at any time of the day, several a day, in +08:00, against lifetimes on local times."""
    dice = random.Random(1)
    zone, local = datetime.timedelta(hours=8), []
    for customer, day in customers.purchases():
        for _ in range(dice.choice((1, 1, 2))):
            local.append((customer, datetime.datetime(day.year, day.month, day.day) + datetime.timedelta(milliseconds=dice.randrange(86400000))))
    end = datetime.datetime(1997, 9, 30, 6, 0)  # early in the morning there, still the day before in UTC
    known = [(c, t) for c, t in local if t <= end]
    summary = summary_of(known, end)
    text = [event(c, (t - zone).isoformat(timespec="milliseconds") + "Z", i) for i, (c, t) in enumerate(local)]
    dice.shuffle(text)
    section = fit("bg-nbd", "\n".join(text), "--until", "1997-09-30T06:00:00+08:00", "--timezone", "+08:00")
    assert section["fit"]["customers"] == len(summary) and section["fit"]["until"] == "1997-09-29T22:00:00.000Z"
    assert section["fit"]["repeat_customers"] == (summary.frequency > 0).sum()
    assert section["fit"]["repeat_purchases"]["actual"] == [(summary.frequency == k).sum() for k in range(7)] + [(summary.frequency >= 7).sum()]
    fitter = lifetimes.BetaGeoFitter().fit(summary.frequency, summary.recency, summary["T"])
    for name in PARAMETERS:
        assert section[name] == pytest.approx(fitter.params_[name], abs=5e-4), name
    assert section["fit"]["log_likelihood"] == pytest.approx(log_likelihood("bg-nbd", [section[p] for p in PARAMETERS], summary), abs=1e-3)
    assert fit("bg-nbd", "\n".join(text), "--until", "1997-09-30T06:00:00+08:00") != section  # days of UTC are others


def test_until_is_by_default_the_latest_events_time_of_whatever_type():
    text = customers.lines()
    late = event("C0", "1998-07-15T12:00:00Z", type="login")
    whole = fit("mbg-nbd", "\n".join(text))
    assert whole["fit"]["until"] == "1998-06-30T00:00:00.000Z"
    assert fit("mbg-nbd", "\n".join(text), "--until", "1998-06-30T00:00:00Z") == whole  # the time itself is included
    assert fit("mbg-nbd", "\n".join([*text, late])) == fit("mbg-nbd", "\n".join(text), "--until", "1998-07-15T12:00:00Z")


def test_only_events_of_the_type_are_purchases(tmp_path):
    text = [line.replace("order.paid", "visit") for line in customers.lines()]
    mixed = text + [event("C0", f"1997-0{month}-01T00:00:00Z", type="order.paid") for month in range(1, 7)]
    (tmp_path / "visits.jsonl").write_text("\n".join(mixed) + "\n")
    section = fit("bg-nbd", "", "--event", "visit", "--until", UNTIL, str(tmp_path / "visits.jsonl"))
    assert section == {**fit("bg-nbd", "\n".join(customers.lines()), "--until", UNTIL), "event": "visit"}


def test_bad_lines_are_told_and_the_rest_is_fitted():
    text = customers.lines()
    bad = [*text[:10], "{nonsense", *text[10:], event("null", "1997-01-01T00:00:00Z")]
    done = run_fit("\n".join(bad), "--model", "bg-nbd", "--until", UNTIL)
    assert [(line["line"], line["error"]) for line in map(json.loads, done.stderr.splitlines())] == [(11, "malformed"), (len(bad), "junk_subject")]
    assert done.returncode == 65 and json.loads(done.stdout)["churn"] == fit("bg-nbd", "\n".join(text), "--until", UNTIL)


def test_warnings_are_in_the_section_and_on_standard_error():
    """A subscription: everybody buys on the first of each month, until one day half of them don't."""
    text = [event(f"C{c}", f"2026-{month:02}-01T10:00:00Z") for c in range(400) for month in range(1, 13) if c % 2 or month < 7]
    done = run_fit("\n".join(text), "--model", "bg-nbd")
    assert done.returncode == 0
    warnings = json.loads(done.stdout)["churn"]["fit"]["warnings"]
    assert done.stderr.splitlines() == [f"tagd: warning: {warning}" for warning in warnings]
    assert any("the model doesn't tell how often customers bought" in warning for warning in warnings), warnings


def test_what_isnt_known_is_null():
    """Ten customers who all did the same leave the parameters open."""
    text = [event(f"C{c}", f"2026-01-{day:02}T10:00:00Z") for c in range(10) for day in (1, 8)]
    section = fit("bg-nbd", "\n".join(text))
    assert section["fit"]["repeat_purchases"]["p_value"] is None and section["fit"]["repeat_purchases"]["degrees_of_freedom"] == 0
    assert any("only 10 customers" in warning for warning in section["fit"]["warnings"])
    assert all(customers_error is None or customers_error > 0 for customers_error in section["fit"]["standard_errors"].values())


def test_output_that_cant_be_written_is_told():
    with open("/dev/full", "w") as full:
        done = subprocess.run([customers.TAGD, "fit", "--model", "bg-nbd"], input="\n".join(customers.lines()), stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (69, "tagd: can't write to standard output; see where it leads\n")


def test_too_few_customers_are_refused():
    done = run_fit("\n".join(customers.lines()[:30]), "--model", "mbg-nbd")
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr == "tagd: -: 5 of 8 customers bought on more than one day; a fit wants 10 such or more; take a longer history, or more customers\n"
    done = run_fit("\n".join(customers.lines()), "--model", "mbg-nbd", "--until", "1996-12-31T00:00:00Z")
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr == "tagd: -: no event of type order.paid until then; name the type of a purchase with --event\n"


# ---- the document ----

def test_the_documents_tables_are_what_the_script_prints():
    printed = subprocess.run([sys.executable, os.path.join(ROOT, "tests/model/churn_table.py")], capture_output=True, text=True, timeout=60)
    assert printed.returncode == 0, printed.stderr
    document = open(os.path.join(ROOT, "deploy/churn.md")).read()
    parts = printed.stdout.strip().split("\n\n")
    assert len(parts) == 5
    for part in parts:
        assert part in document, part
