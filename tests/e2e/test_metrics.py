"""What a running daemon exposes: by Prometheus's conventions, true, and enough to see a shard that stands still."""
import json
import subprocess
import time

from shop import CATALOG, feed, shop_events
from stack import wait_for


def busy(stack, daemon, **settings):
    d = daemon(CATALOG, **settings)
    d.create_topics(3)
    feed(stack, d, shop_events(2000, 100, 5))
    d.start()
    wait_for("all is applied", 30, lambda: d.metrics()["tagd_events_total"] >= 2000)
    return d


def test_metrics_follow_the_conventions(stack, daemon):
    d = busy(stack, daemon)
    text = d.get("/metrics")[1]
    print(text)
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert lint.returncode == 0 and not lint.stderr, lint.stderr
    assert "customer=" not in text and 'subject="' not in text
