"""The reference pages: every example is run through simulate, every number is the code's."""
import glob
import json
import os
import re
import subprocess

import pytest

import customers
import runner
from validators import ROOT, SCHEMAS, TAGD, schema

DOCUMENTS = sorted([*glob.glob(ROOT + "/*.md"), *glob.glob(ROOT + "/daemon/*.md"), *glob.glob(ROOT + "/schemas/*.md"), *glob.glob(ROOT + "/deploy/*.md"),
                    ROOT + "/deploy/catalogs/README.md"])
CATALOG_MD = os.path.join(SCHEMAS, "catalog.md")


def text_of(path):
    return open(path).read()


def sections(path):
    """The blocks that belong together: a base and what it stands for, or an example with what it gives."""
    found = []
    for block in runner.blocks(path):
        if block.words & {"base"}:
            found.append([])
        elif "example" in block.words or not found:
            base = found[-1][0] if found and found[-1] and "base" in found[-1][0].words else None
            found.append([base] if base else [])
        found[-1].append(block)
    return found


def examples(path):
    return [s for s in sections(path) if any("example" in b.words for b in s)]


@pytest.mark.parametrize("blocks", examples(CATALOG_MD), ids=lambda blocks: "line-" + str(blocks[1].line))
def test_an_example_of_the_catalog_reference(tmp_path, blocks):
    run = runner.Runner(tmp_path)
    for block in blocks:
        run.block(block)
    assert run.done.get("simulations", 0) + run.done.get("refusals", 0) == run.done["examples"] == 1


def test_every_function_has_an_example():
    listed = set(re.findall(r"\[`(\w+)\(", text_of(CATALOG_MD)))
    assert listed == {"count", "sum", "avg", "min", "max", "distinct", "top", "days", "first", "latest", "since", "since_first", "until", "until_next", "days_until",
                      "was", "previous", "held",
                      "years", "lookup", "p_alive"}
    for name in listed:
        section = re.search(rf"^### {name}\n(.*?)(?=^##)", text_of(CATALOG_MD), re.DOTALL | re.MULTILINE)[1]
        assert f"{name}(" in section and "```text changes" in section, name


def test_every_function_of_the_parser_is_in_the_reference():
    tables = re.findall(r"\} (?:past_)?functions\[\] = \{(.*?)\};", text_of(ROOT + "/daemon/catalog/functions.c"), re.DOTALL)
    names = [name for body in tables for name in re.findall(r'\{"(\w+)"', body)]
    assert len(tables) == 2 and len(names) > 15
    for name in names:
        assert f"### {name}\n" in text_of(CATALOG_MD), name


def numbers(document):
    """Rows of a table of limits: {name in the code: number}."""
    return {name: int(value.replace(",", "")) for value, name in re.findall(r"^\|[^|]*\| ([\d,]+)[^|]*\| `(\w+_MAX)` \|", text_of(document), re.MULTILINE)}


@pytest.mark.parametrize("document", ["catalog.md", "events-in.md"])
def test_limits_are_those_of_the_code(document):
    told = numbers(os.path.join(SCHEMAS, document))
    assert len(told) >= 5
    code = "".join(text_of(p) for p in glob.glob(ROOT + "/include/tagd/*.h") + glob.glob(ROOT + "/daemon/catalog/*.c"))
    for name, value in told.items():
        number = re.search(rf"#define {name} ([^/\n]+)", code)[1].strip()
        assert eval(number) == value, name


def test_limits_of_a_catalog_in_the_code_are_in_the_reference():
    header = text_of(ROOT + "/include/tagd/catalog.h") + text_of(ROOT + "/include/tagd/profile.h")
    assert set(re.findall(r"#define (TAGD_\w+_MAX) ", header)) <= numbers(CATALOG_MD).keys()


def test_the_bad_events_of_the_reference_get_the_codes_shown(tmp_path):
    done = runner.Runner(tmp_path).document(os.path.join(SCHEMAS, "events-in.md"))
    assert done["bad events"] >= 6
    told = text_of(SCHEMAS + "/events-in.md")
    for code in schema("dead-letter-headers")["properties"]["tagd_error"]["enum"]:
        assert f"| `{code}` |" in told, code


