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


EVENTS = {"order": {"fields": {"amount": "decimal", "category": "string", "due": "time"}}, "login": {}}


def values(value, records, until=None, zone="+00:00", **more):
    catalog = {"catalog": "c", "version": "1", "timezone": zone, "events": EVENTS, "dimensions": {"a.b": {"value": value}}, **more}
    lines = [{"id": str(i), "source": "s", "type": t, "subject": "c", "time": reference.time_text(at), "data": d}
             for i, (t, at, d) in enumerate(records)]
    return [(e["data"]["to"], reference.time_ms(e["time"]) - T0) for e in reference.simulate(catalog, lines, until).out]


def test_of_equally_frequent_values_the_one_seen_last_by_time_is_the_top():
    seen = [("order", T0, {"category": "a"}), ("order", T0 + 2, {"category": "b"}), ("order", T0 + 1, {"category": "a"}),
            ("order", T0 + 1, {"category": "b"})]  # the last two are late: b stays last by time
    assert values("top(category, order)", seen) == [("a", 0), ("b", 2), ("a", 2), ("b", 2)]


def test_distinct_and_days_and_the_least():
    day = [("order", T0, {"amount": 5}), ("order", T0 + DAY // 2, {"amount": 5.00001}), ("order", T0 + DAY, {"amount": -3}), ("login", T0 + DAY, {})]
    assert values("distinct(amount, order)", day) == [("1", 0), ("2", DAY)]
    assert values("days(order)", day) == [("1", 0), ("2", DAY)]  # 10:30 and 22:30 are one day at +00:00,
    assert values("days(order)", day, zone="+08:00") == [("1", 0), ("2", DAY // 2)]  # two at +08:00, and the next 10:30 is of the second
    assert values("min(amount, order)", day) == [("5", 0), ("-3", DAY)]
    assert values("max(amount, order)", [("login", T0, {})]) == []


def test_until_is_linear_and_negative_once_past():
    due = reference.time_text(T0 + DAY)
    assert run([("over", "until(due, order) < -1h"), ("at", "until(due, order) == 0s")], [("order", T0, {"due": due})], T0 + 9 * DAY, events=EVENTS) == [
        (None, "at", DAY), ("at", None, DAY + 1), (None, "over", DAY + 3600001)]


def test_a_birthday_and_an_attribute():
    update = [("profile.updated", T0, {"attributes": {"born": "2000-02-29", "unknown": 1}}), ("profile.updated", T0 - 1, {"attributes": {"born": None}})]
    attributes = {"attributes": {"born": "date"}}
    assert values("attr.born", update, **attributes) == [("2000-02-29", 0)]
    midnight = reference.time_ms("2026-03-02T00:00:00Z") - T0
    assert values("days_until(attr.born)", update, T0 + DAY, **attributes) == [("364", 0), ("363", midnight)]
    assert [reference.next_return("2000-02-29", reference.datetime(*d)) for d in ((2026, 2, 28), (2028, 2, 28), (2028, 2, 29))] == [0, 1, 0]


def test_a_date_is_the_same_in_every_form():
    for text in ("2023-01-05", "2023/1/5", "2023.01.5", "20230105", "2023年1月05日"):
        assert reference.date(text) == "2023-01-05"
        update = [("profile.updated", T0, {"attributes": {"born": text}})]
        assert values("attr.born", update, attributes={"born": "date"}) == [("2023-01-05", 0)]
        assert run([("yes", f"attr.born == '{text}' and attr.born < '2023/1/6'")], [("profile.updated", T0, {"attributes": {"born": "2023-01-05"}})],
                   attributes={"born": "date"}) == [(None, "yes", 0)]


def test_years_are_full_on_the_day_and_unknown_before_the_date():
    day = reference.datetime
    assert [reference.years_of("1990-03-02", day(*d)) for d in ((1990, 3, 1), (1990, 3, 2), (1991, 3, 1), (1991, 3, 2), (2026, 3, 1))] == [None, 0, 0, 1, 35]
    assert [reference.years_of("2000-02-29", day(*d)) for d in ((2001, 2, 27), (2001, 2, 28), (2004, 2, 28), (2004, 2, 29))] == [0, 1, 3, 4]
    midnight = reference.time_ms("2026-03-02T00:00:00Z") - T0
    for born, found in (("1990-03-02", [("35", 0), ("36", midnight)]), ("2026-03-02", [("0", midnight)])):
        update = [("profile.updated", T0, {"attributes": {"born": born}})]
        assert values("years(attr.born)", update, T0 + DAY, attributes={"born": "date"}) == found


def test_an_anniversary_is_of_the_local_day_of_the_first_event():
    seen = [("login", T0 + DAY, {}), ("login", T0, {}), ("login", T0 + 2 * DAY, {})]  # 18:30 of 1 March at +08:00
    assert values("days_until(login)", seen[:1], zone="+08:00") == [("0", DAY)]
    assert values("days_until(login)", seen[:2], zone="+08:00") == [("0", DAY), ("364", DAY)]
    year = reference.time_ms("2027-02-28T16:00:00Z") - T0
    assert values("years(login)", seen, T0 + 366 * DAY, zone="+08:00") == [("0", DAY), ("1", year)]


def test_a_key_that_a_table_lacks_gives_null_or_else_or_itself():
    tables = {"plain": {"values": {"a": "x", "": "y"}}, "other": {"values": {"a": ""}, "else": "z"}, "kept": {"values": {"a": "x"}, "keep": True}}
    for table, found in (("plain", {"a": "x", "b": None, "": "y", None: None}), ("other", {"a": "", "b": "z", "A": "z", None: None}),
                         ("kept", {"a": "x", "b": "b", "a ": "a ", None: None})):
        for key, value in found.items():
            update = [("profile.updated", T0, {"attributes": {"word": key}})]
            assert values(f"lookup({table}, attr.word)", update, attributes={"word": "string"}, tables=tables) == ([] if value is None else [(value, 0)])
    assert values("lookup(other, lookup(plain, 'a'))", [("login", T0, {})], tables=tables) == [("z", 0)]
