#include "catalog/compiled.h"
#include "shop.h"

/* What is wrong, and where it must be said: the column of the caret within the rule, and words of the message. */
static const struct {
    const char *when, *words;
    int caret; /* character within the rule; -1: not checked */
} wrong[] = {
    {"count(logn[30d]) > 1", "'logn' is not declared", 6},
    {"count(login[30d]) >", "expected a value, found the end", 19},
    {"count(login[30x]) > 1", "is not a duration", 12},
    {"count(login[30d:7h]) > 1", "a pane divides a day", 16},
    {"count(login[90s:1m]) > 1", "not a multiple of its pane", 16},
    {"count(login[500ms]) > 1", "not a multiple of its pane", 12},
    {"count(login[1d] offset 90s) > 1", "the offset is not a multiple", 23},
    {"count(login[100000d:1m]) > 1", "at most 100000 are kept", 11},
    {"count(login[0s]) > 1", "longer than nothing", 12},
    {"count(login) > 30d", "a number can't be compared with a duration", 13},
    {"since(login) > 30", "a duration can't be compared with a number", 13},
    {"since(login[30d]) > 3d", "looks at all time", 11},
    {"since(login) * since(order.paid) > 3", "can't join", 13},
    {"(since(login) / 1d) * (since(order.paid) / 1d) > 3", "vary with time", 20},
    {"1d / since(login) > 3", "the divisor varies with time", 3},
    {"sum(category, order.paid) > 1", "wants a field of type decimal", 4},
    {"sum(price, order.paid) > 1", "declares a field 'price'", 4},
    {"count(order.paid{amount=\"x\"}) > 1", "this string is not one", 24},
    {"count(order.paid{coupon<true}) > 1", "booleans are only equal or different", 23},
    {"count(order.paid{amount=1.23456}) > 1", "4 places", 24},
    {"count(login) = 1", "expected ==", 13},
    {"count(login) -1 > 0", "a minus between two values stands between spaces", 13},
    {"count(login) > 1 and 3", "expected a condition after 'and'", 21},
    {"count(login)", "expected a condition", -1},
    {"b.other == 'nope'", "has no tag 'nope': it has on", 11},
    {"b.other < 'on'", "a tag is only equal or different", 8},
    {"b.nothing == 'on'", "'b.nothing' is not known", 0},
    {"b.here == 'yes'", "depends on itself", -1},
    {"nosuch(login) > 1", "no function is named 'nosuch'", 0},
    {"p_alive() > 0.5", "expected a \"churn\" section", 0},
    {"attr.none == 'x'", "'attr.none' is not declared", 0},
    {"attr.born == 5", "a date can't be compared with a number", 10},
    {"until_next(due, order.paid) > 1d", "expected ',' and what meets an instant, as in until_next(", 26},
    {"until_next(amount, order.paid, login) > 1d", "until_next wants a field of type time: 'amount' is decimal", 11},
    {"until_next(due, order.paid[30d], login) > 1d", "until_next looks at all time", 26},
    {"until_next(due, order.paid, login[30d]) > 1d", "expected ')' after the events that meet an instant", 33},
    {"until_next(due, order.paid, nothing) > 1d", "'nothing' is not declared", 28},
    {"until_next(due, order.paid, login, 3) > 1d", "how long before an instant it may be met such as 30d", 35},
    {"until_next(due, order.paid, login, -1d) > 1d", "how long before an instant it may be met such as 30d", 35},
    {"until_next(due, order.paid, login, 1d, 1d) > 1d", "expected ')' after the events that meet an instant", 37},
    {"until_next(due, order.paid, login) > 3", "a duration can't be compared with a number", 35},
    {"until_next(due, order.paid, login) * since(login) > 1d", "can't join", 35},
    {"days_until(attr.born)", "expected a condition", -1},
    {"days_until(attr.vip) < 3", "wants an attribute of type date: 'attr.vip' is boolean", 11},
    {"days_until(attr.none) < 3", "'attr.none' is not declared", 11},
    {"days_until(category) < 3", "expected an attribute of type date", 11},
    {"days_until(login[30d]) < 3", "days_until looks at all time", 16},
    {"days_until(login{source=3}) < 3", "the field is string", 24},
    {"days_until(profile.updated) < 3", "is a reserved type", 11},
    {"days_until(attr.born, login) < 3", "expected ')' after the attribute", 20},
    {"days_until(login) < 3d", "a number can't be compared with a duration", 18},
    {"years(attr.vip) < 3", "years wants an attribute of type date: 'attr.vip' is boolean", 6},
    {"years(attr.none) < 3", "'attr.none' is not declared", 6},
    {"years() < 3", "as in years(attr.birthday), or an event type or a group, found ')'", 6},
    {"years(5) < 3", "or an event type or a group, found '5'", 6},
    {"years(login[30d]) < 3", "years looks at all time", 11},
    {"years(attr.born) > 3d", "a number can't be compared with a duration", 17},
    {"attr.born == '10/15/2023'", "this string is not a date: expected a date as 2023-10-15, 2023/10/15", 13},
    {"attr.born == '2023-10/15'", "this string is not a date", 13},
    {"count(order.paid{day='15.10.2023'}) > 1", "this string is not one: expected a date as 2023-10-15, 2023/10/15",
     21},
    {"attr.joined > '2023/10/15T00:00:00Z'", "this string is not a time", 14},
    {"lookup(line, source) == 'x'", "'source' is not known", 13},
    {"lookup(lin, attr.region) == 'x'", "'lin' is not declared: expected a table of \"tables\"", 7},
    {"lookup(5, attr.region) == 'x'", "expected the name of a table, found '5'", 7},
    {"lookup(line) == 'x'", "expected ',' after the table, found ')'", 11},
    {"lookup(line, ) == 'x'", "expected a value, found ')'", 13},
    {"lookup(line, attr.score) == 'x'", "lookup wants a string to look up, found a number", 13},
    {"lookup(line, attr.vip) == 'x'", "lookup wants a string to look up, found a boolean", 13},
    {"lookup(line, attr.born) == 'x'", "lookup wants a string to look up, found a date", 13},
    {"lookup(line, b.other == 'on') == 'x'", "lookup wants a string to look up, found a boolean", 13},
    {"lookup(line, since(login)) == 'x'", "lookup wants a string to look up, found a duration", 13},
    {"lookup(line, attr.region, 'x') == 'x'", "expected ')' after what is looked up, found ','", 24},
    {"lookup(line, attr.region) == 5", "a string can't be compared with a number", 26},
    {"lookup(line, attr.region)", "expected a condition", -1},
    {"lookup(line, b.here) == 'x'", "depends on itself", -1},
    {"until(amount, order.paid) < 3d", "until wants a field of type time: 'amount' is decimal", 6},
    {"min(category, order.paid) < 3", "min wants a field of type decimal, time or date", 4},
    {"top(category, order.paid[30d]) < 3", "a string can't be compared with a number", 31},
    {"top(category) == 'x'", "expected ',' after the field", 12},
    {"distinct(order.paid[30d]) > 3", "expected ',' after the field", 19},
    {"days(category, order.paid) > 3", "'category' is not declared", 5},
    {"first(amount, order.paid[30d]) > 3", "first looks at all time", 24},
    {"count(profile.updated) > 1", "is a reserved type", 6},
    {"until(due, order.paid) * since(login) > 3d", "can't join", 23},
    {"(until(due, order.paid) / 1d) * (since(login) / 1d) > 3", "vary with time", 30},
    {"1d / until(due, order.paid) > 3", "the divisor varies with time", 3},
    {"(count(login) > 1", "to close '('", 17},
    {"latest(category, order.paid) == \"open", "is not closed", 32},
    {"was(b.nothing) == 'on'", "'b.nothing' is not known: expected the name of a dimension", 4},
    {"was( ) == 'on'", "expected the name of a dimension, as in was(value.level), found ')'", 5},
    {"held(login) > 1d", "'login' is not known: expected the name of a dimension", 5},
    {"previous(b.other == 'on'", "expected ')' after the dimension", 17},
    {"was(b.other) == 'nope'", "has no tag 'nope': it has on", 16},
    {"previous( b.other ) in ('on', 'nope')", "has no tag 'nope': it has on", 30},
    {"was(b.other) < 'on'", "a tag is only equal or different", 13},
    {"held(b.other) > 3", "a duration can't be compared with a number", 14},
    {"(held(b.other) / 1d) * (since(login) / 1d) > 3", "vary with time", 21},
    {"1d / held(b.here) > 3", "the divisor varies with time", 3},
    {"true true", "expected an operator or the end", 5},
    {"", "expected a value", 0},
};

