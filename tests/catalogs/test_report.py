"""The report: what its numbers are, counted again from the changes; its page, in both languages."""
import collections
import datetime
import html.parser
import json

import pytest

from test_cohorts import ZONE, month_of, time_of, told as cohorts
from timeline import CATALOGS, END, path_of, read_catalog, read_samples, simulate, time_text, validators

DAYS = 90
FIRST = time_of(time_text(END)).astimezone(ZONE).date() - datetime.timedelta(days=DAYS - 1)
SHARES = {"repurchase", "active-week", "active-month", "churned", "promoters", "detractors"}


def day_of(event):
    return time_of(event["time"]).astimezone(ZONE).date()


def with_checks(catalog, path):
    """The same catalog with a tag for what each measure asks: `yes` or `no`, or none for whom it doesn't count."""
    document = read_catalog(catalog)
    for name in SHARES & document["measures"].keys():
        measure = document["measures"][name]
        document["dimensions"][f"check.{name}"] = {"tags": [
            {"tag": "out", "when": f"not ({measure.get('of', 'true')})"}, {"tag": "yes", "when": measure["value"]},
            {"tag": "no", "when": f"not ({measure['value']})"}]}
    json.dump(document, open(path, "w"))
    return document


def counted(events):
    """(dimension, tag) -> customers at the end, before the period; entries and exits in it. And (a, tag, b, tag) -> customers."""
    tags, came, left, before = collections.defaultdict(dict), collections.Counter(), collections.Counter(), None
    for event in events:
        data = event["data"]
        if before is None and day_of(event) >= FIRST:
            before = collections.Counter(item for of in tags.values() for item in of.items())
        if event["type"] not in ("tagd.tag.changed", "tagd.churn.changed"):
            continue
        if day_of(event) >= FIRST:
            left[data["dimension"], data["from"]] += data["from"] is not None
            came[data["dimension"], data["to"]] += data["to"] is not None
        tags[event["subject"]].pop(data["dimension"], None)
        if data["to"] is not None:
            tags[event["subject"]][data["dimension"]] = data["to"]
    return tags, before, came, left


@pytest.mark.parametrize("catalog", CATALOGS)
def test_every_number_is_what_the_changes_say(catalog, tmp_path):
    path, out = str(tmp_path / "catalog.json"), str(tmp_path / "report.json")
    document = with_checks(catalog, path)
    events = simulate(path, read_samples(catalog), END, "--report", out, "--period", f"{DAYS}d")
    report = json.load(open(out))
    validators.check_report(report)
    tags, before, came, left = counted(events)
    now = collections.Counter(item for of in tags.values() for item in of.items())
    compared = 0
    for name, dimension in report["dimensions"].items():
        for tag in dimension["tags"]:
            key = name, tag["tag"]
            assert tag["customers"] == now[key], key
            if "before" in tag:
                assert (tag["before"], tag["entries"], tag["exits"]) == (before[key], came[key], left[key]), key
            carriers = [of for of in tags.values() if of.get(name) == tag["tag"]]
            for measure, figure in tag["measures"].items():
                if measure in SHARES:
                    said = collections.Counter(of.get(f"check.{measure}") for of in carriers)
                    assert figure["customers"] == said["yes"] + said["no"], (key, measure)
                    assert figure["customers"] == 0 or figure["mean"] == pytest.approx(said["yes"] / figure["customers"], abs=1e-12), (key, measure)
                    compared += 1
    assert compared > 30
    found = {(name, month["month"], customers, state): n for name, goal in report["goals"].items() for month in goal["months"]
             for customers in ("treated", "holdout") for state, n in month[customers].items() if n and state != "rate"}
    months = {(name, month["month"]) for name, goal in report["goals"].items() for month in goal["months"]}
    assert found == {key: n for key, n in cohorts(document, events).items() if key[:2] in months}
    assert all(goal["months"][-1]["month"] == month_of(time_text(END)) for goal in report["goals"].values())
    for name, alert in report["alerts"].items():
        mine = [e for e in events if e["data"].get("alert") == name]
        raised = [e for e in mine if e["type"] == "tagd.alert.raised"]
        assert alert["customers"] == 2 * len(raised) - len(mine)
        assert alert["raised"] == sum(day_of(e) >= FIRST for e in raised)
        assert alert["cleared"] == sum(day_of(e) >= FIRST for e in mine) - alert["raised"]
    for pair in report["breakdowns"]:
        a, b = pair["dimensions"]
        wanted = collections.Counter((of[a], of[b]) for of in tags.values() if a in of and b in of)
        listed = [{t["tag"] for t in report["dimensions"][d]["tags"]} for d in (a, b)]
        assert {tuple(c["tags"]): c["customers"] for c in pair["counts"]} == {k: n for k, n in wanted.items() if k[0] in listed[0] and k[1] in listed[1]}


class Page(html.parser.HTMLParser):
    """That its elements nest, what it says, and what it would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.fetches, self.svgs = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.svgs += tag == "svg"
        self.fetches += [value for name, value in attrs if name in ("src", "href") or "url(" in (value or "")]
        self.fetches += [tag] if tag in ("script", "link", "img", "iframe") else []
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("catalog", CATALOGS)
def test_the_page_stands_alone_and_speaks_the_language(catalog, language, tmp_path):
    out = str(tmp_path / "report.html")
    simulate(path_of(catalog), read_samples(catalog), END, "--report", out, "--period", "90d", "--language", language)
    page, document = Page(), read_catalog(catalog)
    page.feed(open(out).read())
    page.close()
    assert page.open == [] and page.fetches == [] and page.svgs > 10
    said = set(page.text)
    for part in [*document["dimensions"].values(), *document["measures"].values(), *document.get("alerts", {}).values(), *document.get("goals", {}).values()]:
        assert part["label"][language] in said, part["label"]
        assert all(tag["label"][language] in " ".join(said) for tag in part.get("tags", []))
    other = "zh-CN" if language == "en" else "en"
    assert document["dimensions"][next(iter(document["dimensions"]))]["label"][other] not in said


def test_a_tag_drawn_from_the_data_is_text_and_no_markup(tmp_path):
    catalog, out = tmp_path / "catalog.json", str(tmp_path / "report")
    catalog.write_text(json.dumps({"catalog": "c", "version": "1", "events": {}, "attributes": {"name": "string"}, "dimensions": {"a.name": {"value": "attr.name"}}}))
    bad = "<script>alert(1)</script>|&\n\"'"
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "profile.updated", "subject": "C1", "time": "2026-01-01T00:00:00Z", "data": {"attributes": {"name": bad}}}
    simulate(str(catalog), [event], END, "--report", out + ".html")
    page = Page()
    page.feed(open(out + ".html").read())
    assert page.fetches == [] and bad.replace("\n", " ") in page.text
    simulate(str(catalog), [event], END, "--report", out + ".md")
    assert "| &lt;script>alert(1)&lt;/script>\\|&amp; \"' | 1 | 100.0 % |" in open(out + ".md").read()
