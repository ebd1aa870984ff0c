"""Connections that are encrypted, to servers that ask who one is and what one may do; and secrets that stay secret."""
import concurrent.futures
import json
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
import redis as redis_client

from pki import Pki
from shop import CATALOG, feed, shop_events
from stack import ROOT, TAGD, Daemon, Stack, by_customer, compare, event, free_port, simulate, wait_for
from test_poison import deadly, poisons, start_deadly  # noqa: F401

REDIS_PASSWORD = "r3dis@:/%\"\\p#ss wörd"  # nothing that a URL could hold as it is


class Redis:
    """One more Redis, with TLS at tls_port by a certificate of the tests' CA."""

    def __init__(self, pki, certificate="server", clients="optional", plain=True):
        self.port, self.tls_port = (free_port() if plain else 0), free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--tls-port", str(self.tls_port), "--bind", "127.0.0.1", "--save", "", "--tls-cert-file", pki.path(certificate + ".pem"),
             "--tls-key-file", pki.path(certificate + ".key"), "--tls-ca-cert-file", pki.path("ca.pem"), "--tls-auth-clients", clients, "--dir", pki.folder],
            stdout=subprocess.DEVNULL)

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.tls_port)) == 0
        wait_for("Redis listens", 20, listens)
        self.client = redis_client.Redis(port=self.port, decode_responses=True) if plain else None

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


class Secure(Stack):
    """A broker and a Redis that speak TLS, ask who one is, and allow what is allowed; and also without TLS, to the test."""

    def __init__(self, folder, pki):
        self.pki = pki
        self.tls_port = free_port()
        self.redis_options = ("--tls-port", str(self.tls_port), "--tls-cert-file", pki.path("server.pem"), "--tls-key-file", pki.path("server.key"),
                              "--tls-ca-cert-file", pki.path("ca.pem"), "--tls-auth-clients", "optional")
        super().__init__(folder)

    def tls(self, user="", **tls):
        return {"url": f"rediss://{user}127.0.0.1:{self.tls_port}", "tls": {"ca": self.pki.path("ca.pem"), **tls}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory, pki):
    made = Secure(tmp_path_factory.mktemp("secure"), pki)
    yield made
    made.stop()


def configured(d, **parts):
    """The daemon's configuration with parts of its objects changed."""
    for key, part in parts.items():
        d.config[key] = {**d.config[key], **part}
    d.write()
    return d


def tagd(*arguments, **more):
    return subprocess.run([TAGD, *map(str, arguments)], capture_output=True, text=True, timeout=60, **more)


def told(ran, code):
    """The one line that is no log."""
    assert ran.returncode == code, (ran.returncode, ran.stderr)
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("time=")]
    assert len(lines) == 1 and lines[0].startswith("tagd: "), ran.stderr
    return lines[0][6:]


def settled(d, reader, events, until):
    """The daemon has published what simulate says."""
    wanted = simulate(d.stack.folder, CATALOG, events, until)
    reader.wait(sum(map(len, wanted.values())), 60)
    compared, differences = compare(by_customer(reader.changes()), wanted)
    assert compared > 100 and not differences, differences[:2]
    return compared


UNTIL = "2026-11-24T11:00:00.000Z"  # shop.END


# ---- TLS to Redis ----

def explain(d, **redis):
    configured(d, redis=redis)
    return tagd("explain", "--config", d.path, "C1")


@pytest.fixture
def asking(daemon):
    """A configuration for `tagd explain`, which asks Redis alone."""
    return daemon(CATALOG, http={"listen": "off"})


NOTHING_KEPT = "keeps nothing under prefix"


