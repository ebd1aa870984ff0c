"""Connections that are encrypted, to servers that ask who one is and what one may do; and secrets that stay secret."""
import base64
import concurrent.futures
import ctypes
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
import urllib.parse

import pytest
import redis as redis_client
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType, ScramCredentialInfo,
                                   ScramMechanism, UserScramCredentialUpsertion)

from pki import Pki
from shop import CATALOG, committed, feed, shop_events
from stack import ROOT, TAGD, Daemon, Stack, by_customer, compare, event, free_port, simulate, wait_for
from test_at_least_once import first_copies
from test_poison import deadly, poisons, start_deadly  # noqa: F401

REDIS_PASSWORD = "r3dis@:/%\"\\p#ss wörd"  # nothing that a URL could hold as it is


class Redis:
    """One more Redis, with TLS at tls_port by a certificate of the tests' CA."""

    def __init__(self, pki, certificate="server", clients="optional", plain=True, options=()):
        self.port, self.tls_port = (free_port() if plain else 0), free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--tls-port", str(self.tls_port), "--bind", "127.0.0.1", "--save", "", "--tls-cert-file", pki.path(certificate + ".pem"),
             "--tls-key-file", pki.path(certificate + ".key"), "--tls-ca-cert-file", pki.path("ca.pem"), "--tls-auth-clients", clients, "--dir", pki.folder, *options],
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


