"""What deploy/ gives to run the daemon with: read by the programs that it is for, as far as they run here."""
import os
import re
import subprocess

from runner import ROOT, TAGD

UNIT = ROOT + "/deploy/systemd/tagd.service"
EXPOSURE_MAX = 11  # of 100, by systemd-analyze; what is left is the network


def settings(path):
    out = {}
    for line in open(path):
        if "=" in line and not line.startswith("#"):
            key, value = line.strip().split("=", 1)
            out.setdefault(key, []).append(value)
    return out


def verified(folder, text):
    """What systemd says of a unit, with the program that was built in its place."""
    path = os.path.join(folder, "tagd.service")
    with open(path, "w") as file:
        file.write(text.replace("/usr/bin/tagd", TAGD))
    done = subprocess.run(["systemd-analyze", "--man=no", "--generators=no", "verify", path], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_systemd_takes_the_unit_and_says_nothing(tmp_path):
    text = open(UNIT).read()
    assert verified(tmp_path, text) == (0, "")
    code, told = verified(tmp_path, text.replace("WatchdogSec=", "WatchdogSecs="))
    assert "Unknown key" in told  # it would say so
    code, told = verified(tmp_path, text.replace("Type=notify", "Type=sometimes"))
    assert code != 0 or told


def exposure(path):
    done = subprocess.run(["systemd-analyze", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", "security", path], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_units_sandbox_stays_as_tight_as_it_is(tmp_path):
    code, told = exposure(UNIT)
    assert code == 0, told
    looser = tmp_path / "tagd.service"
    looser.write_text(open(UNIT).read().replace("PrivateDevices=yes\n", "").replace("RestrictNamespaces=yes\n", ""))
    assert exposure(str(looser))[0] != 0
    print(re.search(r"Overall exposure level.*", told)[0])


def test_the_unit_fits_the_daemon():
    unit = settings(UNIT)
    assert unit["Type"] == ["notify"] and unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    text = subprocess.run([TAGD, "run", "--help"], capture_output=True, text=True).stdout
    codes = set(re.findall(r"\b(\d+) (?:stopped|usage|Kafka|a person)", text))
    never = set(unit["RestartPreventExitStatus"][0].split())
    assert unit["Restart"] == ["on-failure"] and codes == {"0", "69"} | never  # those that are tried again, and those that aren't
    run = open(ROOT + "/daemon/command/run.c").read()
    stuck, stop = (int(re.search(rf"#define {name} (\d+)", run)[1]) / 1000 for name in ("STUCK_MS", "STOP_TIMEOUT_MS"))
    assert float(unit["WatchdogSec"][0]) == stuck and float(unit["TimeoutStopSec"][0]) > 2 * stop
