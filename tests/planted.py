"""The lists of planted faults: tests/mutants.txt, tests/sim/broken.txt, tests/e2e/chaos/broken.txt. A fault a line, its fields between
" | "; a "|" in a field is "\\|", a line's end "\\n"."""
import re


def fields(line):
    """Those of one fault; none of a remark or an empty line."""
    if line.startswith("#") or not line.strip():
        return []
    return [field.replace("\\|", "|").replace("\\n", "\n") for field in re.split(r"(?<!\\) \| ", line.rstrip("\n"))]


def faults(path):
    return [found for found in map(fields, open(path)) if found]


def failed(run, name):
    """The name, if what ran failed. That its time was over is said: a machine that is too slow does that too."""
    return name + (", which didn't end" if run.returncode == 124 else "") if run.returncode else None