LISTENERS = {"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "BOTH": "SASL_SSL", "WRONG": "SSL", "EXPIRED": "SSL"}
CERTIFICATES = {"TLS": "server", "BOTH": "server", "WRONG": "wrong-name", "EXPIRED": "expired"}
KAFKA_PASSWORD = "k4fka-pl4in-pass"
SCRAM_PASSWORD = "k4fka-scram-pass"


def properties(pki):
    lines = ["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=false",
             "super.users=User:ANONYMOUS", "sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN", "listener.name.tls.ssl.client.auth=required"]
    for name in ("sasl", "both"):
        module, at = "org.apache.kafka.common.security", f"listener.name.{name}"
        lines += [f"{at}.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;",
                  f'{at}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_tagd="{KAFKA_PASSWORD}";']
    for name, certificate in CERTIFICATES.items():
        at = f"listener.name.{name.lower()}.ssl"
        lines += [f"{at}.keystore.type=PEM", f"{at}.keystore.location={pki.path(certificate + '.both')}", f"{at}.truststore.type=PEM",
                  f"{at}.truststore.location={pki.path('ca.pem')}"]
    return "\n".join(lines)


class Secure(Stack):
    """A broker and a Redis that speak TLS, ask who one is, and allow what is allowed; and also without TLS, to the test."""

    def __init__(self, folder, pki):
        self.pki = pki
        self.tls_port = free_port()
        self.redis_options = ("--tls-port", str(self.tls_port), "--tls-cert-file", pki.path("server.pem"), "--tls-key-file", pki.path("server.key"),
                              "--tls-ca-cert-file", pki.path("ca.pem"), "--tls-auth-clients", "optional")
        self.ports = {name: free_port() for name in LISTENERS}
        super().__init__(folder, listeners=" ".join(f"{name}={LISTENERS[name]}:{port}" for name, port in self.ports.items()), properties=properties(pki))
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def tls(self, user="", **tls):
        return {"url": f"rediss://{user}127.0.0.1:{self.tls_port}", "tls": {"ca": self.pki.path("ca.pem"), **tls}}

    def kafka(self, listener, **more):
        """How a client reaches that listener, as who it is known there."""
        out = {"bootstrap.servers": f"127.0.0.1:{self.ports[listener]}", "security.protocol": LISTENERS[listener]}
        if "SASL" in LISTENERS[listener]:
            out |= {"sasl.mechanism": "PLAIN", "sasl.username": "tagd", "sasl.password": "${KAFKA_PASSWORD}"}
        elif "SSL" in LISTENERS[listener]:
            out |= {"ssl.certificate.location": self.pki.path("tagd.pem"), "ssl.key.location": self.pki.path("tagd.key")}
        if "SSL" in LISTENERS[listener]:
            out["ssl.ca.location"] = self.pki.path("ca.pem")
        return {**out, **more}

    def allow(self, d, principal="User:tagd", keep=lambda acl: True, also=()):
        """The rights that security.md lists, as the daemon's names are; those that are kept, and Describe on these topics."""
        made = [acl for acl in rights(d, principal) if keep(acl)]
        made += [AclBinding(ResourceType.TOPIC, name, ResourcePatternType.LITERAL, principal, "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW) for name in also]
        for future in self.admin.create_acls(made).values():
            future.result(10)
        wait_for("the broker knows of them", 10, lambda: {at(acl) for acl in made} <= self.allowed())

    def allowed(self):
        every = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
        return {at(acl) for acl in self.admin.describe_acls(every).result(10)}

    def forbid(self, name, operation):
        for future in self.admin.delete_acls([AclBindingFilter(ResourceType.ANY, name, ResourcePatternType.ANY, None, None, operation, AclPermissionType.ANY)]).values():
            gone = {at(acl) for acl in future.result(10)}
            assert gone
        wait_for("the broker knows of it", 10, lambda: not gone & self.allowed())


def at(acl):
    return acl.restype, acl.name, acl.resource_pattern_type, acl.principal, acl.operation


SECURITY = open(ROOT + "/deploy/security.md").read()


def rights(d, principal):
    """AclBindings of the lines of kafka-acls in security.md, with the daemon's names in place of the default ones."""
    outputs = d.config["outputs"]
    names = {"tagd.tag-changes": [outputs["tag_changes"]], "tagd.dead-letter": [outputs["dead_letter"]], "tagd.churn-risk": [outputs["churn_risk"]], "tagd": [d.name],
             "tagd-": [d.name + "-"], "events": [s["topic"] for s in d.config["sources"]]}
    out = []
    for line in re.findall(r"^acl (--.*)$", SECURITY, re.MULTILINE):
        kind, name = re.search(r"--(topic|group|transactional-id) (\S+)", line).groups()
        pattern = ResourcePatternType.PREFIXED if "--resource-pattern-type prefixed" in line else ResourcePatternType.LITERAL
        for operation in re.findall(r"--operation (\w+)", line):
            out += [AclBinding({"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional-id": ResourceType.TRANSACTIONAL_ID}[kind], real, pattern, principal,
                               "*", getattr(AclOperation, operation.upper()), AclPermissionType.ALLOW) for real in names[name]]
    assert len(out) >= 9
    return out


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


def send(d, events):
    """Events without the end of time behind them, which feed sends."""
    producer = d.stack.producer()
    for e in events:
        producer.produce(topics(d)[0], json.dumps(e), e["subject"])
    producer.flush()


def tagd(*arguments, **more):
    return subprocess.run([TAGD, *map(str, arguments)], capture_output=True, text=True, timeout=60, **more)


def told(ran, code):
    """The one line that is no log and no warning."""
    assert ran.returncode == code, (ran.returncode, ran.stderr)
    lines = [line for line in ran.stderr.splitlines() if not line.startswith(("time=", "tagd: warning: "))]
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
        assert ran.stderr.startswith('tagd: warning: "redis.tls.verify" is false: ')
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
        send(d, after[:1500])
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


# ---- who one is, and what one may do, in Redis ----

def acl(d, password, *changes):
    """The words of ACL SETUSER in security.md, for the daemon's prefix."""
    line, = re.findall(r"^ACL SETUSER (.*)$", SECURITY, re.MULTILINE)
    name, *words = line.split()
    return [name, *(w.replace("PASSWORD", password).replace("~tagd:", f"~{d.name}:") for w in words), *changes]


def test_the_listed_commands_are_those_that_the_code_sends():
    code = open(ROOT + "/daemon/io/redis.c").read()
    sent = {name.lower() for name in re.findall(r'command\(redis, [^;]*\);\n\s+arg_z\(redis, (?:gone \? )?"([A-Z]+)"', code)} | {"hset"}
    line, = re.findall(r"^ACL SETUSER (.*)$", SECURITY, re.MULTILINE)
    assert {w[1:] for w in line.split() if w.startswith("+")} == sent - {"auth", "config"}  # the one needs no right, the other is doctor's alone


@pytest.mark.parametrize("secret", ["file", "environment", "url"])
def test_the_least_rights_in_redis_are_enough(stack, daemon, tmp_path, secret):
    """Everything with a user who may do what security.md lists, by a password that no url could hold as it is; run again without each of some."""
    events = shop_events(1500, 30, 9, step_ms=400)
    d = daemon(CATALOG, time="events", grace="0s")
    stack.redis.execute_command("ACL", "SETUSER", *acl(d, REDIS_PASSWORD))
    d.create_topics(2)
    (tmp_path / "password").write_text(REDIS_PASSWORD + "\n")
    (tmp_path / "password").chmod(0o600)
    d.environment = {"REDIS_PASSWORD": REDIS_PASSWORD}
    redis = {"file": {"user": "tagd", "password": f"${{file:{tmp_path}/password}}"}, "environment": {"user": "tagd", "password": "${REDIS_PASSWORD}"},
             "url": {"url": f"redis://tagd:{urllib.parse.quote(REDIS_PASSWORD, safe='')}@127.0.0.1:{stack.redis_port}/3"}}[secret]
    configured(d, redis={"url": f"redis://127.0.0.1:{stack.redis_port}/3", **redis})
    before, after = events[:500], events[500:]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in before))
    environment = {**os.environ, **d.environment}
    ran = tagd("import", "--config", d.path, "--until", after[0]["time"], tmp_path / "history.jsonl", env=environment)
    assert ran.returncode == 0, ran.stderr
    reader = d.reader()
    d.start()
    send(d, after[:-100])
    wait_for("changes", 30, lambda: len(reader.messages) > 50)
    if secret == "file":  # a right goes and comes again: it waits, says so, and loses nothing
        stack.redis.execute_command("ACL", "SETUSER", "tagd", "-hset")
        feed(stack, d, after[-100:])
        wait_for("it says so", 20, lambda: "NOPERM" in open(d.log).read())
        line = next(line for line in open(d.log) if "NOPERM" in line)
        assert re.search(r"committing to Redis: Redis: NOPERM this user has no permissions to run the 'hset' command; give our Redis user the commands that "
                         rf'deploy/security.md lists on the keys under \\"{d.name}:\\"; trying again', line), line
        assert d.process.poll() is None
        stack.redis.execute_command("ACL", "SETUSER", "tagd", "+hset")
    else:
        feed(stack, d, after[-100:])
    wait_for("all offsets committed", 30, lambda: committed(stack, d))
    for command in (["explain", "--config", d.path, after[0]["subject"]], ["population", "--config", d.path], ["population", "--config", d.path, "--recount"],
                    ["report", "--config", d.path]):
        ran = tagd(*command, env=environment)
        assert ran.returncode == 0, (command, ran.stderr)
    assert d.get(f"/v1/customers/{after[0]['subject']}")[0] == 200
    d.stop()
    changes = by_customer(reader.changes())
    for changed in changes.values():  # none lost, none twice: revisions go on by one
        revisions = [c["data"]["revision"] for c in changed]
        assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))


