"""A real Prometheus that scrapes daemons, with the rules of deploy/prometheus hurried: what takes minutes takes seconds."""
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

from stack import ROOT, free_port, wait_for

RULES = ROOT + "/deploy/prometheus/"
HURRY = {"for: 30s": "for: 1s", "for: 1m": "for: 1s", "for: 2m": "for: 1s", "for: 5m": "for: 1s", "[5m]": "[6s]", "[15m]": "[8s]", "[1d] offset 1h": "[20s] offset 8s",
         "(tagd_grace_seconds) > 60\n        for": "(tagd_grace_seconds) > 6\n        for", "(tagd_open_transaction_seconds) > 60": "(tagd_open_transaction_seconds) > 3",
         "(tagd_timer_overdue_seconds) > 10": "(tagd_timer_overdue_seconds) > 3"}


class Prometheus:
    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.port = folder, free_port()
        rules = open(RULES + "tagd.rules.yml").read()
        for what, hurried in HURRY.items():
            assert what in rules, what
            rules = rules.replace(what, hurried)
        assert not re.search(r"for: \d+m|\[\d+[md]\]", rules), "a duration that is not hurried"
        open(folder + "/tagd.rules.yml", "w").write(rules)
        json.dump([], open(folder + "/targets.json", "w"))
        open(folder + "/prometheus.yml", "w").write(f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [tagd.rules.yml, {RULES}lag-names.rules.yml]
scrape_configs:
  - {{job_name: tagd, file_sd_configs: [{{files: [targets.json], refresh_interval: 500ms}}]}}
""")
        subprocess.run(["promtool", "check", "config", folder + "/prometheus.yml"], check=True, capture_output=True)
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                                         "--log.level=error"], stderr=open(folder + "/log", "w"))
        wait_for("Prometheus answers", 30, lambda: self.get("/-/ready") is not None)

    def get(self, path, **arguments):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(arguments)}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def scrape(self, daemons):
        json.dump([{"targets": [f"127.0.0.1:{d.port}" for d in daemons]}], open(self.folder + "/targets.new", "w"))
        os.rename(self.folder + "/targets.new", self.folder + "/targets.json")

    def query(self, text):
        answer = json.loads(self.get("/api/v1/query", query=text) or "{}")
        assert answer.get("status") == "success", (text, answer)
        return answer["data"]["result"]

    def firing(self):
        alerts = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    def stop(self):
        self.process.terminate()
        self.process.wait()