def test_the_junk_subjects_listed_are_the_codes():
    body = re.search(r"tagd_junk_subjects\[\] = \{(.*?)\};", text_of(ROOT + "/daemon/event/event.c"), re.DOTALL)[1]
    listed = re.search(r"<!-- junk -->\n(.*?)\n\n", text_of(SCHEMAS + "/events-in.md"), re.DOTALL)[1]
    assert [t for t in re.findall(r"`([^`]+)`", listed)] == [t for t in re.findall(r'JUNK\("(.*?)"\)', body) if t]


# ---- configuration ----

def keys(node, whole, prefix=""):
    """path -> schema of every key of the configuration, references followed."""
    for name, value in node["properties"].items():
        inner = {**whole["$defs"].get(value.get("$ref", "").rsplit("/", 1)[-1], {}), **value}
        yield prefix + name, inner, name in node.get("required", ())
        if "properties" in inner:
            yield from keys(inner, whole, prefix + name + ".")
        items = inner.get("items", {})
        items = whole["$defs"].get(items.get("$ref", "").rsplit("/", 1)[-1], items)
        if "properties" in items:
            yield from keys(items, whole, prefix + name + "[].")


def test_the_configuration_reference_has_every_key_with_its_default():
    rows = {m[0]: m[1] for m in re.findall(r"^\| `([\w.\[\]]+)` \|[^|]*\| ([^|]*) \|", text_of(SCHEMAS + "/configuration.md"), re.MULTILINE)}
    wanted = {}
    whole = schema("config")
    for path, inner, required in keys(whole, whole):
        default = inner.get("default")
        default = json.dumps(default) if isinstance(default, bool) else default
        wanted[path] = "required" if required else f"`{default}`" if default not in (None, {}) else "none"
    assert rows == wanted


def test_the_configurations_examples_are_checked(tmp_path):
    done = runner.Runner(tmp_path).document(os.path.join(SCHEMAS, "configuration.md"))
    assert done["commands"] >= 2 and done["outputs"] >= 2


def test_the_populations_example_gives_what_it_shows(tmp_path):
    done = runner.Runner(tmp_path).document(os.path.join(ROOT, "deploy/population.md"))
    assert done["commands"] == 1 and done["outputs"] == 1


def test_the_reports_example_gives_what_it_shows(tmp_path):
    done = runner.Runner(tmp_path).document(os.path.join(ROOT, "deploy/report.md"))
    assert done["commands"] == 1 and done["outputs"] == 1


def test_the_catalogs_examples_give_what_they_show(tmp_path):
    (tmp_path / "deploy").symlink_to(ROOT + "/deploy")
    assert runner.Runner(tmp_path).document(os.path.join(ROOT, "deploy/catalogs/README.md")) == {"commands": 4, "outputs": 4}


# ---- churn ----

def test_every_command_of_the_churn_document(tmp_path):
    (tmp_path / "cdnow.jsonl").write_text("\n".join(customers.lines()) + "\n")
    assert runner.Runner(tmp_path).document(os.path.join(ROOT, "deploy/churn.md")) == {"commands": 4, "outputs": 4}


def test_warnings_of_a_fit_have_the_words_shown():
    table = re.search(r"\| words \| why \| what to do \|\n\|---\|---\|---\|\n(.*?)\n\n", text_of(ROOT + "/deploy/churn.md"), re.DOTALL)[1]
    code = re.sub(r'"\n\s*"', "", text_of(ROOT + "/daemon/fit/judge.c"))
    shown = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(shown) == len(table.splitlines()) == len(re.findall(r"\bwarn\(\s*fit,", code)), shown
    for words in shown:
        assert words in code, words


# ---- all documents ----

def test_commands_and_options_that_documents_name_exist():
    help = subprocess.run([TAGD, "--help"], capture_output=True, text=True).stdout
    seen = set()
    for path in DOCUMENTS:
        for command in re.findall(r"`tagd ([a-z][^`]*)`", text_of(path)):
            verb, *words = command.split()
            assert re.search(rf"^  {verb} ", help, re.MULTILINE), f"{path}: tagd {command}"
            told = subprocess.run([TAGD, verb, "--help"], capture_output=True, text=True).stdout
            for word in words:
                if word.startswith("--"):
                    assert word.rstrip("]") in told, f"{path}: tagd {command}"
            seen.add(verb)
    assert {"run", "check", "simulate", "explain"} <= seen


