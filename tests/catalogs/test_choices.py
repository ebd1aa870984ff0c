"""deploy/catalogs/README.md lists every choice, with the value that the catalog has."""
import re

import pytest

from choices import README, constant, tables, wrong
from timeline import CATALOGS, read_catalog

TEXT = open(README).read()
# Numbers that the systems state themselves, or that only absorb rounding.
GIVEN = {
    "retail": "value_high value_mid profit_high profit_mid repeat_orders active_interactions dormant_after lost_after came_back_for channel_high channel_mid answer_fast answer_normal "
              "advocate_referrals coupon_share launch_share quality_share after_sales_inquiries onboarding_for follow_up_after deep_every community_every onboarding_every cap_contacts half_a_cent hair",
    "rfm": "month risk_after often_orders money_high money_mid large_employees large_revenue mid_employees mid_revenue visits_high month_high month_mid large_order deep_categories new_for "
           "low_risk_after half_a_cent",
    "accounts": "value_high value_mid churn_after contact_weekly contact_monthly trend_band few_employees much_revenue visit_every call_every half_a_cent",
    "loyalty": "silent_after loyal_spend loyal_referrals loyal_orders potential_spend follow_up_for repair_for birthday_days anniversary_days long_term_after long_term_contact participation_high "
               "participation_mid promoter_from passive_from half_a_cent hair",
}


def test_every_choice_is_what_the_catalog_has():
    assert list(wrong(TEXT)) == []
    assert len(list(tables(TEXT))) > 90


@pytest.mark.parametrize("catalog", CATALOGS)
def test_every_constant_is_given_or_a_choice(catalog):
    named = {name for of, _, name, _ in tables(TEXT) if of == catalog}
    constants = {name for name, text in read_catalog(catalog)["metrics"].items() if constant(text)}
    assert constants == set(GIVEN[catalog].split()) | (constants & named)
    assert not set(GIVEN[catalog].split()) - constants


@pytest.mark.parametrize("catalog", CATALOGS)
def test_every_time_that_stands_by_itself_is_a_choice(catalog):
    told = {(name, value) for of, _, name, value in tables(TEXT) if of == catalog}
    for name, dimension in read_catalog(catalog)["dimensions"].items():
        for where, node in [(name, dimension), *((f"{name}.{tag['tag']}", tag) for tag in dimension.get("tags", []))]:
            for key in ("for", "min_dwell", "expires"):
                assert key not in node or (where, f"{key} {node[key]}") in told, (where, key)
    for name, goal in read_catalog(catalog).get("goals", {}).items():
        assert (f"goal.{name}", f"holdout {goal['holdout']}") in told, name


@pytest.mark.parametrize("planted, what", [
    ("`0.2`, `0.05`", "`0.2`, `0.06`"), ("`expires 14d`", "`expires 15d`"), ("`order.paid[90d]` | Who", "`order.paid[9d]` | Who"), ("`phone offline`", "`phone online`"),
    ("`gap_weekly`", "`gap_weakly`"), ("`goal.bring-back` | `uplift", "`goal.bring-black` | `uplift"), ("`care.plan.automated`, `care.plan.win-back`", "`care.plan.auto`, `care.plan.win-back`"), ("`holdout 0.1` | A tenth costs", "`holdout 0.2` | A tenth costs")])
def test_an_error_is_found(planted, what):
    assert TEXT.count(planted) == 1
    assert len(list(wrong(TEXT.replace(planted, what)))) == 1


def test_cadences_of_plans_are_those_that_make_a_touch_due():
    metrics, plans = read_catalog("retail")["metrics"], {tag["tag"]: tag["plan"]["cadence"] for tag in read_catalog("retail")["dimensions"]["care.plan"]["tags"]}
    assert plans["loyalty"] == {"deep": metrics["deep_every"], "community": metrics["community_every"]}
    assert plans["win-back"] == metrics["win_back_every"] and plans["churn-follow-up"] == metrics["follow_up_every"]
    assert plans["onboarding"] == {"first_week": 3, "then": metrics["onboarding_every"]}
    assert (metrics["first_week"], metrics["first_week_every"]) == ("7d", "56h") and 7 * 24 == 3 * 56
    metrics, plans = read_catalog("accounts")["metrics"], {tag["tag"]: tag["plan"]["cadence"] for tag in read_catalog("accounts")["dimensions"]["care.cadence"]["tags"]}
    assert (plans["monthly-in-person"], plans["quarterly"]) == (metrics["visit_every"], metrics["call_every"])


def test_the_page_is_short():
    assert len(TEXT.splitlines()) <= 165
