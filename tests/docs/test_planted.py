"""Planted faults have their place: each stands in the code once, so that the long runs, which plant them, can."""
import re

import pytest
from stack import ROOT

LISTS = {"tests/mutants.txt": 0, "tests/sim/broken.txt": 1}  # and where in a line the file is named


def misplaced(lines, named):
    """(faults, those of them that don't stand in their file exactly once)"""
    faults, wrong = 0, []
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        faults += 1
        path, old, new = [part.replace("\\|", "|").replace("\\n", "\n") for part in re.split(r"(?<!\\) \| ", line.rstrip("\n"))][named:named + 3]
        if open(f"{ROOT}/{path}").read().count(old) != 1 or old == new:
            wrong.append(line)
    return faults, wrong


@pytest.mark.parametrize("path", LISTS)
def test_every_planted_fault_has_one_place(path):
    faults, wrong = misplaced(open(f"{ROOT}/{path}"), LISTS[path])
    assert faults > 50 and not wrong
    print(f"{path}: {faults} faults, each in one place")


def test_one_that_has_none_is_found():
    assert misplaced(["# a remark", "daemon/main.c | nothing of the kind | x", "daemon/main.c | e | x"], 0)[1] == [
        "daemon/main.c | nothing of the kind | x", "daemon/main.c | e | x"]