static void an_error_names_the_place_and_shows_a_caret(void)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tagd_buf dimensions = {0};
        struct tagd_error error = {0};
        tagd_buf_add_z(&dimensions, "\"b.other\":{\"tags\":[{\"tag\":\"on\",\"when\":\"true\"}]},\n\"b.here\":{"
                                    "\"tags\":[{\"tag\":\"yes\",\"when\":\n");
        tagd_buf_add_json(&dimensions, tagd_str_of(wrong[i].when));
        tagd_buf_add_z(&dimensions, "}]}");
        tagd_buf_add_byte(&dimensions, 0);
        struct tagd_catalog *catalog =
            shop_catalog("\"tables\":{\"line\":{\"values\":{\"a\":\"b\"}}},", dimensions.p, &error);
        if (catalog || !strstr(error.text, wrong[i].words))
            fprintf(stderr, "rule: %s\nexpected: %s\ngot: %s\n", wrong[i].when, wrong[i].words, error.text);
        CHECK(!catalog);
        CHECK(strstr(error.text, wrong[i].words));
        CHECK(strncmp(error.text, "shop.json:", 10) == 0);
        const char *last = strrchr(error.text, '\n');
        CHECK(last && strchr(last, '^'));
        if (wrong[i].caret >= 0) {
            /* The rule begins its line with a quote; quotes inside are escaped, so count them. */
            int column = 1;
            for (int c = 0; c < wrong[i].caret; c++)
                column += wrong[i].when[c] == '"' ? 2 : 1;
            int found = 0;
            CHECK(sscanf(error.text, "shop.json:3:%d", &found) == 1);
            if (found != column + 1)
                fprintf(stderr, "rule: %s\n%s\n", wrong[i].when, error.text);
            CHECK(found == column + 1);
        }
        tagd_buf_free(&dimensions);
    }
}

