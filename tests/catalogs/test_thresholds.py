"""A row is shown at its threshold and a unit below it: whatever number, window, comparison or time of a catalog is turned by one unit, a timeline fails."""
import pytest

from timeline import CATALOGS
from turned import unnoticed

LEAST = {"retail": 150, "rfm": 100, "accounts": 70, "loyalty": 120}


@pytest.mark.parametrize("catalog", CATALOGS)
def test_a_catalog_turned_by_one_unit_is_noticed(catalog):
    found, tried = unnoticed(catalog)
    assert not found, found
    assert tried >= LEAST[catalog]


def test_what_no_timeline_shows_is_told():
    """The check itself: with the timelines of one row alone most turns go unnoticed, and those of that row don't."""
    found, tried = unnoticed("rfm", only="value.order")
    assert tried // 2 < len(found) < tried
    assert not [what for what in found if what.startswith(("large_order:", "value.order."))]
