#!/usr/bin/env python3
"""Who buys nothing any more? A fixed rule against the churn model on CDNOW: fitted to weeks 1 to 39 of its 2,357 customers, asked
at the end of week 39, and compared with what each of them did in weeks 40 to 78. Prints tables in Markdown.

usage: churn_table.py

Needs a build (build/release) and the sample of the package `lifetimes` (build/data); tests/run.sh makes both."""
import math

import customers

RULE_DAYS = 90
LEVELS = (0.7, 0.5, 0.2)
AHEAD_WEEKS = 39
WEEK_MS = 7 * 86400 * 1000
RHYTHMS = [(1, 4), (2, 20), (5, 20), (10, 30), (25, 35)]  # x, t_x in weeks


def score(called, gone):
    """(precision, recall, F1) of sets of customers."""
    hits = len(called & gone)
    precision, recall = hits / len(called) if called else math.nan, hits / len(gone)
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def buys_nothing(parameters, alive, x, T):
    """The chance that a customer buys nothing in the weeks ahead: gone, or alive and a Poisson process of a rate after
    gamma(r + x, alpha + T) that stays empty."""
    r, alpha = parameters[:2]
    return 1 - alive * (1 - ((alpha + T) / (alpha + T + AHEAD_WEEKS)) ** (r + x))


def predictions(seen, group):
    """(name, who of the group is called gone) of each rule."""
    silent = {c for c in group if seen[c][2] - seen[c][1] >= RULE_DAYS}
    yield f"silent for {RULE_DAYS} days", silent
    text, order = "\n".join(customers.lines()), sorted(group)
    rows = [(seen[c][0], seen[c][1] / 7, seen[c][2] / 7) for c in order]
    for model in ("bg-nbd", "mbg-nbd"):
        section = customers.fit(model, text, "--until", customers.UNTIL)
        parameters = [section[p] for p in customers.PARAMETERS]
        answers = customers.p_alive(model, parameters, rows)
        alive = dict(zip(order, answers))
        for level in LEVELS:
            # Where the model has nothing to say (nan), the rule of silence speaks.
            yield f"`{model}`, P(alive) < {level}", {c for c in group if (c in silent if math.isnan(alive[c]) else alive[c] < level)}
        if not any(map(math.isnan, answers)):
            yield f"`{model}`, as many as the rule calls, by P(alive)", set(sorted(order, key=alive.get)[:len(silent)])
            empty = {c: buys_nothing(parameters, p, row[0], row[2]) for c, p, row in zip(order, answers, rows)}
            yield f"`{model}`, as many, by the chance to buy nothing in {AHEAD_WEEKS} weeks", set(sorted(order, key=empty.get)[-len(silent):])


def print_scores(title, seen, group, stayed):
    gone = group - stayed
    print(f"{title}: {len(group):,}, of whom {len(gone):,} ({100 * len(gone) / len(group):.1f} %) bought nothing in weeks 40 to 78.\n")
    print("| called gone at the end of week 39 | customers | precision | recall | F1 |\n|---|---|---|---|---|")
    for name, called in predictions(seen, group):
        print(f"| {name} | {len(called):,} | " + " | ".join(f"{figure:.3f}" for figure in score(called, gone)) + " |")
    print()


def print_silences():
    """How long a silence takes a customer to each level."""
    print("| bought on | first to last | " + " | ".join(f"P(alive) < {level}" for level in LEVELS) + " |\n|---|---|" + "---|" * len(LEVELS))
    section = customers.fit("bg-nbd", "\n".join(customers.lines()), "--until", customers.UNTIL)
    parameters = [section[p] for p in customers.PARAMETERS]
    for x, weeks in RHYTHMS:
        last = weeks * WEEK_MS
        found = customers.ask("below", "bg-nbd", parameters, [(x, 0, last, level) for level in LEVELS])
        print(f"| {x + 1} days | {weeks} weeks | " + " | ".join(f"{(int(at) - last) / WEEK_MS:.1f} weeks" for at in found) + " |")


def main():
    seen = customers.summaries()
    stayed = {c for c, day in customers.purchases() if day > customers.END}
    print_scores("All customers", seen, set(seen), stayed)
    print_scores("Those who bought on more than one day in weeks 1 to 39", seen, {c for c in seen if seen[c][0] > 0}, stayed)
    print_silences()


if __name__ == "__main__":
    main()
