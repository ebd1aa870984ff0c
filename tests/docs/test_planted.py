"""Planted faults have their place: each stands in the code once, so that the long runs, which plant them, can."""
import planted
import pytest
from stack import ROOT

LISTS = {"tests/mutants.txt": (0, 50), "tests/sim/broken.txt": (1, 50), "tests/e2e/chaos/broken.txt": (1, 12)}  # which field names the file; more than so many


def misplaced(faults, named):
    """Those that don't stand in their file exactly once."""
    return [fault for fault in faults if open(f"{ROOT}/{fault[named]}").read().count(fault[named + 1]) != 1 or fault[named + 1] == fault[named + 2]]


@pytest.mark.parametrize("path", LISTS)
def test_every_planted_fault_has_one_place(path):
    faults, (named, least) = planted.faults(f"{ROOT}/{path}"), LISTS[path]
    assert len(faults) > least and not misplaced(faults, named)
    print(f"{path}: {len(faults)} faults, each in one place")


def test_one_that_has_none_is_found():
    faults = [found for found in map(planted.fields, ["# a remark", "daemon/main.c | nothing of the kind | x", "daemon/main.c | e | x"]) if found]
    assert len(faults) == 2 and misplaced(faults, 0) == faults
