"""A table of bad inputs and what each gets: exit code, and every word on standard error with the place under which the caret stands.
The rows are in table.py; what takes servers is in test_servers.py."""
import json
import os
import re
import subprocess

import pytest
import table
from stack import TAGD

AS_OTHERS = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]  # root reads files that nobody may read
passed = {}


@pytest.fixture(scope="module", autouse=True)
def say_how_many():
    yield
    print("\n" + ", ".join(f"{n} {kind}" for kind, n in passed.items()) + f": {sum(passed.values())} bad inputs, each got what the table says")


def wide(character):
    return "\u2e80" <= character <= "\ua4cf" or "\uac00" <= character <= "\ud7a3" or "\uff00" <= character <= "\uff60"


def with_place(name, text, pointer, message):
    """(the text, what must be said of it): FILE:LINE:COLUMN, the pointer, the message; the line; a caret under the sign."""
    at = text.index("‸")
    text = text[:at] + text[at + 1:]
    before = text[:at].split("\n")
    line = text.split("\n")[len(before) - 1]
    shown, left = line, before[-1]
    while len(left.encode()) > 80:  # of a long line a piece is shown that has the place in it
        shown, left = shown[1:], left[1:]
    shown = shown.encode()[:160].decode(errors="ignore")
    caret = "".join("  " if wide(c) else " " for c in left) + "^"
    where = "" if pointer is None else f"at {pointer or 'the top'}: "
    return text, f"tagd: {name}:{len(before)}:{len(before[-1]) + 1}: {where}{message}\n  {shown}\n  {caret}\n"


def same(found, wanted):
    pattern = re.escape(wanted).replace("…", ".*")
    return re.fullmatch(pattern, found) is not None


def run(arguments, folder, **more):
    return subprocess.run([TAGD, *arguments], cwd=folder, capture_output=True, timeout=60, **more)


def refused(kind, arguments, folder, code, wanted, **more):
    done = run(arguments, folder, **more)
    found = done.stderr.decode(errors="replace")
    assert same(found, wanted), f"said:\n{found}\nexpected:\n{wanted}"
    assert done.returncode == code and done.stdout == b""
    passed[kind] = passed.get(kind, 0) + 1


def names(rows):
    return [row[0] for row in rows]


@pytest.mark.parametrize("name,rule,message", table.RULES, ids=names(table.RULES))
def test_a_wrong_rule_is_told_with_a_caret_under_the_place(tmp_path, name, rule, message):
    text, wanted = with_place("shop.json", table.catalog_of_rule(rule), "/dimensions/behaviour.activity/tags/0/when", message)
    (tmp_path / "shop.json").write_text(text)
    refused("rules", ["check", "--catalog", "shop.json"], tmp_path, 78, wanted)


@pytest.mark.parametrize("name,text,pointer,message", table.CATALOGS, ids=names(table.CATALOGS))
def test_a_wrong_catalog_is_told_with_a_caret_under_the_place(tmp_path, name, text, pointer, message):
    if isinstance(text, bytes):
        (tmp_path / "shop.json").write_bytes(text)
        wanted = f"tagd: shop.json:1:1: {message}\n  …\n  ^\n"
    else:
        text, wanted = with_place("shop.json", text, pointer, message)
        (tmp_path / "shop.json").write_text(text)
    refused("catalogs", ["simulate", "--catalog", "shop.json"], tmp_path, 78, wanted, input=b"")


@pytest.mark.parametrize("name,text,pointer,message", table.CONFIGS, ids=names(table.CONFIGS))
def test_a_wrong_configuration_is_told_with_a_caret_under_the_place(tmp_path, name, text, pointer, message):
    text, wanted = with_place("tagd.json", text, pointer, message)
    if name in table.HIDDEN:
        wanted = wanted.split("\n")[0] + "\n  (the line isn't shown: it may hold a password)\n"
    (tmp_path / "tagd.json").write_text(text)
    (tmp_path / "shop.json").write_text(table.CATALOG)
    environment = {"NOT_A_NUMBER": "two", b"LATIN": b"\xe9", "SHORT": "s" * 15, "LONG": "l" * 257, "SPACED": "0123456789 abcdef"}
    refused("configurations", ["run", "--config", "tagd.json"], tmp_path, 78, wanted, env=environment)


@pytest.mark.parametrize("name,text,message", table.CONFIGS_AFTER, ids=names(table.CONFIGS_AFTER))
def test_a_configuration_that_fits_nothing_is_told_with_its_pointer(tmp_path, name, text, message):
    (tmp_path / "tagd.json").write_text(text)
    (tmp_path / "shop.json").write_text(table.CATALOG)
    for command in (["check"], ["run"], ["explain", "C1"]):
        refused("configurations", [*command, "--config", "tagd.json"], tmp_path, 78, f"tagd: tagd.json: {message}\n")


@pytest.mark.parametrize("name,value,code,reason", table.RECORDS, ids=names(table.RECORDS))
def test_a_bad_record_is_told_with_its_line_and_code(tmp_path, name, value, code, reason):
    (tmp_path / "shop.json").write_text(json.dumps(table.RECORDS_CATALOG))
    value = value if isinstance(value, bytes) else value.encode()
    good = table.event().encode()
    done = run(["simulate", "--catalog", "shop.json"], tmp_path, input=b"\n".join([good, value, good]))
    assert [json.loads(line) for line in done.stderr.splitlines()] == [{"line": 2, "error": code, "reason": reason}]
    assert done.returncode == 65 and len(done.stdout.splitlines()) == 1  # the good ones were applied
    passed["records"] = passed.get("records", 0) + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    for name, text in table.FILES.items():
        (made / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (made / "folder").mkdir()
    (made / "secret.json").write_text(table.config())
    (made / "secret.json").chmod(0)
    return made


@pytest.mark.parametrize("name,arguments,code,message", table.COMMANDS, ids=names(table.COMMANDS))
def test_a_wrong_command_line_is_told_what_it_lacks(folder, name, arguments, code, message):
    as_others = AS_OTHERS if os.geteuid() == 0 and "secret.json" in arguments else []
    done = subprocess.run([*as_others, TAGD, *arguments], cwd=folder, capture_output=True, timeout=60)
    found = done.stderr.decode(errors="replace")
    assert same(found, f"tagd: {message}\n"), found
    assert done.returncode == code and done.stdout == b""
    passed["command lines"] = passed.get("command lines", 0) + 1


def test_without_a_command_the_help_comes_on_standard_error():
    done = run([], "/")
    assert (done.returncode, done.stdout, done.stderr) == (64, b"", run(["--help"], "/").stdout)


def test_output_that_cant_be_written_is_told(tmp_path):
    (tmp_path / "shop.json").write_text(table.CATALOG)
    (tmp_path / "events.jsonl").write_text(table.event())
    wanted = b"tagd: can't write to standard output; see where it leads\n"
    for arguments in (["simulate", "--catalog", "shop.json", "events.jsonl"], ["check", "--catalog", "shop.json"], ["--help"], ["--version"], ["check", "--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([TAGD, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (69, wanted), arguments
