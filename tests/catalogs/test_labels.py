"""What people read: every catalog, event type, dimension, tag, alert, goal, level and driver has a name in English and in Chinese,
and a plan says what is to be done."""
import pytest

from timeline import CATALOGS, END, path_of, read_catalog, read_samples, simulate

LANGUAGES = {"en", "zh-CN"}
PLAN = {"goal", "channels", "content", "cadence", "owner"}
TOUCH = {"purpose", "channels", "owner"}  # of a touch that is due: the plan behind it says the rest
PLANNED = {"retail": ["care.plan", "value.strategic"], "rfm": ["rfm.segment"], "accounts": ["potential.level", "care.cadence", "quality.verify"], "loyalty": ["loyalty.tier", "moment.now"]}


def labelled(catalog):
    """(where, what has the label)"""
    document = read_catalog(catalog)
    yield "", document
    for section in ("events", "dimensions", "alerts", "goals"):
        yield from ((f"/{section}/{name}", node) for name, node in document.get(section, {}).items())
    for name, dimension in document["dimensions"].items():
        yield from ((f"/dimensions/{name}/{tag['tag']}", tag) for tag in dimension.get("tags", []))
    yield "/churn", document["churn"]
    yield from ((f"/churn/{name}", level) for name, level in document["churn"]["levels"].items())
    yield from ((f"/churn/{driver['name']}", driver) for driver in document["churn"]["drivers"])


@pytest.mark.parametrize("catalog", CATALOGS)
def test_everything_has_a_name_in_both_languages(catalog):
    for where, node in labelled(catalog):
        assert node.get("label", {}).keys() == LANGUAGES, where
        assert all(text.strip() for text in node["label"].values()), where
        assert any("一" <= c <= "鿿" for c in node["label"]["zh-CN"]) or not any(c.isalpha() for c in node["label"]["zh-CN"]), where


@pytest.mark.parametrize("catalog", CATALOGS)
def test_names_of_tags_differ_in_their_dimension(catalog):
    for name, dimension in read_catalog(catalog)["dimensions"].items():
        for language in LANGUAGES:
            labels = [tag["label"][language] for tag in dimension.get("tags", [])]
            assert len(labels) == len(set(labels)), (name, language)


@pytest.mark.parametrize("catalog", CATALOGS)
def test_a_plan_says_what_is_to_be_done(catalog):
    for where, node in labelled(catalog):
        plan = node.get("plan")
        if plan is None:
            continue
        assert plan.keys() == (TOUCH if where.startswith("/dimensions/care.due/") else PLAN), where
        assert plan["channels"] and plan["owner"], where
        if "goal" in plan:
            assert plan["goal"].keys() == LANGUAGES and plan["content"] and all(c.keys() == LANGUAGES for c in plan["content"]), where
    for name in PLANNED[catalog]:
        for tag in read_catalog(catalog)["dimensions"][name]["tags"]:
            assert "plan" in tag, (name, tag["tag"])


def test_a_change_carries_the_plan():
    wanted = {tag["tag"]: tag["plan"] for tag in read_catalog("retail")["dimensions"]["care.plan"]["tags"]}
    changes = [e["data"] for e in simulate(path_of("retail"), read_samples("retail"), END) if e["data"].get("dimension") == "care.plan"]
    assert {change["to"] for change in changes} == wanted.keys()
    assert all(change["plan"] == wanted[change["to"]] for change in changes)
