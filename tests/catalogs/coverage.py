#!/usr/bin/env python3
"""Every row of the four customer systems -> the line of the catalog that is it, and the tests that show it: deploy/catalogs/coverage.md.

usage: coverage.py [--check]    writes it; or says whether it is as it would be written (exit 1: it isn't)"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = ROOT + "/deploy/catalogs/coverage.md"

FLASH = "[test_flash.py](../../tests/catalogs/test_flash.py)"
SAMPLES = "[test_sample_events.py](../../tests/catalogs/test_sample_events.py)"
LABELS = "[test_labels.py](../../tests/catalogs/test_labels.py)"
TOLD = "[test_told.py](../../tests/catalogs/test_told.py)"
REPORT = "[test_report.py](../../tests/catalogs/test_report.py)"
THRESHOLDS = "[test_thresholds.py](../../tests/catalogs/test_thresholds.py)"
NEVER = "[test_never.py](../../tests/catalogs/test_never.py)"
CHOICES = "[test_choices.py](../../tests/catalogs/test_choices.py)"
E2E = "[test_catalogs.py](../../tests/e2e/test_catalogs.py)"
SHARED = [
    ("events and their fields, shared by all four", ["events"], SAMPLES),
    ("interaction: anything the customer does, and nothing that staff do or that is a state of payment", ["groups/interaction"], None),
    ("labels in English and Chinese", ["label"], LABELS),
    ("nothing flashes", ["metrics"], FLASH),
]
CHURN = [
    ("churn risk by each customer's own rhythm: BG/NBD, levels stable, watch (< 0.7), at-risk (< 0.5), churned (< 0.2); where it has nothing to say, silence", ["churn.level"],
     "[test_churn.c](../../tests/unit/test_churn.c), [tests/model](../../tests/model/test_fit.py)"),
]
# The rows, in words of our own: catalog -> [(row, names in the catalog, other tests)]. A name without a line of its own in a table stands for its JSON.
ROWS = {
    "retail": SHARED + [
        ("value: net spend in a year; high from 10,000, middle from 3,000, else low", ["value.level"], None),
        ("profit: high-margin purchases' share of a year's spend; high from 0.5, middle from 0.2, else low", ["value.profit"], None),
        ("strategic value, by hand: benchmark, opinion leader", ["value.strategic"], None),
        ("repurchase: orders in a year; two and more, one, none", ["value.repurchase"], None),
        ("activity: active by two interactions in 30 days, or for 30 days by an order made while dormant or lost; dormant by 30 to 90 days of silence; lost over 90; quiet by one interaction",
         ["behaviour.activity"], None),
        ("logins and visits in 30 days: high from 5, middle from 2, else low", ["behaviour.channel-activity"], None),
        ("mean time to answer contacts in 90 days: fast up to 2 hours, normal up to 24, else slow", ["behaviour.response"], None),
        ("orders a campaign click in 90 days: high, middle, low, none; a referral in a year makes an advocate", ["behaviour.conversion", "behaviour.advocacy"], None),
        ("region, gender, band of age, occupation, from attributes", ["feature.region", "feature.gender", "feature.age-band", "feature.occupation"], None),
        ("first channel and main channel of 90 days, each also as online or offline by a table",
         ["feature.first-channel", "feature.main-channel", "feature.first-line", "feature.main-line", "tables/line"], None),
        ("most bought category of 180 days", ["need.category"], None),
        ("style: price-sensitive by coupons on 60 % of a year's orders, new products first by launches on half, after-sales by 3 inquiries in 90 days, quality first by high margin on half",
         ["need.style"], None),
        ("care plan: loyalty (high and active), win-back (middle or high, and dormant), onboarding (low, first seen up to 30 days ago), follow-up on churn (three months without an interaction), "
         "else automated", ["care.plan"], None),
        ("a touch is due: the plan's cadence has passed since the last contact, and the cap is not reached", ["care.due"], None),
        ("cap: of low value at most 3 contacts in 30 days", ["care.capped"], None),
        ("a plan has goal, channels, content, cadence and owner, in the catalog and in changes", ["care.plan"], LABELS),
        ("goal: an order within 30 days of becoming dormant, by 15 % of them", ["goal.reactivate"], None),
        ("examples 1 to 3: a loyal customer on Douyin, a dormant one of the store, one who comes back", ["worked examples"], E2E),
        ("example 4: an official account and a store's customer are one, once linked", [], "waits: linking two customers is not in this version (`identity.linked` is told as `unsupported`)"),
    ] + CHURN,
    "rfm": SHARED + [
        ("R: the last purchase within 30, 60, 90 days, or longer ago", ["rfm.recency"], None),
        ("F: orders a month; high from 5, middle from 1, low none", ["rfm.frequency"], None),
        ("M: money in all; high from 100,000, middle from 50,000, else potential", ["rfm.monetary"], None),
        ("segments: high value, potential, at risk of churn, and the eight quadrants of R, F and M", ["rfm.segment"], None),
        ("industry, and scale by employees or revenue", ["base.industry", "base.scale"], None),
        ("need, by sales: procurement, consulting, co-development", ["need.type"], None),
        ("three visits of the website in a week", ["behaviour.visit-frequency"], None),
        ("five orders a month, proposed by the rule and confirmed by a person", ["behaviour.purchase-frequency"], None),
        ("online: most inquiries and chats of 90 days on website or app", ["behaviour.channel"], None),
        ("spend of 30 days: middle from 50,000, high from 100,000", ["value.month"], None),
        ("mean order over 20,000", ["value.order"], None),
        ("wants an answer within two hours, by hand", ["need.response"], None),
        ("stage: deep by an agreement in force or three categories in a year; new up to 90 days from the first order; else cooperating", ["status.stage"], None),
        ("risk: low without a complaint in a year, a year from the first order on; watch while a complaint is open", ["status.risk"], None),
        ("tags by hand, by rules, and reviewed", ["need.type", "rfm.recency", "behaviour.purchase-frequency"], None),
        ("a new tag needs no code: tags are lines of the catalog", ["rfm.segment"], TOLD),
        ("merged tags: the old name works on", ["aliases"], "[test_rows.py](../../tests/catalogs/test_rows.py): `need.type: procurement: by its old name, purchase`, `status.stage: deep: by its old name, strategic`"),
        ("quarterly review: a tag's population, who came and went", ["breakdowns", "measures"],
         "[population](../population.md), `/v1/population?days=90`, " + TOLD + "; `tagd report --period 90d`: " + REPORT),
    ] + CHURN,
    "accounts": SHARED + [
        ("value: a year's amount; high from 500,000, middle from 100,000, else low", ["value.level"], None),
        ("potential, from intent and need: key, potential, waiting", ["potential.level", "tables/strength"], None),
        ("risk: stable without an overdue payment, warning by one in a year, churn by three months of nothing", ["risk.level"], None),
        ("industry, region, scale, normalised by tables", ["base.industry", "base.region", "base.scale", "tables/industry", "tables/region", "tables/scale"], None),
        ("purchase cycle by the mean gap between orders: weekly, monthly, quarterly, yearly", ["behaviour.cycle"], None),
        ("most bought category of a year", ["behaviour.preference"], None),
        ("interactions a month: weekly from 4, monthly from 1, else rare", ["behaviour.contact"], None),
        ("trends: the last 90 days against the 90 before; up or down by more than 10 %, flat", ["trend.interaction", "trend.orders"], None),
        ("to be verified: attributes that contradict each other, a required one missing", ["quality.verify"], None),
        ("alert: a high-value account that churns, raised and cleared, with the values behind it", ["alert.key-loss"], TOLD + ", " + E2E),
        ("care: high monthly in person, middle quarterly, low automated; due when the time since the last contact exceeds that", ["care.cadence", "care.due"], None),
        ("dates written differently are one date", ["base.customer-since"], None),
        ("portrait: customers by industry, region, scale and level, at any time", ["breakdowns"], "[population](../population.md), " + TOLD),
    ] + CHURN,
    "loyalty": SHARED + [
        ("tier: silent by three months without an interaction; loyal by 10,000 in a year, and a referral in it or 4 orders in a quarter; potential by 3,000 and an order in each of two quarters; else active",
         ["loyalty.tier"], None),
        ("moment: first order's follow-up, repair after a complaint, birthday, anniversary, long-term care, a benefit not used", ["moment.now"], None),
        ("repurchases of the quarter: 0, 1, 2 and more", ["quarter.repurchases"], None),
        ("mean order against the quarter before: up, flat, down", ["quarter.order-value"], None),
        ("complaints of the quarter: 0, 1, 2 and more", ["quarter.complaints"], None),
        ("participation in campaigns, posts and chats: high from 6, middle from 2, else low", ["quarter.participation", "groups/taking-part"], None),
        ("referrals of the quarter: 0, 1 and more", ["quarter.referrals"], None),
        ("style: price, service, technical matters; by rules or by hand", ["need.style"], None),
        ("net promoter by the latest rating: from 9, from 7, below", ["voice.nps"], None),
        ("the earliest planned contact that isn't met: due, overdue", ["contact.next"], None),
        ("silent and price-sensitive: handled as active", ["care.track"], None),
        ("effect figures from goals: repurchase, coming back, interaction, churn", ["goal.repurchase", "goal.bring-back", "goal.interaction", "goal.not-churned"], None),
        ("effect figures, weekly and monthly: `tagd report --period 7d` and `30d`, by goals and measures", ["measures"], REPORT),
        ("targets: 15 % more repurchases within a quarter, 20 % fewer silent customers lost", ["goal.repurchase", "goal.bring-back"], "[test_report.c](../../tests/unit/test_report.c), [choices](README.md#choices)"),
        ("effect figures: NPS, from the population of its three tags, and as measures", ["voice.nps", "measures"], "[population](../population.md), " + TOLD + ", " + REPORT),
    ] + CHURN,
}
TITLES = {"retail": "retail: multi-channel care", "rfm": "rfm: RFM model and tag tree", "accounts": "accounts: B2B accounts", "loyalty": "loyalty: keeping and raising loyalty"}


def line_of(lines, name):
    """The number of the line that defines the name; keys of the top stand two spaces in, of these four."""
    section, key = "dimensions", name
    if name == "churn.level":
        section, key = None, "churn"
    elif name.startswith(("alert.", "goal.")):
        section, key = name.split(".")[0] + "s", name.split(".")[1]
    elif "/" in name:
        section, key = name.split("/")
    elif "." not in name:
        section = None
    inside = section is None
    for number, line in enumerate(lines, 1):
        top = re.match(r'  "([\w-]+)":', line)
        if section is None and top and top[1] == key:
            return number
        if top:
            inside = section is not None and top[1] == section
        if inside and section is not None and line.startswith(f'    "{key}":'):
            return number
    raise LookupError(f"no line for {name}")


def tables():
    """catalog -> name -> (line of its row in the table, timelines)"""
    found = {}
    for catalog in ROWS:
        rows = found[catalog] = {}
        name = None
        for number, line in enumerate(open(f"{HERE}/{catalog}.txt"), 1):
            if line.startswith("= "):
                name = line[2:].split("|")[0].strip()
                rows[name] = [number, 0]
            elif line.startswith("* "):
                rows[name][1] += 1
    return found


def document():
    shown = tables()
    out = ["# Every row, its line in a catalog, and the tests that show it", "",
           "`python3 tests/catalogs/coverage.py` writes this page; a test tells if it is out of date. A *timeline* is one customer's events with the tag that", "must stand after each "
           "of them, and at instants between: at the threshold, a unit below it, by event and by time ([the tables](../../tests/catalogs/retail.txt)).",
           f"Whatever number, window, comparison or time of a catalog is turned by one unit, a timeline fails: {THRESHOLDS}.",
           f"What a table says can't be is tried on customers drawn at random: {NEVER}. Every choice is in [README.md](README.md#choices), beside its value: {CHOICES}.",
           f"All samples and the worked examples also go through the daemon, a real Kafka and a real Redis: {E2E}."]
    for catalog, rows in ROWS.items():
        lines = open(f"{ROOT}/deploy/catalogs/{catalog}.json").read().splitlines()
        out += ["", f"## {TITLES[catalog]}", "", "| row | in the catalog | shown by |", "|---|---|---|"]
        for words, names, more in rows:
            links, tests = [], []
            for name in names:
                if name != "worked examples":
                    links.append(f"[{name.split('/')[-1]}]({catalog}.json#L{line_of(lines, name)})")
                if name in shown[catalog] and not (more and more.startswith(LABELS)):
                    line, n = shown[catalog][name]
                    tests.append(f"[{n} timeline{'s' if n > 1 else ''}](../../tests/catalogs/{catalog}.txt#L{line})")
            if names == ["groups/interaction"]:
                name = {"retail": "behaviour.activity", "rfm": "behaviour.channel", "accounts": "behaviour.contact", "loyalty": "loyalty.tier"}[catalog]
                tests.append(f"[{name}](../../tests/catalogs/{catalog}.txt#L{shown[catalog][name][0]})")
            out.append(f"| {words} | {', '.join(links) or '-'} | {', '.join(tests + ([more] if more else []))} |")
        told = {name for _, names, _ in rows for name in names}
        missing = set(shown[catalog]) - told
        assert not missing, f"{catalog}: rows of the table that no row here names: {missing}"
    return "\n".join(out) + "\n"


def main():
    text = document()
    if "--check" in sys.argv[1:]:
        if not os.path.exists(OUT) or open(OUT).read() != text:
            sys.exit("deploy/catalogs/coverage.md is out of date: run python3 tests/catalogs/coverage.py")
        return
    with open(OUT, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