def test_redis_is_trusted_by_its_certificate(asking, pki):
    ca = pki.path("ca.pem")
    servers = {name: Redis(pki, name, clients) for name, clients in [("server", "optional"), ("wrong-name", "no"), ("expired", "no")]}
    try:
        good = servers["server"]
        for host, tls in [("127.0.0.1", {}), ("localhost", {}), ("127.0.0.1", {"server_name": "localhost"}),
                          ("127.0.0.1", {"cert": pki.path("tagd.pem"), "key": pki.path("tagd.key")})]:
            assert NOTHING_KEPT in told(explain(asking, url=f"rediss://{host}:{good.tls_port}", tls={"ca": ca, **tls}), 65)

        def refused(server, port=None, code=78, **tls):
            ran = explain(asking, url=f"rediss://127.0.0.1:{port or server.tls_port}", tls={"ca": ca, **tls})
            return told(ran, code).replace(f"127.0.0.1:{port or server.tls_port}", "HERE")
        another = pki.path("another-ca.pem")
        assert re.fullmatch(rf'the certificate of Redis at HERE is signed by none of the CAs in {another} \(.*certificate.*\); set "redis.tls.ca" to the file '
                            'of the CA that signed it', refused(good, ca=another))
        assert refused(servers["wrong-name"]) == (
            'the certificate of Redis at HERE is not for "127.0.0.1" (IP address mismatch); connect by a name that stands in it, set "redis.tls.server_name" to one, '
            "or give Redis a certificate for this one")
        assert refused(good, server_name="elsewhere.example") == (
            'the certificate of Redis at HERE is not for "elsewhere.example" (hostname mismatch); connect by a name that stands in it, set "redis.tls.server_name" to one, '
            "or give Redis a certificate for this one")
        assert NOTHING_KEPT in refused(servers["wrong-name"], code=65, server_name="elsewhere.example")
        assert refused(servers["expired"]) == "the certificate of Redis at HERE, or its CA's, has expired; renew it"
        # the system's CAs don't know ours
        ran = explain(asking, url=f"rediss://127.0.0.1:{good.tls_port}", tls={})
        assert "is signed by none of the CAs in the system's store (" in told(ran, 78)
        # whoever doesn't verify is warned
        ran = explain(asking, url=f"rediss://127.0.0.1:{servers['expired'].tls_port}", tls={"verify": False})
        assert NOTHING_KEPT in told(ran, 65)
        assert re.match(r'time=\S+ level=warn msg="\\"redis.tls.verify\\" is false: ', ran.stderr)
        # no TLS there, and TLS where none is asked for
        assert re.fullmatch(r"what serves at HERE doesn't (speak|answer to) TLS: .*; let Redis speak TLS there \(tls-port\), or correct \"redis.url\" "
                            r"\(\"redis://\" is without TLS\)", refused(good, good.port, 69))
        asking.config["redis"].pop("tls")
        ran = explain(asking, url=f"redis://127.0.0.1:{good.tls_port}")
        assert re.search(r'gives no answer of a Redis: .*; start one there, or correct "redis.url" \("rediss://" is with TLS\)$', told(ran, 69))
    finally:
        for server in servers.values():
            server.stop()


def test_redis_may_ask_for_our_certificate(asking, pki):
    server = Redis(pki, clients="yes", plain=False)
    try:
        url, ca = f"rediss://127.0.0.1:{server.tls_port}", pki.path("ca.pem")
        assert NOTHING_KEPT in told(explain(asking, url=url, tls={"ca": ca, "cert": pki.path("tagd.pem"), "key": pki.path("tagd.key")}), 65)
        assert re.search(r'refuses our TLS: .*certificate required; it may want a certificate of ours: set "redis.tls.cert" and "redis.tls.key"$',
                         told(explain(asking, url=url, tls={"ca": ca}), 78))
        assert re.search(r'refuses our TLS: .*unknown ca; correct "redis.tls.cert": it must be valid, and signed by a CA that Redis knows$',
                         told(explain(asking, url=url, tls={"ca": ca, "cert": pki.path("stranger.pem"), "key": pki.path("stranger.key")}), 78))
    finally:
        server.stop()