def test_who_may_not_into_redis_is_told_what_to_give(stack, asking):
    at = f"127.0.0.1:{stack.redis_port}"
    stack.redis.execute_command("ACL", "SETUSER", *acl(asking, "right-password"))
    stack.redis.execute_command("ACL", "SETUSER", "blind", *acl(asking, "right-password", "-info")[1:])
    stack.redis.execute_command("ACL", "SETUSER", "elsewhere", *acl(asking, "right-password", "resetkeys", "~other:*")[1:])
    for redis, wanted in [
            ({"user": "tagd", "password": "wrong-password"}, f'Redis at {at} refuses us: WRONGPASS invalid username-password pair or user is disabled.; correct "redis.user" and '
             '"redis.password", or those in "redis.url"'),
            ({"user": "blind", "password": "right-password"}, f"Redis at {at} refuses us: NOPERM this user has no permissions to run the 'info' command; give our Redis user the "
             "commands that deploy/security.md lists"),
            ({"user": "elsewhere", "password": "right-password"}, f'Redis at {at} doesn\'t let us use the keys under "{asking.name}:": NOPERM this user has no permissions to access '
             "one of the keys used as arguments; give our Redis user the commands that deploy/security.md lists on them"),
            ({"password": "right-password"}, f"Redis at {at} refuses us: ERR AUTH <password> called without any password configured for the default user. Are you sure your "
             'configuration is correct?; take the password out, or give "redis.user" as well')]:
        asking.config["redis"] = {"url": f"redis://{at}", "prefix": asking.name + ":", **redis}
        asking.write()
        assert told(tagd("explain", "--config", asking.path, "C1"), 78) == wanted


