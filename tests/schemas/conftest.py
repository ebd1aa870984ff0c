import json
import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import validators  # noqa: E402


@pytest.fixture(scope="session")
def node():
    """Runs validate.mjs with the packages that package.json names."""
    folder = os.path.join(validators.ROOT, "build/node")
    os.makedirs(folder, exist_ok=True)
    wanted = open(os.path.join(HERE, "package.json")).read()
    have = os.path.join(folder, "package.json")
    if not os.path.exists(have) or open(have).read() != wanted or not os.path.isdir(folder + "/node_modules"):
        shutil.copy(os.path.join(HERE, "package.json"), have)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"], cwd=folder, check=True)
    shutil.copy(os.path.join(HERE, "validate.mjs"), folder)

    def run(*arguments, given=None):
        told = subprocess.run(["node", "validate.mjs", *arguments], cwd=folder, input=given, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        return told.stdout
    return run


@pytest.fixture
def check(tmp_path):
    """`tagd check` of a catalog or a configuration: (accepted, what it said)."""
    def run(kind, document, environment=None):
        text = document if isinstance(document, str) else json.dumps(document)
        path = tmp_path / f"{kind}.json"
        path.write_text(text)
        told = subprocess.run([validators.TAGD, "check", "--" + kind, str(path)], capture_output=True, text=True,
                              env={**os.environ, **(environment or {})})
        assert told.returncode in (0, 78), told.stderr
        return told.returncode == 0, told.stderr
    return run
