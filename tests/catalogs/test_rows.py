"""Every row of the four customer systems, by the tables beside: at the threshold and one unit below it, by event and by time."""
import pytest

from timeline import CATALOGS, WAYS, read_catalog, read_table

TABLES = {catalog: read_table(catalog) for catalog in CATALOGS}
TIMELINES = [pytest.param(catalog, timeline, id=f"{catalog} | {timeline.name}") for catalog in CATALOGS for row in TABLES[catalog] for timeline in row.timelines]
ROWS = [pytest.param(catalog, row, id=f"{catalog} | {row.dimension}: {row.words}") for catalog in CATALOGS for row in TABLES[catalog]]


def tags_of(catalog, dimension):
    """The tags that rules or people give; none of a value's."""
    document = read_catalog(catalog)
    if dimension == "churn.level":
        return list(document["churn"]["levels"])
    if dimension in document["dimensions"]:
        return [tag["tag"] for tag in document["dimensions"][dimension].get("tags", [])]
    return []


@pytest.mark.parametrize("catalog,timeline", TIMELINES)
def test_a_row_is_as_written(catalog, timeline):
    for line, seen in zip(timeline.lines, timeline.seen(catalog)):
        for name, wanted in line.wanted.items():
            assert (seen.get(name) or "-") == wanted, f"{line.place}: {name} is {seen.get(name) or '-'}"
    held = [line.wanted.get(timeline.row.dimension) for line in timeline.lines]
    assert timeline.tag in ("worked example", "no tag", "value") or timeline.tag in held, f"{timeline.lines[0].place}: the tag of this timeline never comes"


@pytest.mark.parametrize("catalog,row", ROWS)
def test_each_tag_of_a_row_comes_and_goes_in_every_way_it_can(catalog, row):
    shown = ways_shown(row)
    for tag in tags_of(catalog, row.dimension):
        for way in WAYS:
            why = row.never.get((way, tag))
            assert (way, tag) in shown or why, f"{row.dimension}: no timeline shows that {tag} {way}"
            assert (way, tag) not in shown or not why, f"{row.dimension}: {tag} {way}, but the table says that it can't: {why}"
    assert {tag for _, tag in row.never} <= set(tags_of(catalog, row.dimension))


def ways_shown(row):
    """(way, tag) that lines of the row's timelines show."""
    shown = set()
    for timeline in row.timelines:
        before = "-"
        for line in timeline.lines:
            tag = line.wanted.get(row.dimension, before)
            if tag != before:
                by = "event" if line.events else "time"
                shown |= {(f"enters by {by}", tag), (f"leaves by {by}", before)}
            before = tag
    return shown


def test_every_dimension_alert_and_goal_has_a_row():
    for catalog in CATALOGS:
        document = read_catalog(catalog)
        names = {*document["dimensions"], *(f"alert.{a}" for a in document.get("alerts", {})), *(f"goal.{g}" for g in document.get("goals", {})), "churn.level"}
        assert names == {row.dimension for row in TABLES[catalog]} - {"worked examples"}, catalog
