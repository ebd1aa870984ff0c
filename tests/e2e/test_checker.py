"""The comparison that the other tests rest on finds what it is there to find."""
import copy

from shop import CATALOG, shop_events
from stack import compare, final_view, simulate


def test_each_planted_difference_is_found(tmp_path):
    wanted = simulate(tmp_path, CATALOG, shop_events(2000, 20, 3))
    compared, differences = compare(wanted, wanted)
    assert compared > 1000 and not differences
    customer = sorted(wanted)[0]

    def planted(change):
        found = copy.deepcopy(wanted)
        change(found)
        return compare(found, wanted)[1]

    def swap(found):
        found[customer][3], found[customer][4] = found[customer][4], found[customer][3]
    faults = {
        "one lost": lambda f: f[customer].pop(5), "the last lost": lambda f: f[customer].pop(), "a customer lost": lambda f: f.pop(customer),
        "one doubled": lambda f: f[customer].insert(5, f[customer][5]), "the last doubled": lambda f: f[customer].append(f[customer][-1]),
        "out of order": swap, "a customer too many": lambda f: f.update(nobody=f[customer][:1]),
        "another revision": lambda f: f[customer][2].update(id="tag:x:1"), "another instant": lambda f: f[customer][2].update(time="2026-01-01T00:00:00.000Z"),
        "another reason": lambda f: f[customer][2]["data"]["because"].update(rule="true or false")}
    for name, change in faults.items():
        assert planted(change), name
    assert final_view(wanted[customer]) != final_view(wanted[customer][:-1])
