"""The same in-order input makes the same changes, ids included, however it is cut: workers, partitions, topics, batches, restarts."""
import pytest

from shop import CATALOG, END, committed, feed, shop_events
from stack import by_customer, compare, event, final_view, simulate, wait_for


@pytest.mark.parametrize("workers,partitions,topics,batch,restarts", [
    (1, 1, 1, 10000, 0), (1, 1, 1, 1, 0), (1, 4, 1, 10000, 0), (2, 4, 1, 2000, 0), (1, 1, 3, 10000, 0), (2, 4, 3, 3000, 0),
    (2, 4, 3, 1, 0), (1, 4, 1, 50, 5), (2, 4, 3, 30, 5), (2, 1, 1, 50, 5)])
def test_the_same_changes(stack, daemon, tmp_path, workers, partitions, topics, batch, restarts):
    events = shop_events(1200 if batch == 1 else 12000 if restarts else 5000, 60, 11, step_ms=500)
    wanted = simulate(tmp_path, CATALOG, [*events, event("end", "end", "nobody", END)])
    total = sum(map(len, wanted.values()))
    d = daemon(CATALOG, sources=["orders", "logins", "views"][:topics], time="events", grace="0s", workers=workers, batch_events=batch)
    d.create_topics(partitions)
    feed(stack, d, events)
    reader = d.reader()
    d.start(ready=False)
    for i in range(restarts):
        seen = len(reader.messages)
        wait_for("new changes", 60, lambda: len(reader.messages) > max(seen, total * (i + 1) // (restarts + 2)), 0.002)
        assert d.stop() < 5
        d.start(ready=False)
    reader.wait(total, 240)
    wait_for("offsets committed", 20, lambda: committed(stack, d))
    d.stop()
    reader.stop()
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert not differences, differences[0]
    assert compared == total == len(reader.messages)
    assert len({(m.key(), m.partition()) for m in reader.messages}) == len(wanted)
    for customer, changes in wanted.items():
        assert d.tags(customer) == final_view(changes), customer
    print(f"{workers} workers, {partitions} partitions, {topics} topics, batches of {batch}, {restarts} restarts: "
          f"{compared} changes and {len(wanted)} views compared, 0 differences")
