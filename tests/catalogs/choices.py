"""The tables of choices in deploy/catalogs/README.md, beside what the catalogs have."""
import json
import re

from timeline import CATALOGS, ROOT, read_catalog

README = ROOT + "/deploy/catalogs/README.md"


def tables(text):
    """(catalog, choice, name, value) of each; of all four four times."""
    for title, body in re.findall(r"^### ([\w ]+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL):
        for row in re.findall(r"^\| (?!choice|-)(.*) \|$", body, re.MULTILINE):
            choice, names, values, why = row.split(" | ")
            names, values = (re.findall("`([^`]+)`", cell) for cell in (names, values))
            assert len(names) == len(values) > 0 and why.strip(), row
            for catalog in CATALOGS if title == "All four" else (title,):
                yield from ((catalog, choice, *pair) for pair in zip(names, values))


def node_of(document, name):
    """What the catalog has under a name, or None."""
    if "." not in name:
        places = [document[section] for section in ("metrics", "groups", "tables") if name in document.get(section, {})]
        return places[0][name] if len(places) == 1 else document.get("churn") if name == "churn" else None
    first, rest = name.split(".", 1)
    if first == "goal":
        return document.get("goals", {}).get(rest)
    if first == "churn":
        return document["churn"]["levels"].get(rest)
    if name in document["dimensions"]:
        return document["dimensions"][name]
    dimension, _, tag = name.rpartition(".")
    return next((t for t in document["dimensions"].get(dimension, {}).get("tags", []) if t["tag"] == tag), None)


def texts(node):
    """All rules and filters in it."""
    if isinstance(node, str):
        return [node]
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    return [text for key in ("when", "value", "tags") if key in node for text in texts(node[key])]


def constant(node):
    return isinstance(node, str) and re.fullmatch(r"[\d.]+[a-z]*", node)


def has(node, value):
    """Whether the node is the constant, has the key with that value, or a rule with those words."""
    if constant(node):
        return node == value
    key, _, rest = value.partition(" ")
    members = node.get("values", node) if isinstance(node, dict) else {}
    if key in members:
        return str(members[key]) == rest
    return any(re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text) for text in texts(node))


def wrong(text):
    """What the tables say that the catalogs don't."""
    for catalog, choice, name, value in tables(text):
        node = node_of(read_catalog(catalog), name)
        if node is None:
            yield f"{catalog}, {choice}: there is no {name}"
        elif not has(node, value):
            yield f"{catalog}, {choice}: {name} is not {value}: {json.dumps(node, ensure_ascii=False)[:200]}"
