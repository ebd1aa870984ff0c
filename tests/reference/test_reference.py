"""The reference itself, against sentences of the contract worked out by hand."""
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import reference  # noqa: E402

DAY = 86400000
T0 = reference.time_ms("2026-03-01T10:30:00.250Z")


def run(rules, records, until=None, zone="+00:00", events=None, grid=False, **more):
    catalog = {"catalog": "c", "version": "1", "timezone": zone,
               "events": events or {"order": {"fields": {"amount": "decimal"}}, "login": {}},
               "dimensions": {"a.b": {"tags": [{"tag": t, "when": w} for t, w in rules]}}, **more}
    lines = [{"id": str(i), "source": "s", "type": t, "subject": "c", "time": reference.time_text(at), "data": d}
             for i, (t, at, d) in enumerate(records)]
    out = reference.simulate(catalog, lines, until, grid).out
    return [(e["data"]["from"], e["data"]["to"], reference.time_ms(e["time"]) - T0) for e in out]


def test_since_is_exact_and_a_strict_comparison_holds_a_millisecond_later():
    rules = [("over", "since(login) > 3d"), ("at", "since(login) >= 2d"), ("fresh", "true")]
    assert run(rules, [("login", T0, {})], T0 + 9 * DAY) == [
        (None, "fresh", 0), ("fresh", "at", 2 * DAY), ("at", "over", 3 * DAY + 1)]


def test_a_window_empties_when_its_pane_leaves():
    start = T0 // 3600000 * 3600000 - T0
    assert run([("yes", "count(login[2h:1h]) > 0")], [("login", T0, {})], T0 + DAY) == [
        (None, "yes", 0), ("yes", None, start + 2 * 3600000)]


def test_a_day_pane_is_local():
    at = reference.time_ms("2026-03-02T16:00:00Z") - T0  # midnight of the 3rd at +08:00; the event fell on the 1st, local
    assert run([("yes", "count(login[2d:1d]) > 0")], [("login", T0, {})], T0 + 9 * DAY, zone="+08:00")[1] == ("yes", None, at)


def test_logic_with_null_is_sqls():
    for rule, holds in (("avg(amount, order) > 1", False), ("not avg(amount, order) > 1", False), ("avg(amount, order) > 1 or true", True),
                        ("1 in (2, null)", False), ("1 in (1, null)", True), ("1 / sum(amount, order) is null", True)):
        assert bool(run([("yes", rule)], [("login", T0, {})])) is holds, rule


def test_decimals_are_rounded_half_away_from_zero_by_their_text():
    assert run([("yes", "sum(amount, order) == 7.1235")], [("order", T0, {"amount": 7.12345})])
    assert run([("yes", "sum(amount, order) == -2.0001")], [("order", T0, {"amount": -2.00005})])


def test_a_duplicate_counts_while_the_clock_is_within_the_span():
    events = {"login": {"dedupe": "1d"}}
    for gap, n in ((DAY, 1), (DAY + 1, 2)):
        lines = [{"id": "x", "source": "s", "type": "login", "subject": "c", "time": reference.time_text(T0 + at)} for at in (0, gap)]
        catalog = {"catalog": "c", "version": "1", "events": events, "dimensions": {"a.b": {"tags": [{"tag": "two", "when": "count(login) == 2"}]}}}
        assert len(reference.simulate(catalog, lines).out) == n - 1


def test_time_comes_first_at_one_instant():
    rules = [("gone", "since(login) >= 1d"), ("here", "true")]
    assert run(rules, [("login", T0, {}), ("login", T0 + DAY, {})]) == [
        (None, "here", 0), ("here", "gone", DAY), ("gone", "here", DAY)]


def test_the_grid_and_the_candidates_agree():
    rules = [("a", "since(login) * 0.3 > since(order) / 7"), ("b", "count(login[2s:500ms]) >= 2")]
    records = [("order", T0, {}), ("login", T0 + 70, {}), ("login", T0 + 900, {}), ("login", T0 + 700, {})]
    assert run(rules, records, T0 + 4000) == run(rules, records, T0 + 4000, grid=True) != []