def test_files_of_tls_are_looked_at_before_anything_begins(asking, pki, tmp_path):
    (tmp_path / "text").write_text("no certificate\n")
    pki_key = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", pki.path("tagd.key"), "-aes256", "-passout", "pass:x", "-out", pki_key], check=True)
    good = {"ca": pki.path("ca.pem"), "cert": pki.path("tagd.pem"), "key": pki.path("tagd.key")}

    def wrong(**tls):
        configured(asking, redis={"url": "rediss://127.0.0.1:1", "tls": {**good, **tls}})
        return told(tagd("check", "--config", asking.path), 78)
    assert re.fullmatch(r'.*tagd.json: at /redis/tls/ca: "/nowhere/ca.pem" can\'t be used: No such file or directory; expected certificates of CAs in PEM', wrong(ca="/nowhere/ca.pem"))
    assert re.search(r'at /redis/tls/ca: ".*/text" can\'t be used: .*; expected certificates of CAs in PEM$', wrong(ca=str(tmp_path / "text")))
    assert re.search(r'at /redis/tls/cert: ".*/text" can\'t be used: no start line; expected our certificate in PEM$', wrong(cert=str(tmp_path / "text")))
    assert wrong(key=pki.path("stranger.key")).endswith(
        f'at /redis/tls/key: "{pki.path("stranger.key")}" is not the key of the certificate "{pki.path("tagd.pem")}"; give the two that belong together')
    assert re.search(r'at /redis/tls/key: ".*locked.key" can\'t be used: .*; expected that certificate\'s key in PEM, without a passphrase$', wrong(key=str(pki_key)))
    shutil.copy(pki.path("ca.pem"), asking.folder + "/beside.pem")  # a relative path is one from the configuration's folder
    configured(asking, redis={"url": "rediss://127.0.0.1:1", "tls": {**good, "ca": "beside.pem"}})
    assert tagd("check", "--config", asking.path).returncode == 0


