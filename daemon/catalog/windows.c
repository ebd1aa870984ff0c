/* Windows of functions, and spans of time in expressions. */
#include "catalog/expression.h"

static int64_t default_pane(int64_t window)
{
    if (window < 3600000)
        return 1000;
    if (window < TAGD_MS_DAY)
        return 60000;
    return window <= 31 * (int64_t)TAGD_MS_DAY ? 3600000 : TAGD_MS_DAY;
}

bool tagd_parse_take_duration(struct parse *parse, const char *what, int64_t *ms)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    char text[80];
    if (!tagd_is_digit(tagd_parse_peek(parse)))
        return tagd_parse_fail(parse, start, "expected %s such as 30d, found %s", what, tagd_parse_found(parse, text)),
               false;
    struct tagd_node *node = tagd_parse_number(parse);
    if (!node)
        return false;
    if (node->type != TAGD_T_DURATION)
        return tagd_parse_fail(parse, start, "expected %s such as 30d, found a number: a unit is missing", what), false;
    *ms = node->literal.u.i;
    return true;
}

bool tagd_parse_range(struct parse *parse, struct window_range *range)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    *range = (struct window_range){0};
    if (!tagd_parse_take(parse, "["))
        return true;
    int64_t window, pane, offset = 0;
    if (!tagd_parse_take_duration(parse, "a window", &window))
        return false;
    if (window <= 0)
        return tagd_parse_fail(parse, start + 1, "a window is longer than nothing"), false;
    pane = default_pane(window);
    bool explicit_pane = tagd_parse_take(parse, ":");
    tagd_parse_skip_space(parse);
    size_t pane_at = explicit_pane ? parse->at : start + 1;
    if (explicit_pane && !tagd_parse_take_duration(parse, "a pane", &pane))
        return false;
    if (!tagd_parse_expect(parse, "]", "after the window"))
        return false;
    if (pane <= 0 || TAGD_MS_DAY % pane != 0)
        return tagd_parse_fail(parse, pane_at, "a pane divides a day: expected one such as 1s, 1m, 15m, 1h, 1d"), false;
    if (window % pane != 0)
        return tagd_parse_fail(
                   parse, pane_at,
                   "the window (%lld ms) is not a multiple of its pane (%lld ms%s): name a pane that fits, as in [W:P]",
                   (long long)window, (long long)pane, explicit_pane ? "" : ", the default"),
               false;
    if (tagd_parse_take_word(parse, "offset")) {
        tagd_parse_skip_space(parse);
        size_t at = parse->at;
        if (!tagd_parse_take_duration(parse, "an offset", &offset))
            return false;
        if (offset % pane != 0)
            return tagd_parse_fail(parse, at, "the offset is not a multiple of the pane (%lld ms)", (long long)pane),
                   false;
    }
    if ((window + offset) / pane > TAGD_WINDOW_PANES_MAX)
        return tagd_parse_fail(parse, start,
                               "window and offset have %lld panes; at most %d are kept: take a longer pane",
                               (long long)((window + offset) / pane), TAGD_WINDOW_PANES_MAX),
               false;
    *range = (struct window_range){window, pane, offset};
    return true;
}