def test_a_redis_with_requirepass(asking, pki):
    server = Redis(pki)
    try:
        server.client.config_set("requirepass", REDIS_PASSWORD)
        url = f"rediss://127.0.0.1:{server.tls_port}"
        tls = {"ca": pki.path("ca.pem")}
        assert told(explain(asking, url=url, tls=tls), 78).endswith(
            'refuses us: NOAUTH Authentication required.; give "redis.password", and "redis.user" if it isn\'t the default user')
        assert NOTHING_KEPT in told(explain(asking, url=url, tls=tls, password=REDIS_PASSWORD), 65)
    finally:
        server.stop()


def test_files_of_secrets(asking, tmp_path):
    """At the edges: the longest, one longer; who may read it; and paths."""
    secret, path = tmp_path / "secret", asking.folder + "/beside"

    def check(value):
        configured(asking, redis={"url": "redis://127.0.0.1:1", "password": value})
        return tagd("check", "--config", asking.path)
    secret.write_text("x" * 65535 + "\n")
    secret.chmod(0o600)
    ran = check(f"${{file:{secret}}}")
    assert ran.returncode == 0 and ran.stderr == ""
    secret.write_text("x" * 65536 + "\n")
    ran = check(f"${{file:{secret}}}")
    assert ran.returncode == 78 and f"at /redis/password: {secret}: more than 65536 bytes, the most that a secret may have; is this the right file?" in ran.stderr
    secret.write_bytes(b"a\0b")
    assert f"at /redis/password: {secret} holds a NUL, which no secret can; write it anew as text" in check(f"${{file:{secret}}}").stderr
    with open(path, "w") as file:  # a relative path is one from the configuration's folder
        file.write("word\n")
    os.chmod(path, 0o644)
    ran = check("${file:beside}")
    assert ran.returncode == 0
    assert ran.stderr == f"tagd: warning: everyone on this machine may read the secret in {path}; take that right away, as in: chmod o= {path}\n"
    os.chmod(path, 0o640)
    assert check("${file:beside}").stderr == ""
    os.chmod(asking.path, 0o644)
    ran = check("a literal one")
    assert ran.returncode == 0 and re.fullmatch(
        rf'tagd: warning: everyone on this machine may read {asking.path}, and a password stands in it; take that right away, as in: chmod o= {asking.path}, '
        r'or write "\$\{NAME\}" or "\$\{file:PATH\}" for the password\n', ran.stderr)
    os.chmod(asking.path, 0o600)
    assert check("a literal one").stderr == ""
    os.chmod(asking.path, 0o644)
    as_others = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    os.chmod(path, 0)
    configured(asking, redis={"password": "${file:beside}"})
    ran = subprocess.run([*as_others, TAGD, "check", "--config", asking.path], capture_output=True, text=True)
    assert ran.returncode == 78 and f"at /redis/password: {path}: Permission denied; expected a secret in a readable file" in ran.stderr


# ---- TLS, SASL and rights in Kafka ----

@pytest.mark.parametrize("listener, delivery", [("SASL", "exactly_once"), ("TLS", "at_least_once"), ("BOTH", "exactly_once")])
def test_the_least_rights_in_kafka_are_enough(stack, daemon, tmp_path, listener, delivery):
    """Import, run, killed and run again, with the rights that security.md lists and no others."""
    events = shop_events(1500, 30, 11, step_ms=400)
    d = daemon(CATALOG, time="events", grace="0s", delivery=delivery)
    d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
    d.create_topics(2)
    configured(d, kafka=stack.kafka(listener))
    stack.allow(d, "User:CN=tagd" if listener == "TLS" else "User:tagd")
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events[:500]))
    ran = tagd("import", "--config", d.path, "--until", events[500]["time"], tmp_path / "history.jsonl", env={**os.environ, **d.environment})
    assert ran.returncode == 0, ran.stderr
    reader = d.reader()
    d.start()
    send(d, events[500:1000])
    wait_for("changes", 30, lambda: len(reader.messages) > 20)
    d.kill()
    feed(stack, d, events[1000:])
    d.start(ready=False)
    wait_for("all offsets committed", 40, lambda: committed(stack, d))
    wanted = simulate(tmp_path, CATALOG, events, UNTIL)
    for customer, changes in wanted.items():
        assert {k: v for k, v in d.tags(customer).items() if not k.startswith("_")} == changes[-1]["data"]["tags"], customer
    assert "authorization failed" not in open(d.log).read()
    d.stop()