def constant(path, name):
    """What a #define of the code, or a default that is set for Kafka's clients, says."""
    text = text_of(f"{ROOT}/{path}")
    if found := re.search(rf'\{{"{re.escape(name)}", "(\d+)"\}}', text):
        return int(found[1])
    return eval(re.sub(r"\(u?int64_t\)|\(size_t\)|INT64_C|TAGD_MS_DAY", lambda m: "86400000" if m[0] == "TAGD_MS_DAY" else "", re.search(rf"#define {name} (.+?)(?:/\*|$)", text, re.MULTILINE)[1]))


AUDIT, SESSION, TRIAL, MEMORY = (("daemon/worker/worker.c", "AUDIT_MS"), ("daemon/io/kafka_client.c", "session.timeout.ms"),
                                 ("daemon/io/trial.h", "TAGD_TRIAL_CALL_MS"), ("daemon/io/trial.h", "TAGD_TRIAL_MEMORY_BYTES"))
TOLD = [("deploy/guarantees.md", r"compares one of its running shards every (\d+) s", AUDIT, 1000),
        ("deploy/guarantees.md", r"\(every (\d+) s when it is never idle\)", AUDIT, 500),
        ("deploy/guarantees.md", r"session timeout \((\d+) s\)", SESSION, 1000),
        ("deploy/guarantees.md", r"`group.max.session.timeout.ms` \| at least (\d+) s", SESSION, 1000),
        ("deploy/guarantees.md", r"`transaction.max.timeout.ms` \| at least (\d+) s", ("daemon/io/kafka_client.c", "transaction.timeout.ms"), 1000),
        ("deploy/guarantees.md", r"`/livez` says so after (\d+) s", ("daemon/command/answers.c", "STUCK_MS"), 1000),
        ("deploy/guarantees.md", r"wall clock is set by over (\d+) s", ("daemon/worker/worker.c", "CLOCKS_PART_MS"), 1000),
        ("deploy/guarantees.md", r"\((\d+) s a record, \d+ GiB more", TRIAL, 1000),
        ("deploy/guarantees.md", r"s a record, (\d+) GiB more", MEMORY, 2**30),
        ("README.md", r"one shard of a worker is compared every (\d+) s", AUDIT, 1000),
        ("README.md", r"session timeout \((\d+) s\)", SESSION, 1000),
        ("deploy/population.md", r"\(at most (\d+)\) on which", ("daemon/population/population.h", "TAGD_POPULATION_DAYS"), 1),
        ("deploy/population.md", r"\(at most (\d+)\) \|$", ("daemon/population/population.h", "TAGD_POPULATION_MONTHS"), 1),
        ("deploy/population.md", r"began, of the last (\d+) months:", ("daemon/metrics/metrics.h", "TAGD_METRICS_MONTHS"), 1),
        ("deploy/report.md", r"at most (\d+) months", ("daemon/report/report.h", "TAGD_REPORT_MONTHS"), 1),
        ("deploy/population.md", r"of a `value` the (\d+) most", ("daemon/metrics/metrics.h", "TAGD_METRICS_TAGS_MAX"), 1),
        ("deploy/population.md", r"every (\d+) seconds, less", ("daemon/command/census.c", "EVERY_MS"), 1000),
        ("deploy/population.md", r"counted again, (\d+) times", ("daemon/command/population.c", "TRIES"), 1),
        ("schemas/events-in.md", r"each record with (\d+) s and", TRIAL, 1000),
        ("schemas/events-in.md", r"all together with (\d+) GiB", MEMORY, 2**30),
        ("schemas/events-in.md", r"no end within (\d+) ms", TRIAL, 1),
        ("daemon/README.md", r"^Every (\d+) seconds \(\d+, if there is never an idle moment\)", AUDIT, 1000),
        ("daemon/README.md", r"^Every \d+ seconds \((\d+), if there is never an idle moment\)", AUDIT, 500),
        ("daemon/README.md", r"\| (\d+) s \(`TAGD_TRIAL_CALL_MS`\)", TRIAL, 1000),
        ("daemon/README.md", r"; (\d+) GiB more than the process has \(`TAGD_TRIAL_MEMORY_BYTES`\)", MEMORY, 2**30),
        ("daemon/README.md", r"2 x `batch_events` \+ ([\d,]+),", ("daemon/worker/worker.c", "BLOCKED_EXTRA"), 1),
        ("deploy/churn.md", r"fewer than (\d+) such customers", ("daemon/fit/fit.h", "TAGD_FIT_REPEATERS_ADVISED"), 1),
        ("deploy/churn.md", r"^Fewer than (\d+) customers who bought", ("daemon/fit/fit.h", "TAGD_FIT_REPEATERS_MIN"), 1),
        ("deploy/churn.md", r"more than (\d+) % of customers are in another row", ("daemon/fit/judge.c", "MISPLACED_MAX"), 0.01),
        ("deploy/churn.md", r"fewer than (\d+) customers expected", ("daemon/fit/judge.c", "ROW_EXPECTED_MIN"), 1),
        ("deploy/churn.md", r"still grows at 0.0001 or ([\d,]+)", ("include/tagd/model.h", "TAGD_MODEL_PARAMETER_MAX"), 1),
        ("daemon/README.md", r"churn model's parameters \| 0.0001 to ([\d,]+)", ("include/tagd/model.h", "TAGD_MODEL_PARAMETER_MAX"), 1),
        ("daemon/README.md", r"P\(alive\) counts \| ([\d,]+) days", ("include/tagd/model.h", "TAGD_MODEL_SILENCE_MAX"), 86400000),
        ("daemon/README.md", r"a fit needs \| (\d+) customers", ("daemon/fit/fit.h", "TAGD_FIT_REPEATERS_MIN"), 1),
        ("daemon/README.md", r"a fit needs \| \d+ customers .*; (\d+) without a warning", ("daemon/fit/fit.h", "TAGD_FIT_REPEATERS_ADVISED"), 1),
        ("daemon/README.md", r"outputs not acknowledged \| (\d+) batches", ("daemon/worker/sending.h", "TAGD_UNACKNOWLEDGED_BATCHES_MAX"), 1),
        ("daemon/README.md", r"batches or (\d+) MiB", ("daemon/worker/sending.h", "TAGD_UNACKNOWLEDGED_BYTES_MAX"), 2**20)]