/* `value` of a dimension, and what is wrong with it. */
static void a_value_that_can_be_no_tag_is_refused(void)
{
    static const struct {
        const char *value, *words;
    } values[] = {
        {"since(login)", "varies with every millisecond"},
        {"until(due, order.paid) / 1d", "varies with every millisecond"},
        {"avg(amount, order.paid)", "is a double"},
        {"count(login) + 1", "is a double"},
        {"1e20", "is a double"},
        {"5d", "a duration can't be a tag"},
        {"null", "null can't be a tag"},
        {"d.it", "depends on itself"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tagd_buf text = {0};
        struct tagd_error error = {0};
        tagd_buf_printf(&text, "\"d.it\":{\"value\":\"%s\"}%c", values[i].value, 0);
        CHECK(!shop_catalog("", text.p, &error));
        if (!strstr(error.text, values[i].words))
            fprintf(stderr, "%s: %s\n", values[i].value, error.text);
        CHECK(strstr(error.text, values[i].words) && strstr(error.text, "/dimensions/d.it"));
        tagd_buf_free(&text);
    }
    struct tagd_error error = {0};
    CHECK(!shop_catalog("", "\"d.it\":{\"value\":\"count(login)\",\"tags\":[]}", &error));
    CHECK(strstr(error.text, "expected one of them"));
    CHECK(!shop_catalog("", "\"d.it\":{}", &error) && strstr(error.text, "'tags' or 'value' is missing"));
}

static void a_value_may_be_anything_exact(void)
{
    static const char *const values[] = {
        "count(login[30d])",
        "sum(amount, order.paid)",
        "min(amount, order.paid[30d])",
        "distinct(category, buys)",
        "days(login)",
        "days_until(attr.born)",
        "days_until(buys)",
        "years(attr.born)",
        "years(login)",
        "lookup(line, attr.region)",
        "lookup(line, 'a')",
        "lookup(line, null)",
        "lookup(line, lookup(line, top(category, order.paid[30d])))",
        "top(category, order.paid)",
        "latest(coupon, buys)",
        "first(source, login)",
        "max(due, order.paid[30d])",
        "latest(day, order.paid)",
        "attr.score",
        "attr.vip",
        "'text'",
        "2.5",
        "count(login) > 1",
        "true",
        "spend",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tagd_buf text = {0};
        struct tagd_error error = {0};
        tagd_buf_printf(&text, "\"d.it\":{\"value\":\"%s\"}%c", values[i], 0);
        struct tagd_catalog *catalog = shop_catalog("\"tables\":{\"line\":{\"values\":{\"a\":\"b\"}}},"
                                                    "\"metrics\":{\"spend\":\"sum(amount, order.paid[30d])\"},",
                                                    text.p, &error);
        if (!catalog)
            fprintf(stderr, "%s: %s\n", values[i], error.text);
        CHECK(catalog && tagd_catalog_is_value(catalog, 0) && tagd_catalog_n_tags(catalog, 0) == 0);
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

static void a_catalog_has_at_most_500_attributes(void)
{
    for (int n = TAGD_ATTRIBUTES_MAX; n <= TAGD_ATTRIBUTES_MAX + 1; n++) {
        struct tagd_buf text = {0};
        struct tagd_error error = {0};
        tagd_buf_add_z(&text, "{\"catalog\":\"c\",\"version\":\"1\",\"events\":{},\"dimensions\":{},\"attributes\":{");
        for (int i = 0; i < n; i++)
            tagd_buf_printf(&text, "%s\"a%d\":\"string\"", i ? "," : "", i);
        tagd_buf_add_z(&text, "}}");
        struct tagd_catalog *catalog = tagd_catalog_load("c.json", text.p, text.n, &error);
        CHECK((catalog != NULL) == (n == TAGD_ATTRIBUTES_MAX));
        CHECK(catalog || strstr(error.text, "501 attributes: a catalog has at most 500"));
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

static void a_breakdown_is_of_two_dimensions_or_of_a_value_and_is_not_meaning(void)
{
    static const char dimensions[] =
        "\"a.b\":{\"label\":{\"en\":\"A\"},\"tags\":[{\"tag\":\"x\",\"label\":\"X\",\"when\":"
        "\"true\"},{\"tag\":\"y\",\"when\":\"false\"}]},\"a.c\":{\"value\":\"attr.region\"}";
    static const struct {
        const char *breakdowns, *at, *words;
    } wrong_ones[] = {
        {"{}", "/breakdowns: ", "expected an array of breakdowns, found an object"},
        {"[\"a.b\"]", "/breakdowns/0: ", "expected an array of two dimensions, or of one, found a string"},
        {"[[]]", "/breakdowns/0: ", "found an empty array"},
        {"[[\"a.b\",\"a.c\",\"a.b\"]]", "/breakdowns/0: ", "expected an array of two dimensions, or of one"},
        {"[[\"a.b\",1]]", "/breakdowns/0/1: ", "expected the name of a dimension, found a number"},
        {"[[\"a.b\",\"a.d\"]]", "/breakdowns/0/1: ", "'a.d' is no dimension of this catalog"},
        {"[[\"a.c\",\"loss\"]]", "/breakdowns/0/1: ", "'loss' is no dimension of this catalog"},
        {"[[\"a.b\"]]", "/breakdowns/0: ", "'a.b' has 'tags', which are always counted: expected a second dimension"},
        {"[[\"a.b\",\"a.b\"]]", "/breakdowns/0: ", "expected two different dimensions"},
        {"[[\"a.c\"],[\"a.b\",\"a.c\"],[\"a.c\"]]", "/breakdowns/2: ", "this one stands in \"breakdowns\" already"},
        {"[[\"a.b\",\"a.c\"],[\"a.c\"],[\"a.c\",\"a.b\"]]", "/breakdowns/2: ", "stand in \"breakdowns\" already"},
    };
    struct tagd_error error;
    struct tagd_buf text = {0};
    for (size_t i = 0; i < sizeof wrong_ones / sizeof *wrong_ones; i++) {
        text.n = 0;
        tagd_buf_printf(&text, "\"alerts\":{\"loss\":{\"when\":\"true\"}},\"breakdowns\":%s,%c",
                        wrong_ones[i].breakdowns, 0);
        CHECK(!shop_catalog(text.p, dimensions, &error));
        if (!strstr(error.text, wrong_ones[i].at) || !strstr(error.text, wrong_ones[i].words))
            fprintf(stderr, "%s: %s\n", wrong_ones[i].breakdowns, error.text);
        CHECK(strstr(error.text, wrong_ones[i].at) && strstr(error.text, wrong_ones[i].words));
    }
    struct tagd_catalog *with = shop_catalog("\"breakdowns\":[[\"a.c\",\"a.b\"],[\"a.c\"]],", dimensions, &error),
                        *without = shop_catalog("", dimensions, &error);
    CHECK(with && without && strcmp(tagd_catalog_hash(with), tagd_catalog_hash(without)) == 0);
    text.n = 0;
    tagd_catalog_describe(with, &text);
    tagd_buf_add_byte(&text, 0);
    CHECK(strstr(text.p, "\ncounted by both a.b and a.c\n"));
    CHECK(strcmp(tagd_catalog_label(with, 0), "{\"en\":\"A\"}") == 0 && tagd_catalog_label(with, 1) == NULL);
    CHECK(strcmp(tagd_catalog_tag_label(with, 0, 0), "\"X\"") == 0 && tagd_catalog_tag_label(with, 0, 1) == NULL);
    tagd_buf_free(&text);
    tagd_catalog_free(with);
    tagd_catalog_free(without);
}

static void a_catalog_has_at_most_100_breakdowns(void)
{
    for (int n = TAGD_BREAKDOWNS_MAX; n <= TAGD_BREAKDOWNS_MAX + 1; n++) {
        struct tagd_buf breakdowns = {0}, dimensions = {0};
        struct tagd_error error = {0};
        for (int i = 0; i <= n; i++)
            tagd_buf_printf(&dimensions, "%s\"a.d%d\":{\"value\":\"attr.region\"}", i ? "," : "", i);
        tagd_buf_add_byte(&dimensions, 0);
        tagd_buf_add_z(&breakdowns, "\"breakdowns\":[");
        for (int i = 0; i < n; i++)
            tagd_buf_printf(&breakdowns, "%s[\"a.d0\",\"a.d%d\"]", i ? "," : "", i + 1);
        tagd_buf_printf(&breakdowns, "],%c", 0);
        struct tagd_catalog *catalog = shop_catalog(breakdowns.p, dimensions.p, &error);
        CHECK((catalog != NULL) == (n == TAGD_BREAKDOWNS_MAX));
        CHECK(catalog || strstr(error.text, "101 breakdowns: a catalog has at most 100"));
        tagd_catalog_free(catalog);
        tagd_buf_free(&breakdowns);
        tagd_buf_free(&dimensions);
    }
}

/* A catalog with these tables and a rule. */
static struct tagd_catalog *with_tables(const char *tables, const char *rule, struct tagd_error *error)
{
    struct tagd_buf more = {0}, dimensions = {0};
    tagd_buf_printf(&more, "\"tables\":%s,%c", tables, 0);
    tagd_buf_printf(&dimensions, "\"b.x\":{\"tags\":[{\"tag\":\"a\",\"when\":\"%s\"}]}%c", rule, 0);
    struct tagd_catalog *catalog = shop_catalog(more.p, dimensions.p, error);
    tagd_buf_free(&more);
    tagd_buf_free(&dimensions);
    return catalog;
}

/* Though no rule uses it. */
static void a_table_that_is_none_is_refused(void)
{
    static const struct {
        const char *tables, *pointer, *words;
    } bad[] = {
        {"[]", "at /tables:", "an object of value tables, found an empty array"},
        {"{\"a.b\":{\"values\":{\"k\":\"v\"}}}", "at /tables/a.b:", "a table's name of ASCII letters"},
        {"{\"t\":5}", "at /tables/t:", "an object with 'values', found a number"},
        {"{\"t\":{}}", "at /tables/t:", "key 'values' is missing"},
        {"{\"t\":{\"values\":[]}}", "at /tables/t/values:", "an object of values by key, found an empty array"},
        {"{\"t\":{\"values\":{}}}", "at /tables/t/values:", "a table has at least one value"},
        {"{\"t\":{\"values\":{\"k\":5}}}", "at /tables/t/values/k:", "expected a string, found a number"},
        {"{\"t\":{\"values\":{\"k/l\":null}}}", "at /tables/t/values/k~1l:", "expected a string, found null"},
        {"{\"t\":{\"values\":{\"k\":\"v\",\"k\":\"w\"}}}", "at /tables/t/values/k:", "stands twice"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"other\":\"x\"}}", "at /tables/t/other:", "unknown key 'other'"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"else\":null}}", "at /tables/t/else:", "expected a string, found null"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"keep\":\"yes\"}}", "at /tables/t/keep:", "true or false, found a string"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"else\":\"x\",\"keep\":true}}",
         "at /tables/t/keep:", "expected one of them"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"keep\":false,\"else\":\"x\"}}",
         "at /tables/t/keep:", "expected one of them"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tagd_error error = {0};
        struct tagd_catalog *catalog = with_tables(bad[i].tables, "true", &error);
        if (catalog || !strstr(error.text, bad[i].words) || !strstr(error.text, bad[i].pointer))
            fprintf(stderr, "%s: %s\n", bad[i].tables, error.text);
        CHECK(!catalog && strstr(error.text, bad[i].words) && strstr(error.text, bad[i].pointer));
    }
}

static void a_catalog_has_at_most_200_tables_of_10000_values(void)
{
    for (int n = TAGD_TABLES_MAX; n <= TAGD_TABLES_MAX + 1; n++) {
        struct tagd_buf text = {0};
        struct tagd_error error = {0};
        for (int i = 0; i < n; i++)
            tagd_buf_printf(&text, "%s\"t%d\":{\"values\":{\"k\":\"v\"}}", i ? "," : "{", i);
        tagd_buf_printf(&text, "}%c", 0);
        struct tagd_catalog *catalog = with_tables(text.p, "lookup(t199, 'k') == 'v'", &error);
        CHECK((catalog != NULL) == (n == TAGD_TABLES_MAX));
        CHECK(catalog || strstr(error.text, "201 tables: a catalog has at most 200"));
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
    for (int n = TAGD_TABLE_VALUES_MAX; n <= TAGD_TABLE_VALUES_MAX + 1; n++) {
        struct tagd_buf text = {0};
        struct tagd_error error = {0};
        for (int i = 0; i < n; i++)
            tagd_buf_printf(&text, "%s\"%d\":\"v\"", i ? "," : "{\"t\":{\"values\":{", i);
        tagd_buf_printf(&text, "}}}%c", 0);
        struct tagd_catalog *catalog = with_tables(text.p, "true", &error);
        CHECK((catalog != NULL) == (n == TAGD_TABLE_VALUES_MAX));
        CHECK(catalog || strstr(error.text, "10001 values: a table has at most 10000"));
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

static void every_key_of_a_large_table_is_found_and_no_other(void)
{
    struct tagd_buf text = {0};
    struct tagd_error error = {0};
    for (int i = 0; i < TAGD_TABLE_VALUES_MAX; i++) /* in no order */
        tagd_buf_printf(&text, "%s\"k%d\":\"v%d\"", i ? "," : "{\"t\":{\"values\":{", i * 7919 % 10007, i);
    tagd_buf_printf(&text, "}}}%c", 0);
    struct tagd_catalog *catalog = with_tables(text.p, "true", &error);
    CHECK(catalog);
    for (int i = 0; i < 10007; i++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "k%d", i * 7919 % 10007);
        snprintf(value, sizeof value, "v%d", i);
        struct tagd_str found = tagd_table_find(&catalog->tables[0], tagd_str_of(key));
        CHECK(i < TAGD_TABLE_VALUES_MAX ? tagd_str_eq(found, tagd_str_of(value)) : !found.p);
    }
    CHECK(!tagd_table_find(&catalog->tables[0], TAGD_STR("k")).p);
    CHECK(!tagd_table_find(&catalog->tables[0], TAGD_STR("k1 ")).p &&
          !tagd_table_find(&catalog->tables[0], TAGD_STR("")).p);
    tagd_catalog_free(catalog);
    tagd_buf_free(&text);
}

static void a_tables_strings_have_at_most_1024_bytes(void)
{
    static const struct {
        const char *before, *behind, *words;
    } places[] = {
        {"{\"t\":{\"values\":{\"", "\":\"v\"}}}", "a key has at most 1024 bytes: that which begins with 'xxxx"},
        {"{\"t\":{\"values\":{\"k\":\"", "\"}}}",
         "at /tables/t/values/k: expected a string of at most 1024 bytes, found 1025"},
        {"{\"t\":{\"values\":{\"k\":\"v\"},\"else\":\"", "\"}}",
         "at /tables/t/else: expected a string of at most 1024 bytes, found 1025"},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (int n = TAGD_STRING_MAX; n <= TAGD_STRING_MAX + 1; n++) {
            struct tagd_error error = {0};
            struct tagd_buf text = {0};
            tagd_buf_add_z(&text, places[i].before);
            for (int j = 0; j < n; j++)
                tagd_buf_add_byte(&text, 'x');
            tagd_buf_printf(&text, "%s%c", places[i].behind, 0);
            struct tagd_catalog *catalog = with_tables(text.p, "true", &error);
            CHECK((catalog != NULL) == (n == TAGD_STRING_MAX));
            if (!catalog && !strstr(error.text, places[i].words))
                fprintf(stderr, "%s\n", error.text);
            CHECK(catalog || strstr(error.text, places[i].words));
            tagd_catalog_free(catalog);
            tagd_buf_free(&text);
        }
    }
}

/* It could become a tag, which has no more. */
static void a_string_of_a_rule_has_at_most_1024_bytes(void)
{
    for (int n = TAGD_STRING_MAX; n <= TAGD_STRING_MAX + 1; n++) {
        struct tagd_error error = {0};
        char text[TAGD_STRING_MAX + 100];
        snprintf(text, sizeof text, "\"b.x\":{\"value\":\"'%0*d'\"}", n, 0);
        struct tagd_catalog *catalog = shop_catalog("", text, &error);
        CHECK((catalog != NULL) == (n == TAGD_STRING_MAX));
        CHECK(catalog || strstr(error.text, "this string has 1025 bytes; a string has at most 1024"));
        tagd_catalog_free(catalog);
    }
}

static void what_tables_say_is_meaning_and_in_which_order_is_not(void)
{
    static const struct {
        const char *tables, *rule;
        bool same; /* meaning as the first */
    } rows[] = {
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"3\"}}}",
         "lookup(t, attr.region) == '3'", true},
        {"{\"t\":{\"values\":{\"c\":\"3\"}},\"s\":{\"values\":{\"b\":\"2\",\"a\":\"1\"}}}",
         "lookup( t,attr.region) == '3'", true},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"},\"keep\":false},\"t\":{\"values\":{\"c\":\"3\"}}}",
         "lookup(t, attr.region) == '3'", true},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"3\"}}}",
         "lookup(s, attr.region) == '3'", false},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"4\"}}}",
         "lookup(t, attr.region) == '3'", false},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"d\":\"3\"}}}",
         "lookup(t, attr.region) == '3'", false},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"3\"},\"else\":\"\"}}",
         "lookup(t, attr.region) == '3'", false},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"3\"},\"keep\":true}}",
         "lookup(t, attr.region) == '3'", false},
        {"{\"s\":{\"values\":{\"a\":\"1\",\"b\":\"2\"}},\"t\":{\"values\":{\"c\":\"3\"}}}", "attr.region == '3'",
         false},
    };
    char first[33] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tagd_error error = {0};
        struct tagd_catalog *catalog = with_tables(rows[i].tables, rows[i].rule, &error);
        if (!catalog)
            fprintf(stderr, "%s\n", error.text);
        CHECK(catalog);
        if (i == 0)
            snprintf(first, sizeof first, "%s", tagd_catalog_hash(catalog));
        CHECK((strcmp(tagd_catalog_hash(catalog), first) == 0) == rows[i].same);
        tagd_catalog_free(catalog);
    }
}