GIVE_TOPIC = "give our Kafka user Read on the sources, and Read and Write on the outputs; deploy/security.md has the commands"
DENIED = {  # (rights that are kept, topics that may be described, exit code, what is said)
    "a source": (lambda d: lambda acl: acl.name not in topics(d), lambda d: [], 78,
                 lambda d: f'topic "{topics(d)[0]}": Broker: Topic authorization failed; {GIVE_TOPIC}'),
    "to read a source": (lambda d: lambda acl: acl.name not in topics(d), lambda d: topics(d), 78,
                         lambda d: f'Kafka doesn\'t allow it: topic "{topics(d)[0]}": .*Topic authorization failed; {GIVE_TOPIC}'),
    "an output": (lambda d: lambda acl: acl.name != d.config["outputs"]["dead_letter"], lambda d: [], 78,
                  lambda d: f'topic "{d.config["outputs"]["dead_letter"]}": Broker: Topic authorization failed; {GIVE_TOPIC}'),
    "the group": (lambda d: lambda acl: acl.restype != ResourceType.GROUP, lambda d: [], 78,
                  lambda d: f'Kafka doesn\'t allow it: group "{d.name}": .*Group authorization failed; give our Kafka user Read on the group; deploy/security.md has the commands'),
    "the transactional id": (lambda d: lambda acl: acl.restype != ResourceType.TRANSACTIONAL_ID, lambda d: [], 78,
                             lambda d: f'Kafka doesn\'t let transactional id "{d.name}-a-0" begin: .*[Tt]ransactional [Ii]d authorization failed; give our Kafka user Write on the '
                             'transactional ids that begin with the group\'s name and "-"; deploy/security.md has the commands'),
}


def topics(d):
    return [s["topic"] for s in d.config["sources"]]


def run_all(daemons):
    """What each said, by name: `tagd run` of all at once."""
    for d in daemons.values():
        d.start(ready=False)
    out = {}
    for name, d in daemons.items():
        code = d.process.wait(40)
        out[name] = told(subprocess.CompletedProcess([], code, "", open(d.log).read()), code), code
    return out


def test_a_missing_right_in_kafka_is_told_at_the_start(stack, daemon):
    daemons = {}
    for name, (keep, also, _, _) in DENIED.items():
        d = daemons[name] = configured(daemon(CATALOG, http={"listen": "off"}), kafka=stack.kafka("SASL"))
        d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
        d.create_topics(1)
        stack.allow(d, keep=keep(d), also=also(d))
    for name, (said, code) in run_all(daemons).items():
        assert code == DENIED[name][2] and re.fullmatch(DENIED[name][3](daemons[name]), said), (name, said)


def test_an_import_without_the_group_is_told_what_it_lacks(stack, daemon, tmp_path):
    d = configured(daemon(CATALOG), kafka=stack.kafka("SASL"))
    d.create_topics(1)
    stack.allow(d, keep=lambda acl: acl.restype != ResourceType.GROUP)
    (tmp_path / "history.jsonl").write_text(json.dumps(event("e", "login", "C1", 0)) + "\n")
    ran = tagd("import", "--config", d.path, "--until", UNTIL, tmp_path / "history.jsonl", env={**os.environ, "KAFKA_PASSWORD": KAFKA_PASSWORD})
    assert re.fullmatch(f'Kafka doesn\'t say .* group "{d.name}": .*Group authorization failed; give our Kafka user Read on the group; deploy/security.md has the commands', told(ran, 78))


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_right_that_goes_while_it_runs_loses_nothing(stack, daemon, tmp_path, delivery):
    events = shop_events(900, 30, 13, step_ms=400)
    d = configured(daemon(CATALOG, time="events", grace="0s", delivery=delivery), kafka=stack.kafka("SASL"))
    d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
    d.create_topics(1)
    stack.allow(d)
    reader = d.reader()
    d.start()
    send(d, events[:300])
    wait_for("changes", 30, lambda: len(reader.messages) > 20)
    stack.forbid(d.config["outputs"]["tag_changes"], AclOperation.WRITE)
    feed(stack, d, events[300:])
    wait_for("it says so", 30, lambda: re.search(f"Kafka: .*Topic authorization failed.*; {GIVE_TOPIC}; (trying|sending it) again", open(d.log).read()))
    assert d.process.poll() is None
    stack.allow(d)
    wanted = simulate(tmp_path, CATALOG, events, UNTIL)
    wait_for("all offsets committed", 40, lambda: committed(stack, d))
    reader.wait(sum(map(len, wanted.values())), 40)
    d.stop()
    compared, differences = compare(by_customer(first_copies(reader.messages)[0]), wanted)
    assert compared > 100 and not differences, differences[:2]


