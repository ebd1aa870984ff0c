"""No tag flashes: what a session leaves behind, silence takes away step by step, and each step that time alone brings lasts an hour
at least, or ends with an event of the customer's."""
import itertools
import json

import pytest

from timeline import BEGIN, CATALOGS, UNITS, instant, path_of, read_catalog, simulate, time_ms, time_text, told

HOUR, DAY = UNITS["h"], UNITS["d"]
SILENCE = 400 * DAY
# when a session begins: in the middle of an hour, across an hour, across midnight, after it, on the hour
BEGINS = [instant(b) for b in ("9h+20m", "9h+50m", "23h+50m", "5m", "23h+55m+1ms", "10h")]
GAPS = [1, 60_000, 20 * 60_000, HOUR]  # ms between the session's events
DATA = {
    "order.paid": {"order_id": "o", "amount": 60000, "category": "a", "coupon": True, "launch": True, "margin": "high"},
    "order.refunded": {"amount": 1}, "chat.message": {"direction": "inbound"}, "contact.sent": {"by": "li", "channel": "phone", "purpose": "deep"},
    "contact.answered": {"response_seconds": 60}, "feedback.rated": {"score": 9}, "inquiry.made": {"topic": "after-sales"},
    "live.view": {"room_id": "r", "watch_seconds": 60}, "campaign.joined": {"campaign": "a"}, "campaign.clicked": {"campaign": "a"},
}


def events_of(subject, begin, types, gap, data=DATA):
    for i, type in enumerate(types):
        at = begin + i * gap
        more = {"contact.planned": {"due": time_text(at + 3 * DAY)}, "agreement.signed": {"until": time_text(at + 200 * DAY)}}.get(type, data.get(type, {}))
        yield {"specversion": "1.0", "id": f"{subject}/{i}", "source": "app" if i % 2 else "store", "type": type, "subject": subject, "time": time_text(at), "data": more}


def flashes(catalog, events):
    """(customer, what, tag, ms it stood) of each that time alone brought and took again within an hour; how many changes there were."""
    events = sorted(events, key=lambda e: time_ms(e["time"]))
    out = simulate(path_of(catalog), events, time_ms(events[-1]["time"]) + SILENCE)
    since, found = {}, []
    for change in out:
        for name, tag in told(change).items():
            at, by_time = time_ms(change["time"]), change["data"]["origin"] == "time"
            before = since.get((change["subject"], name))
            if before and before[2] and by_time and before[0] is not None and at - before[1] < HOUR and not name.startswith(("goal.", "proposal.")):
                found.append((change["subject"], name, before[0], at - before[1]))
            since[change["subject"], name] = (tag, at, by_time)
    return found, len(out)


@pytest.mark.parametrize("catalog", CATALOGS)
def test_a_login_and_an_order_in_an_hour_then_silence(catalog):
    """Orders of every size, so that each level has its turn."""
    events = []
    for b, gap, amount in itertools.product(BEGINS, GAPS, (10, 3000, 10000, 60000, 100000, 500000)):
        data = {**DATA, "order.paid": {**DATA["order.paid"], "amount": amount}}
        for k, types in enumerate((("login", "order.paid"), ("order.paid", "login"), ("order.paid", "order.paid"))):
            events += events_of(f"{b - BEGIN}-{gap}-{amount}-{k}", b, types, gap, data)
    found, changes = flashes(catalog, events)
    assert not found, (len(found), found[:5])
    assert changes > 1000


@pytest.mark.parametrize("catalog", CATALOGS)
def test_any_two_events_in_a_session_then_silence(catalog):
    types = [*read_catalog(catalog)["events"]]
    events = []
    for (a, b), begin, gap in itertools.product(itertools.product(types, types), BEGINS[1:3], (20 * 60_000,)):
        events += events_of(f"{a}-{b}-{begin - BEGIN}-{gap}", begin, (a, b), gap)
    found, changes = flashes(catalog, events)
    assert not found, (len(found), found[:5])
    assert changes > 1000


@pytest.mark.parametrize("catalog", CATALOGS)
def test_long_sessions_then_silence(catalog):
    """Five orders, six visits, three talks: all within an hour."""
    events = []
    for begin, gap in itertools.product(BEGINS, (1, 60_000, 10 * 60_000)):
        for types in (["order.paid"] * 5, ["login"] * 6, ["page.view"] * 3 + ["inquiry.made"] * 3, ["login", "order.paid", "contact.sent", "contact.sent", "contact.sent", "order.paid"],
                      ["order.paid", "referral.made", "login", "community.post", "campaign.joined", "chat.message"]):
            events += events_of(f"{begin - BEGIN}-{gap}-{'-'.join(types)}", begin, types, gap)
    found, _ = flashes(catalog, events)
    assert not found, (len(found), found[:5])


@pytest.mark.parametrize("catalog", CATALOGS)
def test_a_regular_rhythm_then_silence(catalog):
    """Somebody who comes every week, month or quarter, up to twenty minutes early or late."""
    events = []
    for every, late, n, type, amount in itertools.product((7, 30, 90), (-20, -1, 0, 1, 20), (2, 3, 5), ("order.paid", "login"), (100, 3000, 60000)):
        subject = f"{every}-{late}-{n}-{type}-{amount}"
        for i in range(n):
            event, = events_of(subject, BEGIN + 9 * HOUR + i * every * DAY + (i % 2) * late * 60_000, [type], 0, {**DATA, "order.paid": {**DATA["order.paid"], "amount": amount}})
            events.append({**event, "id": f"{subject}/{i}"})
    found, _ = flashes(catalog, events)
    assert not found, (len(found), found[:5])


@pytest.mark.parametrize("catalog", CATALOGS)
def test_two_events_as_far_apart_as_a_cadence_then_silence(catalog):
    """What falls due by the one must not be taken back, or given away, by what the other began."""
    types, events = ("login", "order.paid", "contact.sent", "referral.made", "payment.overdue", "inquiry.made"), []
    for a, b, hours, late in itertools.product(types, types, (56, 112, 7 * 24, 15 * 24, 30 * 24, 60 * 24, 90 * 24), (-20 * 60_000, -1, 1, 20 * 60_000)):
        subject = f"{a}-{b}-{hours}-{late}"
        for i, (type, at) in enumerate(((a, BEGIN + 9 * HOUR), (b, BEGIN + (9 + hours) * HOUR + late))):
            event, = events_of(subject, at, [type], 0)
            events.append({**event, "id": f"{subject}/{i}"})
    found, changes = flashes(catalog, events)
    assert not found, (len(found), found[:5])
    assert changes > 1000


def test_a_flash_is_seen(tmp_path):
    """The check itself: a catalog whose window empties minutes before its silence is long enough."""
    catalog = {"catalog": "flashing", "version": "1", "timezone": "+08:00", "events": {"login": {}}, "dimensions": {"behaviour.activity": {"tags": [
        {"tag": "active", "when": "count(login[30d]) >= 1"}, {"tag": "dormant", "when": "since(login) >= 30d"}, {"tag": "quiet", "when": "true"}]}}}
    path = tmp_path / "flashing.json"
    path.write_text(json.dumps(catalog))
    event, = events_of("C1", BEGIN + 20 * 60_000, ["login"], 0)
    out = simulate(str(path), [event], BEGIN + SILENCE)
    assert [c["data"]["to"] for c in out] == ["active", "quiet", "dormant"]
    assert time_ms(out[2]["time"]) - time_ms(out[1]["time"]) == 20 * 60_000
