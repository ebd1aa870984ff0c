"""The README's first command, as a person runs it: what it prints, and that it leaves nothing behind."""
import os
import re
import signal
import subprocess
import time

from stack import ROOT


def left_behind(folder):
    return [line for line in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines() if folder in line]


def test_quickstart(tmp_path):
    run = subprocess.run([ROOT + "/deploy/quickstart.sh", "--seconds", "8"], capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
                         timeout=600)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} C\d{3} behaviour\.activity: quiet -> active, by \w+#e\d+: count\(interaction\[20s\]\) >= 2; next", run.stdout, re.M)
    assert re.search(r"C\d{3} behaviour\.activity: quiet -> dormant, by silence: since\(interaction\) >= 20s; next lost at", run.stdout)
    events, by_events, by_silence = map(int, re.search(r"(\d+) events, (\d+) changes because of them, (\d+) because of silence", run.stdout).groups())
    assert events >= 120 and by_events > 50 and by_silence > 30
    assert "value.level: " in run.stdout.split("explain --config")[-1]
    assert run.stdout.endswith("nothing is left running\n")
    assert not os.listdir(tmp_path) and not left_behind(str(tmp_path))


def test_quickstart_ends_with_ctrl_c(tmp_path):
    process = subprocess.Popen([ROOT + "/deploy/quickstart.sh"], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
                               start_new_session=True)
    for line in process.stdout:
        if "by silence" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    assert "nothing is left running" in process.stdout.read()
    assert process.wait(20) == 0 and time.monotonic() - started < 20
    assert not os.listdir(tmp_path) and not left_behind(str(tmp_path))