class Peer:
    """Takes one connection after the other and does `serve` with each."""

    def __init__(self, serve):
        self.serve, self.socket = serve, socket.create_server(("127.0.0.1", 0))
        self.port, self.seen = self.socket.getsockname()[1], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.seen.append(connection)
            threading.Thread(target=self.safely, args=[connection], daemon=True).start()

    def safely(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass

    def close(self):
        self.socket.close()
        for connection in self.seen:
            connection.close()


def handshaken(pki, connection):
    """(the TLS connection's two sides in memory, the object) over a socket, so that records can be cut."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.path("server.pem"), pki.path("server.key"))
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(inside, outside, server_side=True)

    def until(done):
        while True:
            try:
                return done()
            except ssl.SSLWantReadError:
                connection.sendall(outside.read())
                more = connection.recv(65536)
                if not more:
                    raise OSError("gone")
                inside.write(more)
            finally:
                if outside.pending:
                    connection.sendall(outside.read())
    until(tls.do_handshake)
    return tls, outside, until


def record(pki, connection):
    """Reads a first command, and returns an answer as TLS sends it."""
    tls, outside, until = handshaken(pki, connection)
    until(lambda: tls.read(65536))
    tls.write(b"$5000\r\n" + b"x" * 5000)
    return outside.read()


PEERS = {  # what they do: (exit code, what is said, seconds it takes, from and to)
    "deaf": (69, "answer to TLS: no answer in time", 2, 3.5), "deaf in the handshake": (69, "answer to TLS: no answer in time", 2, 3.5),
    "gone in the handshake": (69, "doesn't answer to TLS: ", 0, 1.5), "deaf within a record": (69, "gives no answer of a Redis: no answer in time", 5, 7),
    "gone within a record": (69, "gives no answer of a Redis: Server closed the connection", 0, 1.5), "garbage for a record": (78, "refuses our TLS: ", 0, 1.5)}


def test_a_peer_of_tls_that_does_not_do_is_left_in_time(daemon, pki):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = {how: pool.submit(ask_peer, daemon(CATALOG, http={"listen": "off"}), pki, how) for how in PEERS}
        for how, (code, wanted, least, most) in PEERS.items():
            ran, took = asked[how].result()
            assert wanted in told(ran, code), how
            assert least <= took < most, (how, took)


def ask_peer(asking, pki, how):
    def serve(connection):
        if "handshake" in how:
            connection.recv(10)
            connection.sendall(b"\x16\x03\x03\x01\x00")  # a record's head of 256 bytes
        elif "record" in how:
            whole = record(pki, connection)
            connection.sendall(whole[:-1000] if how != "garbage for a record" else whole[:-1000] + b"#" * 1000)
        if "gone" in how:
            connection.close()
        elif how != "garbage for a record":
            time.sleep(20)
    peer = Peer(serve)
    try:
        began = time.monotonic()
        ran = explain(asking, url=f"rediss://127.0.0.1:{peer.port}", tls={"ca": pki.path("ca.pem")})
        took = time.monotonic() - began
    finally:
        peer.close()
    return ran, took


def test_every_command_works_over_tls(stack, daemon, tmp_path):
    """An import, the daemon with 2 workers while Redis goes away and comes again, explain, population, and a report; all with a certificate of our own."""
    events = shop_events(6000, 60, 3, step_ms=200)
    before, after = events[:3000], events[3000:]
    own = {"cert": stack.pki.path("tagd.pem"), "key": stack.pki.path("tagd.key")}
    d = configured(daemon(CATALOG, time="events", grace="0s", workers=2), redis=stack.tls(**own))
    stack.redis.config_set("tls-auth-clients", "yes")
    try:
        d.create_topics(4)
        (tmp_path / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in before))
        ran = tagd("import", "--config", d.path, "--until", after[0]["time"], tmp_path / "history.jsonl")
        assert ran.returncode == 0, ran.stderr
        reader = d.reader()
        d.start()
        feed(stack, d, after[:1500])
        wait_for("changes", 30, lambda: len(reader.messages) > 50)
        stack.stop_redis()
        feed(stack, d, after[1500:])
        stack.start_redis()
        stack.redis.config_set("tls-auth-clients", "yes")
        wanted = simulate(stack.folder, CATALOG, events, UNTIL)
        last = {customer: changes[-1]["data"]["tags"] for customer, changes in wanted.items()}
        wait_for("the tags that simulate says", 60, lambda: all(
            {k: v for k, v in d.tags(customer).items() if not k.startswith("_")} == tags for customer, tags in last.items()))
        told_ = tagd("explain", "--config", d.path, after[0]["subject"])
        assert told_.returncode == 0 and "value.level" in told_.stdout, told_.stderr
        assert d.get(f"/v1/customers/{after[0]['subject']}")[0] == 200 and d.get("/v1/population")[0] == 200
        counted = tagd("population", "--config", d.path, "--recount")
        assert counted.returncode == 0 and tagd("population", "--config", d.path, "--json").returncode == 0, counted.stderr
        report = tagd("report", "--config", d.path)
        assert report.returncode == 0 and report.stdout.startswith("# shop"), report.stderr
        d.stop()
    finally:
        stack.redis.config_set("tls-auth-clients", "optional")


def test_a_trial_leaves_the_connection_alone(stack, daemon, deadly, monkeypatch):  # noqa: F811
    """A record that kills is tried in a child process, which has its parent's TLS connection in memory, and dies of it."""
    events = shop_events(400, 20, 5, step_ms=200)
    d = configured(daemon(CATALOG, time="events", grace="0s"), redis=stack.tls())
    d.create_topics(1)
    letters, reader, topic = d.reader("dead_letter"), d.reader(), d.config["sources"][0]["topic"]
    start_deadly(d, deadly, monkeypatch)
    producer = stack.producer()
    for e in [*events[:200], {**event("kills-decoding", "order.paid", "P0001", 0, {"amount": 1e-07}), "time": events[199]["time"]}, *events[200:]]:
        producer.produce(topic, json.dumps(e), e["subject"])
    producer.flush()
    assert d.process.wait(30) == -11
    start_deadly(d, deadly, monkeypatch)
    wait_for("the dead letter", 30, lambda: poisons(letters))
    feed(stack, d, [])
    assert settled(d, reader, events, UNTIL)
    assert d.metrics()["tagd_redis_connects_total"] == 1
    d.stop()
