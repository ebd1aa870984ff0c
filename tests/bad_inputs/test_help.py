"""--help of every command, as a user reads it: it fits a terminal, and tells every option, an example and the exit codes."""
import os
import re
import subprocess

import pytest
from stack import ROOT, TAGD

COLUMNS = 100


def run(*arguments):
    return subprocess.run([TAGD, *arguments], capture_output=True, text=True, timeout=60)


def commands():
    return re.findall(r"^  ([a-z-]+)  +\w", run("--help").stdout, re.M)


def options_in_code(command):
    """The options that the command's own file compares with, and the file of portraits, if it takes those."""
    with open(f"{ROOT}/daemon/command/{command.replace('-', '_')}.c") as file:
        text = file.read()
    shared = options_in_code("portrait") if "tagd_portrait_option(&" in text else set()
    return shared | set(re.findall(r'tagd_options_is\(&?\w+, "(--[a-z-]+)"\)', text))


def options_in_help(text):
    return set(re.findall(r"^  (--[a-z-]+)", text, re.M)) | set(re.findall(r"^  --[a-z-]+, (--[a-z-]+)", text, re.M))


def test_every_command_is_listed():
    files = {name[:-2].replace("_", "-") for name in os.listdir(ROOT + "/daemon/command") if name.endswith(".c")} - {"command", "load", "portrait"}
    assert set(commands()) <= files and {"run", "check", "simulate", "explain"} <= set(commands())
    for name in files:  # a file without options of its own is no command's
        assert name in commands() or not options_in_code(name), name


@pytest.mark.parametrize("command", [None, *commands()])
def test_help_fits_the_terminal_and_tells_all(command):
    for option in ("--help", "-h"):
        done = run(*([command] if command else []), option)
        assert done.returncode == 0 and done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[0].startswith(f"usage: tagd {command or 'COMMAND'}")
        assert max(map(len, lines)) <= COLUMNS, [line for line in lines if len(line) > COLUMNS]
        assert re.search(r"^example.*\n  tagd ", done.stdout, re.M) and re.search(r"^exit codes: 0 .*; 64 usage; ", done.stdout, re.M)
        assert ("78 " in done.stdout) == (command != "fit")  # which reads no configuration and no catalog
    for option in ("--version", "-V"):
        done = run(*([command] if command else []), option)
        assert re.fullmatch(r"tagd \d+\.\d+\.\d+\n", done.stdout) and (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", commands())
def test_help_tells_every_option_that_is_taken_and_no_other(command):
    text = run(command, "--help").stdout
    assert options_in_code(command) and options_in_help(text) == options_in_code(command) | {"--help", "--version"}
    usage = text.split("\n\n")[0]
    for option in options_in_code(command):
        assert option in usage
        assert "unexpected" not in run(command, option).stderr  # it is taken, though something else is missing


def test_help_is_found_anywhere_before_two_dashes():
    assert run("check", "--catalog", "x", "--help").stdout == run("check", "--help").stdout
    assert run("check", "--", "--help").returncode == 64
