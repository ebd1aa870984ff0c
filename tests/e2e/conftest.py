import os
import sys
import zlib

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../reference"))
import stack as stack_module  # noqa: E402


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    made = stack_module.Stack(tmp_path_factory.mktemp("stack"))
    yield made
    made.stop()


@pytest.fixture
def daemon(stack, request):
    """Makes daemons of a test; none outlives it."""
    made = []

    def make(catalog, sources=("events",), **settings):
        name = request.node.name.replace("[", "-").replace("]", "")
        name = "".join(c if c.isalnum() or c in "-." else "-" for c in name)[:40] + f"-{zlib.crc32(request.node.nodeid.encode()):08x}-{len(made)}"  # long names differ at their ends, equal ones by their files
        d = stack_module.Daemon(stack, name, catalog, [f"{name}.{s}" for s in sources], **settings)
        made.append(d)
        return d
    yield make
    for d in made:
        if d.process is not None and d.process.poll() is None:
            d.kill()
        for reader in d.readers:
            reader.stop()