def test_an_output_that_may_not_be_read_back_is_told(stack, daemon):
    d = configured(daemon(CATALOG, time="events", grace="0s"), kafka=stack.kafka("SASL"))
    d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
    d.create_topics(1)
    stack.allow(d)
    reader = d.reader()
    d.start()
    feed(stack, d, shop_events(50, 5, 1))
    wait_for("changes", 30, lambda: reader.messages)
    d.stop()
    stack.forbid(d.config["outputs"]["tag_changes"], AclOperation.READ)
    d.start(ready=False)
    wait_for("it says so", 30, lambda: re.search(f'can\'t read topic .*{d.config["outputs"]["tag_changes"]}.* partition 0: .*Topic authorization failed.*; {GIVE_TOPIC}',
                                                open(d.log).read()))
    assert d.process.poll() is None and d.get("/readyz")[0] == 503
    stack.allow(d)
    wait_for("it goes on", 30, d.is_ready)
    d.stop()


def librdkafka():
    return ctypes.CDLL("librdkafka.so.1").rd_kafka_version()


def refusals(stack):
    """How Kafka is reached, and what is said."""
    pki, refuses = stack.pki, r"Kafka at HERE refuses us: \S+/bootstrap: "
    own = 'set "ssl.certificate.location" and "ssl.key.location" to a certificate of ours that is valid and signed by a CA that the broker knows'
    no_certificate = {k: v for k, v in stack.kafka("TLS").items() if not k.startswith(("ssl.certificate", "ssl.key"))}
    another = {"ssl.ca.location": pki.path("another-ca.pem")}
    unknown = (r"the certificate of Kafka at HERE is signed by none of the CAs that we know \(.*certificate.*\); set \"ssl.ca.location\" to the file of the CA that signed it")
    return {
        "a wrong password": (stack.kafka("SASL", **{"sasl.password": "wrong-password"}),
                             refuses + 'SASL authentication error: Authentication failed: Invalid username or password; correct "sasl.username" and "sasl.password"'),
        "a wrong password over TLS": (stack.kafka("BOTH", **{"sasl.password": "wrong-password"}),
                                      refuses + 'SASL authentication error: Authentication failed: Invalid username or password; correct "sasl.username" and "sasl.password"'),
        "an unknown mechanism": (stack.kafka("SASL", **{"sasl.mechanism": "SCRAM-SHA-512"}),
                                 refuses + '.*Unsupported SASL mechanism: broker\'s supported mechanisms: PLAIN,SCRAM-SHA-256; set "sasl.mechanism" to one of those'),
        "another CA": (stack.kafka("TLS", **another), unknown),
        "another CA, with SASL": (stack.kafka("BOTH", **another), unknown),
        "another name": (stack.kafka("WRONG"), r"the certificate of Kafka at HERE is not for the name it is reached by \(IP address mismatch\); reach it by one that stands in it, "
                         "or give Kafka a certificate for this one"),
        "an old certificate": (stack.kafka("EXPIRED"), "the certificate of Kafka at HERE, or its CA's, has expired; renew it"),
        "no certificate of ours": (no_certificate, refuses + ".*alert (bad certificate|certificate required).*; " + own),
        "a stranger's certificate": ({**stack.kafka("TLS"), "ssl.certificate.location": pki.path("stranger.pem"), "ssl.key.location": pki.path("stranger.key")},
                                     refuses + ".*alert (certificate unknown|unknown ca).*; " + own),
    }


