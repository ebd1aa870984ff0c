"""The sample events of each catalog: as the script makes them, and every tag at least once."""
import filecmp
import subprocess
import sys

import pytest

from timeline import CATALOGS, END, SAMPLES, path_of, read_catalog, read_samples, simulate, told, validators


def test_the_samples_are_as_the_script_makes_them(tmp_path):
    subprocess.run([sys.executable, SAMPLES + "/make.py", str(tmp_path)], check=True)
    for catalog in CATALOGS:
        assert filecmp.cmp(tmp_path / f"{catalog}.jsonl", f"{SAMPLES}/{catalog}.jsonl", shallow=False), f"{catalog}.jsonl: run deploy/catalogs/samples/make.py"


@pytest.mark.parametrize("catalog", CATALOGS)
def test_the_samples_are_valid_and_few(catalog):
    events = read_samples(catalog)
    for event in events:
        assert validators.fault(validators.EVENT, event) is None
    assert 24 <= len({event["subject"] for event in events}) <= 48
    assert len({(event["source"], event["id"]) for event in events}) == len(events)


# What all four take, and what a customer does: the same in each, so that a company's events are mapped once.
FIELDS = {
    "order.paid": "order_id amount category product coupon launch margin", "order.refunded": "order_id amount", "login": "device", "page.view": "page",
    "live.view": "room_id watch_seconds", "chat.message": "conversation_id direction length", "community.post": "", "campaign.joined": "campaign",
    "campaign.clicked": "campaign", "contact.sent": "by channel purpose", "contact.answered": "response_seconds", "contact.planned": "due",
    "feedback.rated": "score", "complaint.opened": "", "complaint.resolved": "", "referral.made": "", "inquiry.made": "topic", "payment.overdue": "",
    "payment.settled": "", "agreement.signed": "until", "benefit.granted": "", "benefit.used": ""}
BY_STAFF = {"contact.sent", "contact.planned", "complaint.resolved", "benefit.granted", "payment.overdue", "payment.settled"}


@pytest.mark.parametrize("catalog", CATALOGS)
def test_events_and_interactions_are_the_same_in_all(catalog):
    document, first = read_catalog(catalog), read_catalog(CATALOGS[0])
    assert {name: " ".join(event.get("fields", {})) for name, event in document["events"].items()} == FIELDS
    assert document["events"] == first["events"] and document["groups"]["interaction"] == first["groups"]["interaction"]
    assert {member.split("{")[0] for member in document["groups"]["interaction"]} == FIELDS.keys() - BY_STAFF
    assert document["timezone"] == "+08:00" and document["churn"] == first["churn"]


@pytest.mark.parametrize("catalog", CATALOGS)
def test_the_samples_show_every_tag(catalog):
    shown = set()
    for event in simulate(path_of(catalog), read_samples(catalog), END):
        shown |= {(name, value) for name, value in told(event).items() if value}
    document = read_catalog(catalog)
    wanted = {(name, tag["tag"]) for name, dimension in document["dimensions"].items() for tag in dimension.get("tags", [])}
    wanted |= {("churn.level", level) for level in document["churn"]["levels"]}
    wanted |= {(f"alert.{name}", "raised") for name in document.get("alerts", {})}
    wanted |= {(f"goal.{name}", end) for name in document.get("goals", {}) for end in ("running", "reached", "missed")}
    assert not wanted - shown, sorted(wanted - shown)
    values = {name for name, dimension in document["dimensions"].items() if "value" in dimension}
    assert not values - {name for name, _ in shown}, sorted(values - {name for name, _ in shown})
    for name, dimension in document["dimensions"].items():
        if dimension.get("assign") == "review":
            assert {(f"proposal.{name}", status) for status in ("open/high", "approved", "rejected", "expired")} <= shown
