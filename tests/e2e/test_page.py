"""The status page in a real browser, on a real daemon: idle, under load, with a fault, with outputs held. Screenshots go to build/screenshots."""
import json
import os
import random
import signal
import threading
import time

import pytest
from playwright.sync_api import sync_playwright

from shop import CATALOG
from stack import ROOT, event, wait_for
from test_brakes import command

SHOTS = os.path.join(ROOT, "build/screenshots")
SIZES = {"phone": {"width": 360, "height": 800}, "desktop": {"width": 1280, "height": 900}}
VIEWS = [("desktop", "light"), ("phone", "dark"), ("desktop", "dark"), ("phone", "light")]
FAULT_S = 10  # within which a shard that is stuck is told in words


@pytest.fixture(scope="module")
def browser():
    os.makedirs(SHOTS, exist_ok=True)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield made
        made.close()


def until(page, what, condition, seconds=10):
    """Playwright's own waiting evaluates text, which the page's policy forbids."""
    wait_for(what, seconds, lambda: page.evaluate(condition), 0.1)


class Watched:
    """A page in sizes and colours, of which each complaint and each request is noted."""

    def __init__(self, browser, d, views=VIEWS, expected=None):
        """expected: what the browser complains of by itself in this test."""
        self.said, self.requests, self.pages, self.down = [], [], {}, False
        self.port = d.port
        for size, scheme in views:
            page = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
            page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") and not self.down and not (expected and expected in message.text) else None)
            page.on("pageerror", lambda error: self.said.append(str(error)))
            page.on("request", lambda request: self.requests.append(request.url))
            page.goto(f"http://127.0.0.1:{d.port}/")
            self.pages[size, scheme] = page

    @property
    def one(self):
        return self.pages[VIEWS[0]]

    def everywhere(self, what, condition, seconds=10):
        for page in self.pages.values():
            until(page, what, condition, seconds)

    def headline(self):
        return self.one.locator("#headline").inner_text()

    def shoot(self, name):
        for (size, scheme), page in self.pages.items():
            assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], f"{name}: {size} scrolls sideways"
            page.screenshot(path=f"{SHOTS}/{name}-{size}-{scheme}.png", full_page=True)

    def close(self):
        for page in self.pages.values():
            page.close()
        assert self.requests and all(url.startswith(f"http://127.0.0.1:{self.port}/") for url in self.requests), set(self.requests)
        assert not self.said, self.said


def overlaps(page):
    """Cards, tiles and headings that lie over each other, and texts that are cut."""
    return page.evaluate("""() => {
      const found = [], of = element => element.getBoundingClientRect();
      for (const parent of [document.querySelector("main"), ...document.querySelectorAll("#numbers, #shards, .dimensions")]) {
        const boxes = [...parent.children].filter(e => of(e).width).map(e => [e, of(e)]);
        for (let i = 0; i < boxes.length; i++) for (let k = i + 1; k < boxes.length; k++) {
          const [a, b] = [boxes[i][1], boxes[k][1]];
          if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) found.push(`${boxes[i][0].className} ${boxes[k][0].className}`);
        }
      }
      for (const e of document.querySelectorAll("main *")) if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "hidden" && e.clientWidth) found.push(`cut: ${e.className || e.id}`);
      return found;
    }""")