def test_a_broker_that_will_not_do_is_told_in_one_sentence(stack, daemon):
    daemons, wanted = {}, refusals(stack)
    for name, (kafka, _) in wanted.items():
        d = daemons[name] = daemon(CATALOG, http={"listen": "off"}, kafka=kafka)
        d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
    for name, (said, code) in run_all(daemons).items():
        said = said.replace(daemons[name].config["kafka"]["bootstrap.servers"], "HERE", 1)
        assert code == 78 and re.fullmatch(wanted[name][1], said), (name, said)


def test_scram(stack, daemon):
    """With librdkafka from 2.6.1 on it works; before, brokers of Kafka 4 refuse it, and that is said."""
    user = UserScramCredentialUpsertion("scram", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), SCRAM_PASSWORD.encode())
    for future in stack.admin.alter_user_scram_credentials([user]).values():
        future.result(10)
    d = daemon(CATALOG, kafka=stack.kafka("BOTH", **{"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "scram", "sasl.password": SCRAM_PASSWORD}))
    d.create_topics(1)
    stack.allow(d, "User:scram")
    check = AdminClient({**d.config["kafka"], "log_level": 0})  # another client may
    assert check.list_topics(timeout=10).topics
    if librdkafka() >= 0x020601FF:
        d.start()
        d.stop()
        return
    (said, code), = run_all({"scram": d}).values()
    assert code == 78 and re.search(r'refuses us: .* invalid credentials with SASL mechanism SCRAM-SHA-256; correct "sasl.username" and "sasl.password"; Kafka 4 also refuses what '
                                    r"librdkafka before 2.6.1 makes of SCRAM, and this is \S+$", said), said


# ---- what is never shown ----

def forms(secret):
    """A secret as it may be met: as it is, in JSON, in a URL, in base64 by itself and wherever it stands in more."""
    raw = secret.encode()
    out = {raw, json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode(), urllib.parse.quote(secret, safe="").encode(), raw.hex().encode()}
    for before in range(3):  # what stands in front of it shifts base64's six bits
        whole = base64.b64encode(b"\0" * before + raw)
        out.add(whole[(before * 8 + 5) // 6:len(whole) // 4 * 4 - 4])
    return out


def found(secrets, said):
    return [(secret, where) for secret in secrets for where, text in said.items() if any(form in text for form in forms(secret))]


def everything(stack, d):
    """All that the daemon has said so far, by where."""
    said = {"log": open(d.log, "rb").read(), "configuration's folder": b" ".join(os.fsencode(f) for f in os.listdir(d.folder))}
    for path in ("/metrics", "/livez", "/readyz", "/v1/population", "/v1/customers/C0001", "/v1/customers/nobody", "/nowhere"):
        said[path] = (d.get(path)[1] or "").encode()
    for output in ("tag_changes", "dead_letter"):
        topic = d.config["outputs"][output]
        consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "everything", "log_level": 0, "auto.offset.reset": "earliest"})
        ends = stack.ends(topic, d.partitions, committed=False)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(d.partitions)])
        messages = []
        while len(messages) < sum(ends) and (more := consumer.consume(1000, 1)):
            messages += more
        consumer.close()
        said[output] = b"\n".join(repr((m.key(), m.headers())).encode() + (m.value() or b"") for m in messages if m.error() is None)
    group = stack.admin.describe_consumer_groups([d.name])[d.name].result(10)
    said["group"] = repr([(m.member_id, m.client_id, m.group_instance_id, m.host) for m in group.members]).encode()
    offsets = stack.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(d.name)])[d.name].result(10)
    said["offsets"] = repr([(t.topic, t.partition, t.offset, t.metadata) for t in offsets.topic_partitions]).encode()
    dump = redis_client.Redis(port=stack.redis_port)
    said["redis"] = b"\n".join(key + b" " + (dump.dump(key) or b"") for key in dump.scan_iter(match=d.name + ":*", count=10000))
    return said


