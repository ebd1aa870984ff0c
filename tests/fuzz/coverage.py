#!/usr/bin/env python3
"""Lines of each decoder that its fuzzer reached: coverage.py BUILD NAME...; exit 1 if under 90 % of one are.

BUILD has the programs fuzz_NAME of the preset fuzz-coverage and what they left behind, NAME.profraw. --missing lists the lines.
"""
import collections
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST = 0.9
# What decodes, by fuzzer: files; of one that does other things too, the functions that do.
READERS = {
    "daemon/shard/batch.c": "tagd_metadata_write tagd_metadata_read",
    "daemon/io/kafka_reader.c": "read_number tagd_kafka_position_read",
    "daemon/io/redis.c": "new_reply new_string new_array new_integer new_nil free_nothing says_demoted parsed fill receive answer_in "
                         "is_error reply_str reply_u64 receive_all info_value check_info refused_keys check_prefix greet by_batch "
                         "outbox_entry_read reply_instant refuse refusal fence_after read_fence take_fence kept do_fence take_values "
                         "due_of load_due load_told take_scanned load_settle take_walk load_walk do_load watch_and_compare exec "
                         "commit_settle do_commit tagd_redis_peek tagd_redis_heads tagd_redis_read_shards reply_count take_set "
                         "take_shard tagd_redis_read_counts tagd_redis_read_members tagd_redis_read_customers "
                         "tagd_redis_scan_customers",
    "daemon/base/buf.c": "tagd_read_varint_long tagd_read_zigzag128_long tagd_read_bytes",
    "daemon/emit/binary.c": "read_text tagd_emit_headers_read",
    "daemon/population/counts.c": "tagd_population_form_pairs",
    "daemon/population/report.c": "tagd_day_member tagd_pair_member",
    "daemon/command/census.c": "number_of dimension_of breakdown_of tagd_census_argument",
}
DECODERS = {
    "catalog": ["daemon/catalog/*.c", "daemon/base/jsonc.c"],
    "config": ["daemon/config/*.c"],
    "event": ["daemon/event/*.c", "daemon/base/json.c", "daemon/base/pointer.c"],
    "head": ["daemon/io/redis_head.c", "daemon/shard/batch.c", "daemon/io/kafka_reader.c"],
    "lines": ["daemon/command/lines.c"],
    "outbox": ["daemon/shard/outbox.c", "daemon/emit/binary.c"],
    "population": ["daemon/population/counts.c", "daemon/population/report.c", "daemon/command/census.c"],
    "profile": ["daemon/profile/*.c", "daemon/base/buf.c"],
    "redis": ["daemon/io/redis.c"],
    "time": ["daemon/base/time.c", "daemon/base/decimal.c"],
    "told": ["daemon/shard/told.c"],
}
ALSO = {"event": ["config"]}  # whose inputs reach it too: a map is held against the catalog when the configuration is read


def tool(name):
    for candidate in name, f"{name}-14", f"/usr/lib/llvm-14/bin/{name}":
        if shutil.which(candidate):
            return candidate
    sys.exit(f"there is no {name}: install the package llvm")


def lines_of(build, name):
    """By file: {line: how often}, and [(line, function)], as lcov has them."""
    raw, data = build / f"{name}.profraw", build / f"{name}.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", raw, "-o", data], check=True)
    text = subprocess.run([tool("llvm-cov"), "export", "-format=lcov", build / f"fuzz_{name}", f"-instr-profile={data}"], check=True,
                          capture_output=True, text=True, cwd=ROOT).stdout
    counts, functions, path = collections.defaultdict(dict), collections.defaultdict(list), None
    for row in text.splitlines():
        key, _, rest = row.partition(":")
        if key == "SF":
            path = re.sub(r".*?(daemon|include|tests)/", r"\1/", rest, count=1)
        elif key == "DA":
            line, count = rest.split(",")[:2]
            counts[path][int(line)] = counts[path].get(int(line), 0) + int(count)
        elif key == "FN":
            line, function = rest.split(",")
            functions[path].append((int(line), function.rpartition(":")[2]))
    return counts, functions


def wanted(path, counts, functions):
    """The lines of a file that are looked at."""
    if path not in READERS:
        return set(counts)
    starts, names, lines = sorted(functions), READERS[path].split(), set()
    missing = set(names) - {function for _, function in starts}
    if missing:
        sys.exit(f"{path} has no function {', '.join(sorted(missing))}: correct READERS in tests/fuzz/coverage.py")
    for i, (start, function) in enumerate(starts):
        end = starts[i + 1][0] if i + 1 < len(starts) else max(counts) + 1
        if function in names:
            lines |= {line for line in counts if start <= line < end}
    return lines


def report(build, name, show):
    reached, all_lines, worst = 0, 0, []
    found = [lines_of(build, each) for each in [name, *ALSO.get(name, [])] if (build / f"{each}.profraw").exists()]
    for pattern in DECODERS[name]:
        for file in sorted(ROOT.glob(pattern)):
            path = str(file.relative_to(ROOT))
            counts = collections.Counter()
            for by_file, _ in found:
                counts.update(by_file.get(path, {}))
            lines = wanted(path, counts, next((functions[path] for _, functions in found if path in functions), []))
            hit = sum(counts[line] > 0 for line in lines)
            reached, all_lines = reached + hit, all_lines + len(lines)
            worst.append((hit / len(lines) if lines else 1, path))
            if show and hit < len(lines):
                print(f"  {path}: {' '.join(str(line) for line in sorted(lines) if counts[line] == 0)}")
    share = reached / all_lines
    print(f"{name:11} {100 * share:5.1f} % of {all_lines} lines; least: {min(worst)[1]} {100 * min(worst)[0]:.0f} %")
    return share >= LEAST


def main():
    names = [name for name in sys.argv[2:] if not name.startswith("-")]
    build = pathlib.Path(sys.argv[1]).resolve()
    good = [report(build, name, "--missing" in sys.argv) for name in names]
    if not all(good):
        sys.exit(f"under {100 * LEAST:.0f} % of a decoder's lines were reached")


main()