# Contrast of each text with the ground behind it, by WCAG 2: at least 4.5.
POOR_CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getBoundingClientRect().width) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${e.tagName} ${e.className} "${e.textContent.slice(0, 30)}": ${((a + 0.05) / (b + 0.05)).toFixed(1)}`);
  }
  return poor;
}"""


class Load:
    """Events, some hundred a second, until it is stopped; one in fifty can't be used."""

    def __init__(self, stack, topics, bad=True):
        self.producer, self.topics, self.bad, self.stopping, self.rng, self.n = stack.producer(), topics, bad, threading.Event(), random.Random(1), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def one(self):
        self.n += 1
        subject, type = f"C{self.rng.randint(0, 300):04d}", self.rng.choice(["order.paid", "login", "live.view", "chat.message"])
        data = {"order.paid": {"amount": round(self.rng.random() * 150, 2), "category": "beauty"}, "login": {}, "live.view": {"watch_seconds": 9}, "chat.message": {"direction": "inbound"}}[type]
        record = event(f"e{self.n}", type, subject, int(time.time() * 1000), data, self.rng.choice(["wechat", "douyin"]))
        value = json.dumps(record)
        if self.bad and self.n % 50 == 0:
            value = self.rng.choice(["{no json", json.dumps({**record, "time": "2036-01-01T00:00:00Z"}), json.dumps({**record, "subject": "null"})])
        self.producer.produce(self.rng.choice(self.topics), value, subject)

    def run(self):
        while not self.stopping.wait(0.1):
            for _ in range(20):
                self.one()
            self.producer.poll(0)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        self.producer.flush()


@pytest.fixture
def running(stack, daemon):
    d = daemon(CATALOG, sources=("orders", "logins"), workers=2)
    d.config["http"] = {"listen": f"127.0.0.1:{d.port}", "requests_per_second": 200}
    d.write()
    d.create_topics(6)
    d.start()
    return d


def test_the_page_tells_at_a_glance_whether_it_keeps_up(stack, running, browser):
    d, page = running, Watched(browser, running)
    page.everywhere("idle", "document.querySelector('#headline').textContent === 'Keeping up' && document.querySelectorAll('.shard').length === 6", 20)
    assert page.one.locator("#verdict").get_attribute("data-severity") == "fine" and "Nothing is held" in page.one.locator("#held").inner_text()
    page.shoot("idle")

    load = Load(stack, [s["topic"] for s in d.config["sources"]])
    try:
        page.everywhere("changes come", "document.querySelectorAll('#changes .link').length >= 10 && document.querySelectorAll('#letters time').length >= 2", 20)
        page.everywhere("customers are counted", "document.querySelectorAll('#population .bar').length >= 3", 20)  # none while there are no customers
        for one in page.pages.values():  # by keyboard alone
            one.locator("#customer-id").focus()
            one.keyboard.type("C0001")
            one.keyboard.press("Enter")
        page.everywhere("a customer", "document.querySelectorAll('#customer .dimension').length === 3 && document.querySelectorAll('.timeline .now').length === 1")
        found = page.one.locator("#customer").inner_text()
        stored = json.loads(d.get("/v1/customers/C0001")[1])
        assert stored["dimensions"].keys() == {"value.level", "behaviour.activity", "care.plan"} and all(name in found for name in stored["dimensions"])
        assert "spend >= 300" in found and "spend = " in found and "If nothing happens" in found
        page.everywhere("what comes", "document.querySelectorAll('.timeline .coming').length >= 1 && document.querySelectorAll('.timeline .past').length >= 1")
        page.one.locator(".shard").nth(3).press("Enter")
        until(page.one, "the shard's words", "document.querySelector('#shard-detail').textContent.startsWith('Shard 3: running · lag ')")
        page.one.locator("#changes .link").first.click()
        until(page.one, "another customer", "document.querySelector('#customer-id').value !== 'C0001' && document.querySelectorAll('#customer .dimension').length === 3")
        page.shoot("load")
        for (size, scheme), one in page.pages.items():
            assert not overlaps(one), (size, overlaps(one))
            assert not one.evaluate(POOR_CONTRAST), (scheme, one.evaluate(POOR_CONTRAST))
        assert page.headline().startswith("Keeping up"), page.headline()

        command(d, "hold", "--reason", "a wrong catalog went live")
        page.everywhere("held", "document.querySelector('#headline').textContent.includes('a wrong catalog went live')")
        assert f"tagd release --config {d.path} --outputs" in page.one.locator("#held").inner_text() and page.one.locator("#problems .command").first.inner_text().endswith("--outputs")
        page.everywhere("shards say so", "document.querySelector('.shard .status').textContent.startsWith('held')")
        page.shoot("held")
        for (size, scheme), one in page.pages.items():
            assert not overlaps(one) and not one.evaluate(POOR_CONTRAST), (size, scheme, overlaps(one), one.evaluate(POOR_CONTRAST))
        command(d, "release")
        page.everywhere("released", "document.querySelector('#held').textContent.startsWith('Nothing is held')", 20)
    finally:
        load.stop()
    page.close()
    assert d.stop() < 5


def test_a_stuck_shard_and_a_silent_daemon_are_told_in_words(stack, running, browser):
    d, page = running, Watched(browser, running, VIEWS[:2])
    load = Load(stack, [s["topic"] for s in d.config["sources"]], bad=False)
    try:
        page.everywhere("it runs", "document.querySelector('#headline').textContent === 'Keeping up' && document.querySelectorAll('#changes .link').length >= 10", 20)
        stack.redis_process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            until(page.one, "a stuck shard in words", "document.querySelector('#headline').textContent.includes('not moved for')", 15)
            seconds = time.monotonic() - stopped
            headline = page.headline()
            print(f"a stuck shard was told after {seconds:.1f} s: {headline}")
            assert seconds < FAULT_S and f"Redis at 127.0.0.1:{stack.redis_port} has not answered for" in headline
            page.everywhere("none runs", "document.querySelectorAll('.shard:not([data-severity=fine])').length === 6", 15)
            assert "nothing is lost" in page.one.locator("#problems").inner_text() and page.one.locator("#verdict").get_attribute("data-severity") == "error"
            page.shoot("fault")
            for (size, scheme), one in page.pages.items():
                assert not overlaps(one) and not one.evaluate(POOR_CONTRAST), (size, scheme, overlaps(one), one.evaluate(POOR_CONTRAST))
        finally:
            stack.redis_process.send_signal(signal.SIGCONT)
        page.everywhere("it goes on", "document.querySelector('#headline').textContent === 'Keeping up'", 30)
    finally:
        load.stop()
    page.down = True  # a browser complains by itself of connections that are refused
    d.process.send_signal(signal.SIGSTOP)
    until(page.one, "a silent daemon", "document.querySelector('#headline').textContent.startsWith('The daemon has not answered')", 10)
    d.process.send_signal(signal.SIGCONT)
    until(page.one, "it answers again", "document.querySelector('#headline').textContent.startsWith('Keeping up')", 20)
    assert d.stop() < 5
    page.everywhere("it is gone", "document.querySelector('#headline').textContent.startsWith('The daemon has not answered for')", 12)
    assert page.one.locator("main.stale").count() == 1 and page.one.locator("#clock").inner_text() == "not answering"
    page.shoot("gone")
    page.close()


def test_many_shards_fit_and_the_token_is_asked_for(stack, daemon, browser):
    d = daemon(CATALOG, sources=("orders",), workers=2)
    d.config["http"] = {"listen": f"127.0.0.1:{d.port}", "token": "${TAGD_HTTP_TOKEN}"}
    d.environment = {"TAGD_HTTP_TOKEN": "a-token-for-the-page-01234"}
    d.write()
    d.create_topics(256)
    d.start(ready=False)
    wait_for("it serves", 20, lambda: d.get("/livez")[0] == 200)
    page = Watched(browser, d, VIEWS[1:3], expected="401")
    for one in page.pages.values():
        until(one, "it wants its token", "document.querySelector('#headline').textContent === 'The daemon wants its token'")
        one.fill("#token", "a-token-for-the-page-01234")
        one.press("#token", "Enter")
    wait_for("all shards run", 60, lambda: d.get("/readyz")[0] == 200)
    page.everywhere("all tiles are there", "document.querySelectorAll('#shards.many .shard[data-severity=fine]').length === 256", 15)
    page.shoot("many")
    for size, one in page.pages.items():
        assert not overlaps(one), (size, overlaps(one))
    page.close()
    assert "a-token-for-the-page" not in open(d.log).read()
    d.kill()