def test_no_secret_is_ever_shown(stack, daemon, tmp_path):
    secrets = [REDIS_PASSWORD, KAFKA_PASSWORD, "key-passphrase-7", "wrong-password-8"]
    subprocess.run(["openssl", "pkey", "-in", stack.pki.path("tagd.key"), "-aes256", "-passout", "pass:" + secrets[2], "-out", tmp_path / "locked.key"], check=True)
    (tmp_path / "redis").write_text(REDIS_PASSWORD + "\n")
    d = daemon(CATALOG, time="events", grace="0s")
    d.environment = {"KAFKA_PASSWORD": KAFKA_PASSWORD}
    stack.redis.execute_command("ACL", "SETUSER", *acl(d, REDIS_PASSWORD))
    kafka = stack.kafka("BOTH", **{"debug": "all", "log_level": 7, "ssl.certificate.location": stack.pki.path("tagd.pem"), "ssl.key.location": str(tmp_path / "locked.key"),
                                   "ssl.key.password": secrets[2]})
    redis = {**stack.tls(), "user": "tagd", "password": f"${{file:{tmp_path}/redis}}"}
    configured(d, kafka=kafka, redis=redis)
    d.create_topics(1)
    stack.allow(d)

    def fails(**parts):
        configured(d, **parts)
        d.start(ready=False)
        assert d.process.wait(30) == 78
    fails(redis={"password": secrets[3]})
    fails(redis=redis, kafka={"sasl.password": secrets[3]})
    fails(kafka={**kafka, "ssl.key.password": secrets[3]})
    fails(kafka={**kafka, "sasl.mechanism": REDIS_PASSWORD + " is no mechanism"})
    configured(d, kafka=kafka)
    with open(d.log, "a") as log:  # what other commands say of mistakes
        for text in (f'{{"redis": {{"url": "redis://u:{secrets[3]}@h:x"}}}}', f'{{"redis": {{"password": "{secrets[3]}" "url": 1}}}}',
                     f'{{"group": "/", "kafka": {{"sasl.password": "{secrets[3]}"}}}}', f'{{"workers": "${{file:{tmp_path}/redis}}"}}'):
            (tmp_path / "wrong.json").write_text(text)
            assert subprocess.run([TAGD, "check", "--config", tmp_path / "wrong.json"], stderr=log).returncode == 78
    strict = Redis(stack.pki, options=("--rename-command", "AUTH", ""))  # it tells the arguments of commands that it doesn't know
    try:
        ran = explain(daemon(CATALOG), url=f"redis://127.0.0.1:{strict.port}", password=REDIS_PASSWORD)
        assert "unknown command" in told(ran, 78) and "***" in ran.stderr
        with open(d.log, "a") as log:
            log.write(ran.stderr)
    finally:
        strict.stop()
    d.start()
    events = shop_events(320, 20, 17)
    send(d, [*events[:300], {"specversion": "1.0", "id": "bad", "type": "login", "subject": "C0001"}])
    wait_for("the dead letter", 30, lambda: d.metrics()['tagd_dead_letters_total{code="invalid"}'] == 1)
    stack.redis.execute_command("ACL", "SETUSER", "tagd", "resetpass", ">another-password")  # while it runs: refused, then taken again
    stack.redis.execute_command("CLIENT", "KILL", "USER", "tagd")
    feed(stack, d, events[300:])
    wait_for("it says so", 30, lambda: "WRONGPASS" in open(d.log).read())
    stack.redis.execute_command("ACL", "SETUSER", "tagd", ">" + REDIS_PASSWORD)
    wait_for("all offsets committed", 30, lambda: committed(stack, d))
    said = everything(stack, d)
    d.stop()
    said["log"] += open(d.log, "rb").read()
    assert len(said["tag_changes"]) > 10000 and len(said["dead_letter"]) > 100 and len(said["redis"]) > 5000 and b"tagd_records_total" in said["/metrics"]
    assert b"WRONGPASS" in said["log"] and d.name.encode() in said["group"] + said["offsets"]
    assert not found(secrets, said)

    # the same search finds one that is put where it is shown
    planted = "planted-s3cret-in-a-name"
    d = daemon(CATALOG, instance=planted)
    d.create_topics(1)
    d.start()
    said = everything(stack, d)
    d.stop()
    assert {where for _, where in found([planted], said)} >= {"log", "group"}
    for form in forms(planted):  # and every form of it, behind anything
        assert found([planted], {"there": b"x" + form + b"y"})
    for n in range(6):
        assert found([planted], {"there": base64.b64encode(b"u" * n + planted.encode() + b"v" * n)})
