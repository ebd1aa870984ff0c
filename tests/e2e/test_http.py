"""What a daemon answers over HTTP: as schemas/openapi.yaml says, to those who may ask, within its limits."""
import fcntl
import http.client
import json
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import yaml

from shop import CATALOG
from stack import ROOT, TAGD, wait_for
from test_brakes import send

TOKEN = "a-token-for-tests-0123456789"
CASES_LEAST = 1000
PATHS = ["/", "/page.css", "/page.js", "/icon.svg", "/metrics", "/livez", "/readyz", "/v1/status", "/v1/shards", "/v1/customers/C000001", "/v1/population",
         "/v1/changes", "/v1/dead-letters"]
OPEN = ["/", "/page.css", "/page.js", "/icon.svg", "/livez", "/readyz"]  # without a token
UNLIMITED = ["/metrics", "/livez", "/readyz"]  # of any rate


def running(stack, daemon, ready=True, **http):
    d = daemon(CATALOG, sources=("orders",))
    d.config["http"] = {**d.config["http"], **http}
    d.environment = {"TAGD_HTTP_TOKEN": TOKEN}
    d.write()
    d.create_topics(2)
    d.start(ready=ready)
    return d


def ask(d, path, method="GET", headers=None, body=None, context=None, host="127.0.0.1"):
    """(status, headers, body)"""
    connection = http.client.HTTPSConnection(host, d.port, timeout=10, context=context) if context else http.client.HTTPConnection(host, d.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def with_token(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}


def self_contained(d):
    """The document with what it refers to inside, and the names that this daemon's catalog has."""
    def inlined(name):
        schema = json.load(open(f"{ROOT}/schemas/{name}.schema.json"))
        text = json.dumps({k: v for k, v in schema.items() if k not in ("$id", "$schema", "examples")})
        return json.loads(text.replace('"#/$defs/', f'"#/components/schemas/{name}/$defs/'))
    text = open(f"{ROOT}/schemas/openapi.yaml").read()
    for name in ("customer", "population"):
        text = text.replace(f"./{name}.schema.json", f"#/components/schemas/{name}")
    document = yaml.safe_load(text)
    document["components"]["schemas"].update({name: inlined(name) for name in ("customer", "population")})
    catalog = json.loads(re.sub(r"//.*", "", open(CATALOG).read()))
    for parameter in document["paths"]["/v1/population"]["get"]["parameters"]:
        if parameter["name"] == "dimension":
            parameter["schema"]["enum"] = list(catalog["dimensions"])
        if parameter["name"] == "breakdown":
            parameter["schema"]["enum"] = ["all"]
    path = d.folder + "/openapi.yaml"
    yaml.safe_dump(document, open(path, "w"))
    return path, document


def test_every_answer_is_as_the_openapi_document_says(stack, daemon):
    d = running(stack, daemon, token="${TAGD_HTTP_TOKEN}", requests_per_second=10000)
    send(stack, d.config["sources"][0]["topic"], "order.paid", range(20), data={"amount": 150})
    send(stack, d.config["sources"][0]["topic"], "", range(3), prefix="bad")  # dead letters
    wait_for("it is published", 20, lambda: len(json.loads(ask(d, "/v1/changes", headers=with_token())[2])["changes"]) >= 20)
    path, document = self_contained(d)
    assert sorted(document["paths"]) == sorted(p.replace("C000001", "{id}") for p in PATHS)
    run = subprocess.run([os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", path, "--url", f"http://127.0.0.1:{d.port}", "--checks", "all", "--seed", "1",
                          "--max-examples", "120", "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--no-color", "--header", f"Authorization: Bearer {TOKEN}"],
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    cases, passed = map(int, re.search(r"(\d+) generated, (\d+) passed", run.stdout).groups())
    print(f"schemathesis: {cases} cases, {passed} passed, 0 failures")
    assert passed == cases >= CASES_LEAST
    assert d.stop() < 5


def test_head_is_get_without_a_body_and_other_methods_are_told_what_is_there(stack, daemon):
    d = running(stack, daemon, requests_per_second=1000)
    for path in PATHS:
        got, head = ask(d, path), ask(d, path, "HEAD")
        assert head[0] == got[0] and head[2] == b"" and head[1]["Content-Type"] == got[1]["Content-Type"], path
        assert int(head[1]["Content-Length"]) > 0 and got[1]["X-Content-Type-Options"] == "nosniff" and got[1]["Referrer-Policy"] == "no-referrer"
        assert got[1]["Content-Security-Policy"].startswith("default-src 'none';") and "frame-ancestors 'none'" in got[1]["Content-Security-Policy"]
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"):
            status, headers, body = ask(d, path, method)
            assert status == 405 and headers["Allow"] == "GET, HEAD", (method, path)
            assert not path.startswith("/v1") or json.loads(body)["error"]
    page = ask(d, "/")
    assert page[1]["Content-Type"] == "text/html; charset=utf-8" and page[1]["Cache-Control"] == "no-cache" and ask(d, "/v1/status")[1]["Cache-Control"] == "no-store"
    assert ask(d, "/", headers={"If-None-Match": page[1]["ETag"]})[0] == 304 and ask(d, "/", headers={"If-None-Match": '"x"'})[0] == 200
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/customers/", "/v1/customers/" + "c" * 129, "/v1/customers/nobody"):
        status, headers, body = ask(d, path)
        assert status == 404 and headers["Content-Type"] == "application/json" and json.loads(body)["error"], path
    for path in ("/v1/customers/a%0Ab", "/v1/customers/a%00b", "/v1/customers/%FF", "/v1/status?x=1", "/v1/changes?limit=0", "/v1/changes?limit=51", "/v1/changes?limit=1&limit=1",
                 "/v1/dead-letters?limit=101", "/v1/dead-letters?limit=", "/v1/population?days=401", "/v1/population?dimension=%00", "/v1/population?dimension=%FF",
                 "/v1/changes?" + "&".join(f"a{i}=1" for i in range(17))):
        status, _, body = ask(d, path)
        assert status == 400 and json.loads(body)["error"], path
    assert ask(d, "/v1/changes?limit=50")[0] == 200 == ask(d, "/v1/dead-letters?limit=100")[0] == ask(d, "/v1/changes?limit=1")[0]
    assert d.stop() < 5


def test_a_page_of_another_site_learns_nothing_by_a_name_of_its_own_for_loopback(stack, daemon):
    d = running(stack, daemon)
    for host in (f"127.0.0.1:{d.port}", "localhost", f"[::1]:{d.port}"):
        assert ask(d, "/v1/status", headers={"Host": host})[0] == 200, host
    for host in ("evil.example", f"evil.example:{d.port}", "localhost.evil.example", "127.0.0.1.evil.example"):
        status, _, body = ask(d, "/v1/status", headers={"Host": host})
        assert status == 403 and "Host" in json.loads(body)["error"], host
    assert d.stop() < 5


def test_without_its_token_nobody_learns_of_customers(stack, daemon):
    d = running(stack, daemon, token="${TAGD_HTTP_TOKEN}", requests_per_second=1000)
    for path in PATHS:
        for headers in ({}, with_token(TOKEN[:-1]), with_token(TOKEN + "0"), with_token("wrong-token-for-tests-0000000"), {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}):
            status, answered, body = ask(d, path, headers=headers)
            assert status == (ask(d, path, headers=with_token())[0] if path in OPEN else 401), path
            if status == 401:
                assert answered["WWW-Authenticate"] == "Bearer" and (not path.startswith("/v1") or "http.token" in json.loads(body)["error"])
    assert ask(d, "/v1/status", headers=with_token())[0] == 200 == ask(d, "/metrics", headers=with_token())[0]
    assert ask(d, "/v1/customers/nobody", headers=with_token())[0] == 404
    wrong = ask(d, "/v1/status", headers=with_token("wrong-token-for-tests-0000000"))[2].decode()
    assert d.stop() < 5
    log = open(d.log).read()
    assert TOKEN not in log and "wrong-token" not in log and TOKEN not in wrong and "wrong-token" not in wrong


def certificates(folder):
    """A server's certificate, and clients' by two authorities, of which the daemon knows one."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}", "-days", "2")
    for name, ca, use, more in (("server", "ca", "serverAuth", "\nsubjectAltName=IP:127.0.0.1"), ("client", "ca", "clientAuth", ""), ("stranger", "other", "clientAuth", "")):
        open(f"{folder}/{name}.ext", "w").write(f"extendedKeyUsage={use}{more}")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")


def context_of(d, client=None):
    context = ssl.create_default_context(cafile=d.folder + "/ca.pem")
    if client:
        context.load_cert_chain(f"{d.folder}/{client}.pem", f"{d.folder}/{client}.key")
    return context


def started_with_tls(stack, daemon, **http):
    d = daemon(CATALOG, sources=("orders",))
    certificates(d.folder)
    d.config["http"] = {"listen": f"0.0.0.0:{d.port}", **http}
    d.environment = {"TAGD_HTTP_TOKEN": TOKEN}
    d.write()
    d.create_topics(2)
    d.start(ready=False)

    def is_ready():
        assert d.process.poll() is None, open(d.log).read()[-2000:]
        try:
            return ask(d, "/readyz", context=context_of(d))[0] == 200
        except OSError:
            return False
    wait_for("ready over TLS", 30, is_ready)
    return d


def test_only_a_client_with_a_certificate_of_the_right_authority_is_answered(stack, daemon):
    d = started_with_tls(stack, daemon, tls={"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem"})
    assert ask(d, "/v1/status", context=context_of(d, "client"))[0] == 200 == ask(d, "/metrics", context=context_of(d, "client"))[0]
    for client in (None, "stranger", "server"):  # none; of another authority; of the right one, for servers
        try:
            status, _, body = ask(d, "/v1/status", context=context_of(d, client))
            assert status == 403 and "client_ca" in json.loads(body)["error"], client
        except ssl.SSLError:
            assert client
        assert client or ask(d, "/livez", context=context_of(d))[0] == 200
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(d, "/v1/status")  # not over TLS
    assert "https://" in open(d.log).read() and d.stop() < 5


def test_tls_with_a_token_serves_other_hosts(stack, daemon):
    d = started_with_tls(stack, daemon, token="${TAGD_HTTP_TOKEN}", tls={"cert": "server.pem", "key": "server.key"})
    assert ask(d, "/v1/status", context=context_of(d))[0] == 401
    assert ask(d, "/v1/status", headers=with_token(), context=context_of(d))[0] == 200
    assert d.stop() < 5


def test_where_other_hosts_are_it_does_not_start_without_a_guard_unless_told_to(stack, daemon):
    d = daemon(CATALOG, sources=("orders",))
    d.config["http"] = {"listen": f"0.0.0.0:{d.port}"}
    d.write()
    d.create_topics(2)
    run = subprocess.run([TAGD, "run", "--config", d.path], capture_output=True, text=True, timeout=30)
    assert run.returncode == 78 and "other hosts reach 0.0.0.0" in run.stderr and '"insecure": true' in run.stderr
    d.config["http"]["insecure"] = True
    d.write()
    d.start()
    assert ask(d, "/v1/status", headers={"Host": "tagd.example"})[0] == 200  # under whatever name others know it
    assert d.stop() < 5


def raw(d, text, wait=True):
    with socket.create_connection(("127.0.0.1", d.port), timeout=10) as s:
        s.sendall(text if isinstance(text, bytes) else text.encode())
        answer = b""
        while wait and b"\r\n\r\n" not in answer:
            more = s.recv(65536)
            if not more:
                break
            answer += more
        return int(answer.split()[1]) if answer else None


def test_a_request_may_be_so_large_and_no_larger(stack, daemon):
    d = running(stack, daemon)
    limits = {name: eval(value) for name, value in re.findall(r"#define TAGD_HTTP_(\w+) +([0-9() *]+?) *(?:/\*|$)", open(ROOT + "/daemon/http/http.h").read(), re.MULTILINE)}
    for extra, status in ((0, 404), (1, 414)):
        path = "/v1/customers/" + "%61" * 100
        path += "?" if extra < 0 else "/" * (limits["URL_MAX"] - len(path) + extra)
        assert ask(d, path)[0] == status, extra
    url = "/livez"

    def with_head(n):
        fixed = {"Host": "localhost", "X-Padding": ""}
        used = len(url) + sum(len(k) + len(v) + 4 for k, v in fixed.items())
        return raw(d, f"GET {url} HTTP/1.1\r\nHost: localhost\r\nX-Padding: {'p' * (n - used)}\r\n\r\n")
    assert with_head(limits["HEAD_MAX"]) == 200 and with_head(limits["HEAD_MAX"] + 1) == 431 and with_head(200_000) == 431
    for path in ("/v1/status", "/livez"):
        assert ask(d, path, body=b"x")[0] == 413 == raw(d, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        assert raw(d, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n") == 413  # at once, before any of it
        assert raw(d, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n") == 200
    assert raw(d, b"\x16\x03\x01 no HTTP at all\r\n\r\n") in (None, 400, 505) and raw(d, "GET /livez HTTP/1.0\r\n\r\n") == 200
    assert d.stop() < 5


def test_an_address_may_ask_so_often_and_scrapes_do_not_count(stack, daemon):
    d = running(stack, daemon, requests_per_second=4)
    time.sleep(5)  # readyz was asked for meanwhile, which doesn't count either
    statuses = [ask(d, "/v1/changes?limit=1") for _ in range(40)]
    answered = [s for s in statuses if s[0] == 200]
    refused = [s for s in statuses if s[0] == 429]
    assert len(answered) + len(refused) == 40 and 20 <= len(answered) <= 30, len(answered)  # 5 seconds' worth at once, and what comes meanwhile
    assert all(s[1]["Retry-After"] == "1" and json.loads(s[2])["error"] for s in refused)
    assert [ask(d, path)[0] for path in UNLIMITED * 20] == [200] * 60
    time.sleep(1.2)
    assert ask(d, "/v1/changes?limit=1")[0] == 200
    print(f"of 40 requests at once {len(answered)} were answered, {len(refused)} refused")
    assert d.stop() < 5


def test_slow_clients_do_not_keep_probes_from_their_answer(stack, daemon):
    d = running(stack, daemon)
    slow, stopping = [], threading.Event()

    def trickle():  # a head that never ends, a byte now and then: never idle
        while not stopping.wait(0.5):
            for s in list(slow):
                try:
                    s.sendall(b"a")
                except OSError:
                    slow.remove(s)
    thread = threading.Thread(target=trickle)
    thread.start()
    started, worst = time.monotonic(), 0
    try:
        for _ in range(100):  # more than are let in, from this address and of all
            s = socket.create_connection(("127.0.0.1", d.port), timeout=5)
            s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            slow.append(s)
        while time.monotonic() - started < 13:
            asked = time.monotonic()
            assert ask(d, "/livez")[0] == 200
            worst = max(worst, time.monotonic() - asked)
            time.sleep(0.2)
        assert worst < 2
        assert not slow, f"{len(slow)} slow connections are still there after {time.monotonic() - started:.0f} s"
    finally:
        stopping.set()
        thread.join()
    print(f"100 slow clients: /livez was answered within {worst * 1000:.0f} ms, and all of them were gone after 13 s")
    assert d.stop() < 5


def test_it_answers_past_the_descriptors_that_select_knows(stack, daemon):
    d = daemon(CATALOG, sources=("orders",))
    d.create_topics(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    null = os.open("/dev/null", os.O_RDONLY)
    several = [fcntl.fcntl(null, fcntl.F_DUPFD, 3) for _ in range(1100)]
    try:
        d.start(ready=False, pass_fds=several)
    finally:
        for each in [null, *several]:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for("it is ready", 30, d.is_ready)
    of = f"/proc/{d.process.pid}"
    listens = next(f"socket:[{row[9]}]" for row in map(str.split, open(of + "/net/tcp")) if row[1] == f"0100007F:{d.port:04X}" and row[3] == "0A")
    assert max(int(n) for n in os.listdir(of + "/fd") if os.path.realpath(f"{of}/fd/{n}").endswith(listens)) > 1024
    assert all(ask(d, path)[0] == 200 for path in PATHS if "customers" not in path)
    assert d.stop() < 10