static void what_a_calendar_function_is_of_is_meaning_and_how_a_date_is_written_is_not(void)
{
    static const char *const rules[] = {"days_until(attr.born) > 3", "years(attr.born) > 3",
                                        "days_until(login) > 3",     "years(login) > 3",
                                        "years(buys) > 3",           "since_first(login) > 3d",
                                        "attr.born > '2023-10-05'",  "attr.born > '2023/10/5'",
                                        "attr.born > '20231005'",    "attr.born > '2023年10月5日'"};
    enum { DATES = 6, N = sizeof rules / sizeof *rules };
    char hashes[N][33];
    for (size_t i = 0; i < N; i++) {
        struct tagd_error error = {0};
        struct tagd_catalog *catalog = with_tables("{}", rules[i], &error);
        CHECK(catalog);
        snprintf(hashes[i], sizeof hashes[i], "%s", tagd_catalog_hash(catalog));
        tagd_catalog_free(catalog);
        for (size_t j = 0; j < i; j++)
            CHECK((strcmp(hashes[i], hashes[j]) == 0) == (j >= DATES));
    }
}

static void labels_plans_and_layout_are_not_meaning(void)
{
    struct tagd_error error;
    struct tagd_catalog *a =
        shop_catalog("", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login[30d]) > 1\"}]}", &error);
    struct tagd_catalog *b = shop_catalog("\"metrics\":{\"n\":\"count( login[30d:1h] )\"},",
                                          "\"b.x\":{\"label\":\"X\",\"tags\":[{\"tag\":\"on\",\"label\":{\"en\":\"On\"}"
                                          ",\"plan\":{\"a\":1},\"when\":\"n  >  1\"}]}",
                                          &error);
    struct tagd_catalog *c =
        shop_catalog("", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login[30d]) > 2\"}]}", &error);
    CHECK(a && b && c);
    CHECK(strcmp(tagd_catalog_hash(a), tagd_catalog_hash(b)) == 0);
    CHECK(strcmp(tagd_catalog_hash(a), tagd_catalog_hash(c)) != 0);
    tagd_catalog_free(a);
    tagd_catalog_free(b);
    tagd_catalog_free(c);
}

