"""Brakes: what is not believed is held, kept, and flows when somebody says so or when it is right again."""
import json
import subprocess
import time

from stack import TAGD, event, wait_for

QUIET_S = 12
EXPECT_S = 10
CATALOG = {"catalog": "brakes", "version": "1", "events": {"login": {}, "order": {"fields": {"amount": "decimal"}}},
           "dimensions": {"activity.level": {"tags": [{"tag": "quiet", "when": f"since(login) >= {QUIET_S}s"}, {"tag": "active", "when": "true"}]},
                          "value.level": {"tags": [{"tag": "buyer", "when": "count(order) >= 1"}]}}}


def command(d, *arguments):
    run = subprocess.run([TAGD, arguments[0], "--config", d.path, *arguments[1:]], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    print(" ".join(arguments) + ": " + run.stdout.strip())
    return run.stdout


def send(stack, topic, type, customers, prefix="e", data=None):
    producer = stack.producer()
    now = int(time.time() * 1000)
    for i in customers:
        subject = f"C{i:06d}"
        while True:
            try:
                producer.produce(topic, json.dumps(event(f"{prefix}{i}", type, subject, now, data)), subject)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def changes_of(reader, dimension):
    return [c for c in reader.changes() if c["data"]["dimension"] == dimension]


def without_gaps(reader):
    """Each customer's revisions count from 1, in order, none twice."""
    last = {}
    for change in reader.changes():
        assert change["data"]["revision"] == last.get(change["subject"], 0) + 1, change
        last[change["subject"]] = change["data"]["revision"]
    return len(last)


def test_a_stopped_channel_changes_no_tag_until_it_is_released(stack, daemon):
    n = 100_000
    braked, free = (daemon(CATALOG, sources=("logins",), workers=1) for _ in range(2))
    free.config["sources"] = braked.config["sources"]
    free.write()
    braked.config["sources"][0]["expect_every"] = f"{EXPECT_S}s"
    braked.write()
    braked.create_topics(4)
    stack.create(list(free.config["outputs"].values()), 4)
    free.partitions = 4
    topic = braked.config["sources"][0]["topic"]
    readers = {d: d.reader() for d in (braked, free)}
    for d in (braked, free):
        d.start()
    send(stack, topic, "login", range(n))
    stopped = time.time()
    for d in (braked, free):
        wait_for("all are active", 60, lambda: len(readers[d].messages) >= n)
    wait_for("without the brake all become quiet", 60, lambda: len(readers[free].messages) >= 2 * n)
    time.sleep(max(0, stopped + QUIET_S + 8 - time.time()))
    assert len(readers[braked].messages) == n and braked.metrics()[f'tagd_source_held{{topic="{topic}"}}'] == 1
    shards = json.loads(braked.get("/v1/shards")[1])
    assert {s["status"] for s in shards["shards"]} == {"held"} and shards["held"]["sources"][0]["held"]
    assert "is silent since" in command(braked, "hold", "--list")
    print(f"{time.time() - stopped:.1f} s after the channel stopped: {len(readers[free].messages) - n} customers quiet without the brake, {len(readers[braked].messages) - n} with it")

    assert topic in command(braked, "release", "--source", topic)
    wait_for("released, all become quiet", 60, lambda: len(readers[braked].messages) >= 2 * n)
    assert readers[braked].wait(2 * n, 10) and len(readers[braked].messages) == 2 * n
    for d in (braked, free):
        readers[d].stop()
        assert without_gaps(readers[d]) == n
    quiet = {c["subject"]: c for c in readers[braked].changes() if c["data"]["to"] == "quiet"}
    for change in readers[free].changes():  # each at its own instant, late as it was recorded
        if change["data"]["to"] == "quiet":
            assert quiet[change["subject"]]["time"] == change["time"]
    assert "a silent source is back" not in open(braked.log).read()
    send(stack, topic, "login", range(100), "back")
    wait_for("the channel is back", 20, lambda: not json.loads(braked.get("/v1/shards")[1])["held"]["sources"][0]["silent"])
    assert braked.stop() < 5 and free.stop() < 5


def test_a_silent_channel_that_comes_back_brings_time_with_it(stack, daemon):
    d = daemon(CATALOG, sources=("logins", "orders"))
    d.config["sources"][0]["expect_every"] = f"{EXPECT_S}s"
    d.write()
    d.create_topics(2)
    logins, orders = (s["topic"] for s in d.config["sources"])
    reader = d.reader()
    d.start()
    send(stack, logins, "login", range(50))
    wait_for("the silent channel is held", 30, lambda: d.metrics()[f'tagd_source_held{{topic="{logins}"}}'] == 1)
    time.sleep(QUIET_S - EXPECT_S + 4)
    assert not [c for c in changes_of(reader, "activity.level") if c["data"]["to"] == "quiet"]
    send(stack, orders, "order", range(50, 60), "o", {"amount": 1})  # other channels' events go on
    wait_for("buyers", 10, lambda: len(changes_of(reader, "value.level")) == 10)
    d.kill()  # what is held stays so over a restart
    d.start()
    time.sleep(4)
    assert not [c for c in changes_of(reader, "activity.level") if c["data"]["to"] == "quiet"]
    send(stack, logins, "login", range(25), "back")
    wait_for("those who stayed away are quiet", 20, lambda: len([c for c in changes_of(reader, "activity.level") if c["data"]["to"] == "quiet"]) >= 50)
    reader.stop()
    assert without_gaps(reader) == 60
    assert d.stop() < 5


def test_more_changes_than_are_believed_are_held_and_kept(stack, daemon, delivery="exactly_once"):
    d = daemon(CATALOG, sources=("orders",), delivery=delivery, max_changes_per_minute={"value.level": 200})
    d.create_topics(2)
    topic = d.config["sources"][0]["topic"]
    reader = d.reader()
    d.start()
    send(stack, topic, "order", range(100), "a", {"amount": 1})
    wait_for("what is believed is published", 20, lambda: len(reader.messages) >= 200)  # activity.level and value.level
    send(stack, topic, "order", range(1000, 3000), "b", {"amount": 1})
    wait_for("outputs are held", 20, lambda: d.metrics()["tagd_outputs_held"] == 1)
    assert "max_changes_per_minute is 200" in command(d, "hold", "--list")
    wait_for("it is read and applied", 20, lambda: d.metrics()["tagd_events_total"] == 2100)
    before = len(reader.messages)
    assert before <= 200 + 2 * 200 and d.metrics()["tagd_held_batches"] > 0
    d.kill()
    d.start(ready=False)
    wait_for("it serves", 20, lambda: d.get("/v1/shards")[0] == 200)
    time.sleep(3)
    assert len(reader.messages) == before, "held outputs must stay held over a restart"
    assert {s["status"] for s in json.loads(d.get("/v1/shards")[1])["shards"]} == {"held"}
    command(d, "release", "--outputs", "--for", "10m")
    wait_for("all of it", 30, lambda: len(reader.messages) >= 4200)
    send(stack, topic, "order", range(5000, 5500), "c", {"amount": 1})  # past the limit, which doesn't count for ten minutes
    reader.wait(5200, 30)
    reader.stop()
    assert without_gaps(reader) == 2600 and len(reader.messages) == 5200
    print(f"{before} changes published before the hold, 5200 in all after it")
    assert d.stop() < 5


def test_a_person_holds_outputs_and_lets_them_go(stack, daemon):
    d = daemon(CATALOG, sources=("orders",), delivery="at_least_once")
    d.create_topics(2)
    topic = d.config["sources"][0]["topic"]
    reader = d.reader()
    d.start()
    assert "nothing is held" in command(d, "hold", "--list")
    command(d, "hold", "--reason", "a wrong catalog went live")
    wait_for("held", 5, lambda: d.metrics()["tagd_outputs_held"] == 1)
    for i in range(5):
        send(stack, topic, "order", range(100 * i, 100 * i + 100), "a", {"amount": 1})
    wait_for("it is read and applied", 20, lambda: d.metrics()["tagd_events_total"] == 500)
    time.sleep(1)
    assert not reader.messages and d.tags("C000007") == {} or d.tags("C000007")["value.level"] == "buyer"
    assert "a wrong catalog went live" in command(d, "hold", "--list")
    command(d, "release")
    reader.wait(1000, 30)
    assert "nothing of it is held" in command(d, "release")
    reader.stop()
    assert without_gaps(reader) == 500 and len(reader.messages) == 1000
    assert d.stop() < 5