@pytest.mark.parametrize("document, words, at, scale", TOLD, ids=lambda value: value[1] if isinstance(value, tuple) else None)
def test_times_and_sizes_that_documents_promise_are_the_codes(document, words, at, scale):
    told = [int(number.replace(",", "")) for number in re.findall(words, text_of(f"{ROOT}/{document}"), re.MULTILINE)]
    assert len(told) == 1 and told[0] * scale == constant(*at), (words, told)


def test_what_stops_ends_with_the_code_that_documents_say():
    told = re.findall(r"exit (\d+)", text_of(ROOT + "/deploy/guarantees.md"))
    code = re.search(r"TAGD_EXIT_CONFIG = (\d+)", text_of(ROOT + "/daemon/command/command.h"))[1]
    assert told and set(told) == {code}


def test_properties_that_the_guarantees_leave_to_the_user_may_be_set(tmp_path):
    named = set(re.findall(r"`kafka\.([a-z.]+)`", text_of(ROOT + "/deploy/guarantees.md")))
    assert named == {"session.timeout.ms", "transaction.timeout.ms"}
    (tmp_path / "c.json").write_text('{"catalog": "c", "version": "1", "events": {"login": {}}, "dimensions": {"a.b": {"tags": [{"tag": "x", "when": "true"}]}}}')
    config = {"catalog": "c.json", "sources": [{"topic": "events"}], "redis": {"url": "redis://127.0.0.1"},
              "kafka": {"bootstrap.servers": "127.0.0.1:9092", **{name: 7000 for name in named}}}
    (tmp_path / "tagd.json").write_text(json.dumps(config))
    told = subprocess.run([TAGD, "check", "--config", str(tmp_path / "tagd.json")], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_no_document_has_a_merge_left_open():
    for path in DOCUMENTS:
        assert not re.search(r"^(<<<<<<<|=======|>>>>>>>)", text_of(path), re.MULTILINE), path


def test_links_lead_somewhere():
    for path in DOCUMENTS:
        text = text_of(path)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            to = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            assert os.path.exists(to), f"{path}: {target}"
            if anchor:
                anchors = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text_of(to), re.MULTILINE)]
                assert anchor in anchors, f"{path}: {target}"


def test_metrics_that_documents_name_exist():
    code = "".join(text_of(p) for p in glob.glob(ROOT + "/daemon/*/*.c"))
    for path in DOCUMENTS:
        for name in set(re.findall(r"`(tagd_[a-z_]+)(?:\{[^`]*)?`", text_of(path))) - {"tagd_error", "tagd_reason", "tagd_topic", "tagd_partition",
                "tagd_offset", "tagd_truncated", "tagd_batch", "tagd_group", "tagd_replayed", "tagd_replayed_from"}:
            assert name in code, f"{path}: {name}"