static void what_meets_an_instant_and_how_long_before_it_is_meaning(void)
{
    static const char *const rules[] = {"due, order.paid, login",      "due, order.paid, login, 0s",
                                        "due, order.paid, login, 1h",  "due, order.paid, login, 2h",
                                        "due, order.paid, order.paid", "due, order.paid{amount>1}, login"};
    enum { N = sizeof rules / sizeof *rules };
    char hashes[N][33];
    for (size_t i = 0; i < N; i++) {
        struct tagd_error error = {0};
        struct tagd_buf text = {0};
        tagd_buf_printf(&text, "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"until_next(%s) < 0s\"}]}%c", rules[i], 0);
        struct tagd_catalog *catalog = shop_catalog("", text.p, &error);
        if (!catalog)
            fprintf(stderr, "%s\n", error.text);
        CHECK(catalog);
        snprintf(hashes[i], sizeof hashes[i], "%s", tagd_catalog_hash(catalog));
        for (size_t k = 0; k < i; k++)
            CHECK((strcmp(hashes[i], hashes[k]) == 0) == (i == 1)); /* 0s is what it is if none is given */
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

/* Keys of an object have no order. */
static void the_order_of_events_fields_and_attributes_is_not_meaning(void)
{
    static const char rest[] =
        "\"groups\":{\"g\":[\"b{x>1}\",\"a\"]},\"dimensions\":{\"d.t\":{\"tags\":[{\"tag\":\"y\",\"when\":"
        "\"sum(x, g[1d]) > 1.50 and attr.q == 'k' and attr.p > -99999999999.9999\"}]}}}";
    static const char *const heads[] = {
        "{\"catalog\":\"c\",\"version\":\"1\",\"events\":{\"a\":{\"fields\":{\"x\":\"decimal\",\"s\":\"string\"}},"
        "\"b\":{\"fields\":{\"x\":\"decimal\"}}},\"attributes\":{\"p\":\"decimal\",\"q\":\"string\"},",
        "{\"catalog\":\"c\",\"version\":\"1\",\"attributes\":{\"q\":\"string\",\"p\":\"decimal\"},\"events\":{"
        "\"b\":{"
        "\"fields\":{"
        "\"x\":\"decimal\"}},\"a\":{\"fields\":{\"s\":\"string\",\"x\":\"decimal\"}}},",
    };
    char hashes[2][33];
    for (size_t i = 0; i < 2; i++) {
        struct tagd_error error = {0};
        struct tagd_buf text = {0};
        tagd_buf_printf(&text, "%s%s", heads[i], rest);
        struct tagd_catalog *catalog = tagd_catalog_load("c.json", text.p, text.n, &error);
        if (!catalog)
            fprintf(stderr, "%s\n", error.text);
        CHECK(catalog);
        snprintf(hashes[i], sizeof hashes[i], "%s", tagd_catalog_hash(catalog));
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
    CHECK(strcmp(hashes[0], hashes[1]) == 0);
}

/* m0; m1 = use of m0; ... `rule` is made of the last one, which stands first or last in the file. */
static struct tagd_catalog *chain(int n, bool reversed, bool halfway, const char *each, struct tagd_error *error)
{
    struct tagd_buf more = {0};
    tagd_buf_add_z(&more, "\"metrics\":{");
    for (int k = 0; k < n; k++) {
        int i = reversed ? n - 1 - k : k;
        tagd_buf_printf(&more, "%s\"m%d\":\"", k ? "," : "", i);
        if (i == 0)
            tagd_buf_add_z(&more, "count(login)");
        else
            tagd_buf_printf(&more, each, i - 1, i - 1);
        tagd_buf_add_byte(&more, '"');
    }
    tagd_buf_printf(&more, "},%c", 0);
    struct tagd_buf rule = {0};
    for (int i = halfway ? n / 2 : n - 1; i < n;
         i += n - 1 - n / 2) /* the one in the middle is known when the last is read */
        tagd_buf_printf(&rule, "%s\"b.x%d\":{\"tags\":[{\"tag\":\"a\",\"when\":\"m%d > 1\"}]}", rule.n ? "," : "", i,
                        i);
    tagd_buf_add_byte(&rule, 0);
    struct tagd_catalog *catalog = shop_catalog(more.p, rule.p, error);
    tagd_buf_free(&more);
    tagd_buf_free(&rule);
    return catalog;
}

static void metrics_nest_64_deep_in_whatever_order_they_stand(void)
{
    for (int way = 0; way < 4; way++) {
        struct tagd_error error = {0};
        struct tagd_catalog *catalog = chain(TAGD_METRIC_DEPTH_MAX, way & 1, way & 2, "m%d", &error);
        CHECK(catalog);
        tagd_catalog_free(catalog);
        CHECK(!chain(TAGD_METRIC_DEPTH_MAX + 1, way & 1, way & 2, "m%d", &error) &&
              strstr(error.text, "metrics use metrics more than 64 deep"));
    }
}

#define LOW "\"a.b\":{\"tags\":[{\"tag\":\"low\",\"when\":\"true\"},{\"tag\":\"high\",\"when\":\"false\"}]}"
#define OF_LOW "\"start\":\"a.b.low\",\"reach\":\"order.paid\",\"within\":\"1d\""

static void goals_and_measures_are_taken_or_refused_with_a_reason(void)
{
    static const struct {
        const char *more, *refused; /* NULL: taken */
    } rows[] = {
        {"\"goals\":{\"g\":{" OF_LOW "}}", NULL},
        {"\"goals\":{\"g\":{" OF_LOW ",\"target\":1,\"holdout\":0}}", NULL},
        {"\"goals\":{\"g\":{" OF_LOW ",\"target\":1.0001}}", "expected a share from 0 to 1"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"target\":-0.0001}}", "expected a share from 0 to 1"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"target\":0.12345}}", "with at most four decimals"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"holdout\":0.0001,\"uplift\":0}}", NULL},
        {"\"goals\":{\"g\":{" OF_LOW ",\"holdout\":0,\"uplift\":0}}", "'uplift' is against customers who are held out"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"fewer_missed\":0.2}}", "'fewer_missed' is against customers who are held out"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"holdout\":0.1,\"uplift\":0.1,\"fewer_missed\":0.2}}",
         "expected one of 'target', 'uplift' and 'fewer_missed'"},
        {"\"goals\":{\"g\":{" OF_LOW ",\"holdout\":0.1,\"target\":0.1,\"fewer_missed\":0.2}}",
         "expected one of 'target', 'uplift' and 'fewer_missed'"},
        {"\"goals\":{\"g\":{" OF_LOW "},\"h\":{" OF_LOW "}}", "this tag starts goal 'g' already"},
        {"\"goals\":{\"g\":{\"start\":\"a.b.gone\",\"reach\":\"login\",\"within\":\"1d\"}}",
         "'a.b.gone' is no tag of this catalog"},
        {"\"goals\":{\"g\":{\"start\":\"a.b.low\",\"reach\":\"login\",\"within\":\"0s\"}}",
         "expected a duration longer than nothing"},
        {"\"measures\":{\"m\":{\"value\":\"count(login) > 1\",\"of\":\"a.b == 'low'\"}}", NULL},
        {"\"measures\":{\"m\":{\"value\":\"since(login)\"},\"n\":{\"value\":\"avg(amount, order.paid)\"}}", NULL},
        {"\"measures\":{\"m\":{\"value\":\"latest(category, order.paid)\"}}",
         "a measure is a condition, a number or a duration"},
        {"\"measures\":{\"m\":{\"value\":\"1\",\"of\":\"count(login)\"}}", "expected a condition"},
        {"\"measures\":{\"m\":{\"of\":\"true\"}}", "key 'value' is missing"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tagd_buf more = {0};
        struct tagd_error error = {0};
        tagd_buf_printf(&more, "%s,%c", rows[i].more, 0);
        struct tagd_catalog *catalog = shop_catalog(more.p, LOW, &error);
        if ((catalog != NULL) != (rows[i].refused == NULL))
            fprintf(stderr, "%s: %s\n", rows[i].more, error.text);
        CHECK((catalog != NULL) == (rows[i].refused == NULL));
        CHECK(catalog || strstr(error.text, rows[i].refused));
        tagd_catalog_free(catalog);
        tagd_buf_free(&more);
    }
}

/* Figures change no tag: what they add is the state that they need. */
static void a_measure_means_nothing_but_its_state(void)
{
    struct tagd_error error;
    struct tagd_catalog *without = shop_catalog("\"metrics\":{\"n\":\"count(login)\"},", LOW, &error),
                        *of_metric = shop_catalog("\"metrics\":{\"n\":\"count(login)\"},\"measures\":{\"m\":{"
                                                  "\"label\":\"M\",\"value\":\"n > 1\",\"of\":\"n > 0\"}},",
                                                  LOW, &error),
                        *more = shop_catalog("\"metrics\":{\"n\":\"count(login)\"},\"measures\":{\"m\":{\"value\":"
                                             "\"count(login[1d])\"}},",
                                             LOW, &error);
    CHECK(strcmp(tagd_catalog_hash(without), tagd_catalog_hash(of_metric)) == 0);
    CHECK(strcmp(tagd_catalog_hash(without), tagd_catalog_hash(more)) != 0);
    CHECK(tagd_catalog_n_measures(of_metric) == 1);
    CHECK(tagd_catalog_measure(of_metric, 0)->kind == TAGD_MEASURE_SHARE);
    CHECK(tagd_catalog_measure(more, 0)->kind == TAGD_MEASURE_NUMBER);
    CHECK(strcmp(tagd_catalog_measure(of_metric, 0)->label, "\"M\"") == 0);
    CHECK(strcmp(tagd_catalog_measure(of_metric, 0)->name, "m") == 0);
    tagd_catalog_free(without);
    tagd_catalog_free(of_metric);
    tagd_catalog_free(more);
}

static void a_chain_of_50000_metrics_is_refused_before_the_stack_ends(void)
{
    struct tagd_error error = {0};
    CHECK(!chain(50000, true, false, "m%d", &error) && strstr(error.text, "metrics use metrics more than 64 deep"));
}

static void metrics_that_double_end_at_10000_parts(void)
{
    struct tagd_error error = {0};
    struct tagd_catalog *catalog = chain(12, false, false, "m%d + m%d", &error); /* 2^13 - 1 and their metrics: 8187 */
    CHECK(catalog);
    tagd_catalog_free(catalog);
    CHECK(!chain(14, false, false, "m%d + m%d", &error) && strstr(error.text, "parts; at most 10000 are taken"));
}

static void a_literal_of_15_digits_is_a_decimal(void)
{
    static const char *const filters[] = {"amount>=-99999999999.9999", "amount=100000000000.0000",
                                          "amount<-100000000000", "amount!=00000000000000001.5000000"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct tagd_error error = {0};
        struct tagd_buf rule = {0};
        tagd_buf_printf(&rule, "\"b.x\":{\"value\":\"count(order.paid{%s})\"}%c", filters[i], 0);
        struct tagd_catalog *catalog = shop_catalog("", rule.p, &error);
        if (!catalog)
            fprintf(stderr, "%s\n", error.text);
        CHECK(catalog);
        tagd_catalog_free(catalog);
        tagd_buf_free(&rule);
    }
}

/* `member` is the inside of an object after the shop's events: n entries of `each`, which has the entry's number. */
static struct tagd_catalog *many(const char *member, const char *each, int n, struct tagd_error *error)
{
    struct tagd_buf more = {0};
    tagd_buf_printf(&more, "\"%s\":{", member);
    for (int i = 0; i < n; i++) {
        tagd_buf_add_z(&more, i ? "," : "");
        tagd_buf_printf(&more, each, i);
    }
    tagd_buf_printf(&more, "},%c", 0);
    struct tagd_catalog *catalog =
        shop_catalog(more.p, "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"true\"}]}", error);
    tagd_buf_free(&more);
    return catalog;
}

static void a_catalog_has_at_most_500_alerts_and_10000_aliases(void)
{
    struct tagd_error error = {0};
    struct tagd_catalog *catalog = many("alerts", "\"a%d\":{\"when\":\"true\"}", TAGD_ALERTS_MAX, &error);
    CHECK(catalog && tagd_catalog_n_dimensions(catalog) == 1 + TAGD_ALERTS_MAX);
    CHECK(tagd_catalog_kind(catalog, 0) == TAGD_KIND_TAG && tagd_catalog_kind(catalog, 1) == TAGD_KIND_ALERT &&
          tagd_catalog_kind(catalog, TAGD_ALERTS_MAX) == TAGD_KIND_ALERT);
    tagd_catalog_free(catalog);
    CHECK(!many("alerts", "\"a%d\":{\"when\":\"true\"}", TAGD_ALERTS_MAX + 1, &error) &&
          strstr(error.text, "501 alerts: a catalog has at most 500"));
    catalog = many("aliases", "\"o.o.t%d\":\"b.x.on\"", TAGD_ALIASES_MAX, &error);
    CHECK(catalog);
    for (int i = 0; i < TAGD_ALIASES_MAX; i += 999) { /* all are found */
        char name[16];
        int32_t dimension, tag;
        snprintf(name, sizeof name, "t%d", i);
        CHECK(tagd_catalog_tag_find(catalog, TAGD_STR("o.o"), tagd_str_of(name), &dimension, &tag) && dimension == 0 &&
              tag == 0);
    }
    tagd_catalog_free(catalog);
    CHECK(!many("aliases", "\"o.o.t%d\":\"b.x.on\"", TAGD_ALIASES_MAX + 1, &error) &&
          strstr(error.text, "10001 aliases: a catalog has at most 10000"));
}

static void a_tag_is_found_by_its_names_old_and_new(void)
{
    struct tagd_error error = {0};
    struct tagd_catalog *catalog =
        shop_catalog("\"aliases\":{\"old.x.gold\":\"b.x.high\",\"old.x.iron\":\"b.x.low\",\"old.y.a\":\"b.x.low\","
                     "\"old.y.b\":\"b.y.on\","
                     "\"b.y.off\":\"b.x.low\"},\"alerts\":{\"b\":{\"when\":\"true\"}},",
                     "\"b.x\":{\"tags\":[{\"tag\":\"high\",\"when\":\"false\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
                     "\"b.y\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"on\"}]},\"b.v\":{\"value\":\"count(login)\"}",
                     &error);
    static const struct {
        const char *dimension, *tag;
        int32_t to, to_tag; /* -1: not found */
    } cases[] = {{"b.x", "high", 0, 0},   {"b.x", "low", 0, 1},      {"b.x", "gold", 0, -1}, {"old.x", "gold", 0, 0},
                 {"old.x", "iron", 0, 1}, {"old.x", "high", -1, -1}, {"old.y", "a", 0, 1},   {"old.y", "b", 1, 0},
                 {"b.y", "off", 0, 1},    {"b.y", "on", 1, 0},       {"b.v", "1", 2, -1},    {"b", "raised", -1, -1},
                 {"nobody", "x", -1, -1}};
    CHECK(catalog);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t dimension, tag;
        bool found = tagd_catalog_tag_find(catalog, tagd_str_of(cases[i].dimension), tagd_str_of(cases[i].tag),
                                           &dimension, &tag);
        CHECK(found == (cases[i].to_tag >= 0) && dimension == cases[i].to && tag == cases[i].to_tag);
    }
    CHECK(tagd_catalog_dimension_find(catalog, TAGD_STR("b.y")) == 1 &&
          tagd_catalog_dimension_find(catalog, TAGD_STR("old.x")) == 0);
    CHECK(tagd_catalog_dimension_find(catalog, TAGD_STR("old.y")) == -1); /* it leads to two */
    CHECK(tagd_catalog_dimension_find(catalog, TAGD_STR("b")) == -1 &&
          tagd_catalog_dimension_find(catalog, TAGD_STR("old")) == -1);
    CHECK(tagd_catalog_assign(catalog, 0) == TAGD_ASSIGN_AUTO && tagd_catalog_assign(catalog, 1) == TAGD_ASSIGN_MANUAL);
    tagd_catalog_free(catalog);
}

/* A rule by old names is the rule by new ones. */
static void old_names_in_rules_mean_what_they_lead_to(void)
{
    static const char aliases[] = "\"aliases\":{\"old.x.gold\":\"b.x.high\",\"b.x.iron\":\"b.x.low\"},";
    static const char *const rules[][2] = {
        {"old.x == 'gold'", "b.x == 'high'"},
        {"'gold' != old.x", "'high' != b.x"},
        {"b.x in ('iron', 'high')", "b.x in ('low', 'high')"},
        {"was(old.x) == 'gold' or held( old.x ) > 1d", "was(b.x) == 'high' or held(b.x) > 1d"},
        {"previous(b.x) in ('iron')", "previous(b.x) in ('low')"},
        {"old.x is null", "b.x is null"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char hashes[2][33];
        for (int k = 0; k < 2; k++) {
            struct tagd_error error = {0};
            struct tagd_buf text = {0};
            tagd_buf_printf(
                &text,
                "\"b.x\":{\"tags\":[{\"tag\":\"high\",\"when\":\"false\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
                "\"b.y\":{\"tags\":[{\"tag\":\"on\",\"when\":\"%s\"}]}%c",
                rules[i][k], 0);
            struct tagd_catalog *catalog = shop_catalog(aliases, text.p, &error);
            if (!catalog)
                fprintf(stderr, "%s\n", error.text);
            CHECK(catalog);
            snprintf(hashes[k], sizeof hashes[k], "%s", tagd_catalog_hash(catalog));
            tagd_catalog_free(catalog);
            tagd_buf_free(&text);
        }
        CHECK(strcmp(hashes[0], hashes[1]) == 0);
    }
}

/* All that lets the same events give other tags is part of the meaning; and what only says the same in other words isn't. */
static void how_tags_are_assigned_and_held_back_is_meaning(void)
{
    static const struct {
        const char *more, *dimension; /* of b.x, behind its tags */
        const char *tag;              /* of its tag, behind `when` */
        bool same;                    /* as the first */
    } cases[] = {
        {"", "", "", true},
        {"", ",\"for\":\"0s\",\"min_dwell\":\"0d\"", "", true},
        {"", ",\"assign\":\"auto\"", "", true},
        {"\"alerts\":{},\"aliases\":{},", "", "", true},
        {"", ",\"for\":\"1ms\"", "", false},
        {"", ",\"min_dwell\":\"1h\"", "", false},
        {"", "", ",\"for\":\"1h\"", false},
        {"", "", ",\"min_dwell\":\"2h\"", false},
        {"", ",\"for\":\"1h\"", ",\"for\":\"0s\"", false},
        {"", ",\"assign\":\"review\"", "", false},
        {"", ",\"assign\":\"review\",\"expires\":\"1d\"", "", false},
        {"", ",\"assign\":\"review\",\"expires\":\"2d\"", "", false},
        {"\"alerts\":{\"a\":{\"when\":\"true\"}},", "", "", false},
        {"\"alerts\":{\"a\":{\"when\":\"true\",\"for\":\"1h\"}},", "", "", false},
        {"\"alerts\":{\"b\":{\"when\":\"true\"}},", "", "", false},
        {"\"aliases\":{\"o.o.o\":\"b.x.on\"},", "", "", false},
        {"\"aliases\":{\"o.o.p\":\"b.x.on\"},", "", "", false},
    };
    enum { N = sizeof cases / sizeof *cases };
    char hashes[N][33];
    for (size_t i = 0; i < N; i++) {
        struct tagd_error error = {0};
        struct tagd_buf text = {0};
        tagd_buf_printf(&text, "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"true\"%s}]%s}%c", cases[i].tag,
                        cases[i].dimension, 0);
        struct tagd_catalog *catalog = shop_catalog(cases[i].more, text.p, &error);
        if (!catalog)
            fprintf(stderr, "%s\n", error.text);
        CHECK(catalog);
        snprintf(hashes[i], sizeof hashes[i], "%s", tagd_catalog_hash(catalog));
        for (size_t k = 0; k < i; k++)
            CHECK((strcmp(hashes[i], hashes[k]) == 0) == (cases[i].same && cases[k].same));
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

static void looking_back_makes_no_cycle_and_no_order(void)
{
    struct tagd_error error = {0};
    struct tagd_catalog *catalog =
        shop_catalog("\"metrics\":{\"back\":\"was(b.y) == 'a'\"},",
                     "\"b.x\":{\"tags\":[{\"tag\":\"a\",\"when\":\"back or previous(b.x) == 'a'\"}]},"
                     "\"b.y\":{\"tags\":[{\"tag\":\"a\",\"when\":\"b.x == 'a' and held(b.x) > 1d\"}]}",
                     &error);
    CHECK(catalog);
    tagd_catalog_free(catalog);
    CHECK(!shop_catalog("", "\"b.x\":{\"tags\":[{\"tag\":\"a\",\"when\":\"was(b.x) is null and b.x is null\"}]}",
                        &error) &&
          strstr(error.text, "depends on itself"));
}

static void a_summary_tells_of_alerts_aliases_and_who_assigns(void)
{
    struct tagd_error error = {0};
    struct tagd_buf out = {0};
    struct tagd_catalog *catalog =
        shop_catalog("\"alerts\":{\"loud\":{\"when\":\"b.x == "
                     "'high'\"}},\"aliases\":{\"o.o.a\":\"b.x.high\",\"o.o.b\":\"b.x.high\"},",
                     "\"b.x\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"high\",\"when\":\"b.m == 'vip'\"}]},"
                     "\"b.m\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"vip\"},{\"tag\":\"press\"}]},\"b.v\":{"
                     "\"value\":\"count(login)\"}",
                     &error);
    CHECK(catalog);
    tagd_catalog_describe(catalog, &out);
    tagd_buf_add_byte(&out, 0);
    CHECK(strstr(out.p, " 5 attributes, 0 tables, 0 metrics, 3 dimensions, 1 alert, 2 aliases\n"));
    CHECK(strstr(out.p, "\nb.m, manual: vip press\nb.x, review: high\nb.v: the value of count(login)\nalert loud: "
                        "b.x == 'high'\n"));
    tagd_buf_free(&out);
    tagd_catalog_free(catalog);
}

static void unknown_keys_and_cycles_are_errors(void)
{
    struct tagd_error error;
    CHECK(!shop_catalog("\"colour\":1,", "", &error) && strstr(error.text, "unknown key 'colour'"));
    CHECK(!shop_catalog("\"timezone\":\"Asia/Shanghai\",", "", &error) && strstr(error.text, "a fixed offset"));
    CHECK(!shop_catalog("",
                        "\"b.x\":{\"tags\":[{\"tag\":\"a\",\"when\":\"b.y == "
                        "'a'\"}]},\"b.y\":{\"tags\":[{\"tag\":\"a\",\"when\":\"b.x == 'a'\"}]}",
                        &error));
    CHECK(strstr(error.text, "depends on itself"));
    CHECK(!shop_catalog("\"metrics\":{\"m\":\"n + 1\",\"n\":\"m + 1\"},", "", &error) &&
          strstr(error.text, "depends on itself"));
}

static void a_nesting_at_the_limit_is_read_and_one_past_it_is_not(void)
{
    struct tagd_error error;
    for (int depth = 62; depth <= 63; depth++) { /* the expression and its innermost value count as well */
        struct tagd_buf rule = {0};
        tagd_buf_add_z(&rule, "\"b.x\":{\"tags\":[{\"tag\":\"a\",\"when\":\"");
        for (int i = 0; i < depth; i++)
            tagd_buf_add_byte(&rule, '(');
        tagd_buf_add_z(&rule, "true");
        for (int i = 0; i < depth; i++)
            tagd_buf_add_byte(&rule, ')');
        tagd_buf_add_z(&rule, "\"}]}");
        tagd_buf_add_byte(&rule, 0);
        struct tagd_catalog *catalog = shop_catalog("", rule.p, &error);
        tagd_buf_free(&rule);
        CHECK(depth == 62 ? catalog != NULL : !catalog && strstr(error.text, "nested more than 64"));
        tagd_catalog_free(catalog);
    }
}

/* What may be moved by time alone, of a dimension of one rule, and whether an event can only put that off. */
static void a_dimension_that_events_and_time_move_opposite_ways_is_steady(void)
{
    static const struct {
        const char *inside;
        bool steady;
    } cases[] = {
#define RULE(when) "\"tags\":[{\"tag\":\"t\",\"when\":\"" when "\"}]"
        {RULE("count(login[2h]) > 1"), true},
        {RULE("count(login[2h]) >= 1"), true},
        {RULE("count(login[2h]) < 1"), true},
        {RULE("1 >= count(login[2h])"), true},
        {RULE("count(login[2h]) == 1"), false},
        {RULE("count(login[2h]) != 1"), false},
        {RULE("n > 1"), true},
        {RULE("many"), true},
        {RULE("count(login[2h] offset 1h) > 1"), false},
        {RULE("sum(amount, order.paid[2h]) < 9.5"), true},
        {RULE("days(login[3d]) >= 2"), true},
        {RULE("distinct(category, order.paid[3d]) >= 2"), true},
        {RULE("max(amount, order.paid[2h]) > 5"), false},
        {RULE("since(login) > 1h"), true},
        {RULE("since(login) <= 1h"), true},
        {RULE("since(login) == 1h"), false},
        {RULE("since_first(login) >= 1h"), true},
        {RULE("until(due, order.paid) < 1h"), false},
        {RULE("since(login) > since(order.paid)"), false},
        {RULE("since(login) < 1h and count(login[2h]) > 1"), true},
        {RULE("since(login) < 1h or count(login[2h]) > 1"), true},
        {RULE("since(login) > 1h and count(login[2h]) > 1"), false},
        {RULE("since(login) > 1h or count(login[2h]) > 1"), false},
        {RULE("not (since(login) > 1h)"), false},
        {RULE("count(login[2h]) > 1 and b.w == 't'"), true},
        {RULE("count(login[2h]) > 1 and true"), true},
        {RULE("count(login[2h]) > 1 and was(b.w) == 't'"), false},
        {RULE("count(login[2h]) > 1 and was(b.y) == 't'"), false},
        {RULE("was(b.w) == 't'"), false},
        {RULE("was(b.y) == 't'"), false},
        {RULE("count(login) == 1 and not attr.vip"), true},
        {"\"tags\":[{\"tag\":\"t\",\"when\":\"since(login) == 1h\"},{\"tag\":\"u\",\"when\":\"true\"}]", false},
        {"\"tags\":[{\"tag\":\"t\",\"when\":\"since(login) > 1h\"},"
         "{\"tag\":\"u\",\"when\":\"count(login[2h]) > 1\"}]",
         true},
        {"\"for\":\"1h\"," RULE("since(login) > 1h"), false},
        {"\"min_dwell\":\"1h\"," RULE("since(login) > 1h"), false},
        {"\"assign\":\"review\"," RULE("since(login) > 1h"), false},
        {"\"assign\":\"manual\",\"tags\":[{\"tag\":\"t\"}]", false},
        {"\"value\":\"count(login[2h]) > 1\"", false},
        {"\"value\":\"count(login)\"", true},
#undef RULE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tagd_error error = {0};
        struct tagd_buf text = {0};
        tagd_buf_printf(&text,
                        "\"b.w\":{\"tags\":[{\"tag\":\"t\",\"when\":\"count(login) > 1\"}]},\"b.x\":{%s},"
                        "\"b.y\":{\"tags\":[{\"tag\":\"t\",\"when\":\"count(login) > 1\"}]}",
                        cases[i].inside);
        tagd_buf_add_byte(&text, '\0');
        struct tagd_catalog *catalog =
            shop_catalog("\"metrics\":{\"n\":\"count(login[2h])\",\"many\":\"count(login[2h]) > 1\"},", text.p, &error);
        if (!catalog || catalog->dimensions[1].steady != cases[i].steady)
            fprintf(stderr, "%s %s\n", cases[i].inside, error.text);
        CHECK(catalog && catalog->dimensions[1].steady == cases[i].steady);
        tagd_catalog_free(catalog);
        tagd_buf_free(&text);
    }
}

int main(void)
{
    RUN(an_error_names_the_place_and_shows_a_caret);
    RUN(a_value_that_can_be_no_tag_is_refused);
    RUN(a_value_may_be_anything_exact);
    RUN(a_catalog_has_at_most_500_attributes);
    RUN(a_breakdown_is_of_two_dimensions_or_of_a_value_and_is_not_meaning);
    RUN(a_catalog_has_at_most_100_breakdowns);
    RUN(a_table_that_is_none_is_refused);
    RUN(a_catalog_has_at_most_200_tables_of_10000_values);
    RUN(every_key_of_a_large_table_is_found_and_no_other);
    RUN(a_tables_strings_have_at_most_1024_bytes);
    RUN(a_string_of_a_rule_has_at_most_1024_bytes);
    RUN(what_tables_say_is_meaning_and_in_which_order_is_not);
    RUN(what_a_calendar_function_is_of_is_meaning_and_how_a_date_is_written_is_not);
    RUN(labels_plans_and_layout_are_not_meaning);
    RUN(what_meets_an_instant_and_how_long_before_it_is_meaning);
    RUN(the_order_of_events_fields_and_attributes_is_not_meaning);
    RUN(metrics_nest_64_deep_in_whatever_order_they_stand);
    RUN(goals_and_measures_are_taken_or_refused_with_a_reason);
    RUN(a_measure_means_nothing_but_its_state);
    RUN(a_chain_of_50000_metrics_is_refused_before_the_stack_ends);
    RUN(metrics_that_double_end_at_10000_parts);
    RUN(a_literal_of_15_digits_is_a_decimal);
    RUN(a_catalog_has_at_most_500_alerts_and_10000_aliases);
    RUN(a_tag_is_found_by_its_names_old_and_new);
    RUN(old_names_in_rules_mean_what_they_lead_to);
    RUN(how_tags_are_assigned_and_held_back_is_meaning);
    RUN(looking_back_makes_no_cycle_and_no_order);
    RUN(a_summary_tells_of_alerts_aliases_and_who_assigns);
    RUN(unknown_keys_and_cycles_are_errors);
    RUN(a_nesting_at_the_limit_is_read_and_one_past_it_is_not);
    RUN(a_dimension_that_events_and_time_move_opposite_ways_is_steady);
    return DONE();
}
