/* Who may ask over HTTP, and how often. */
#include "http/guard.h"
#include "check.h"

static const struct tagd_guard_address one = {{10, 0, 0, 1}, 4}, other = {{10, 0, 0, 2}, 4};

static void only_the_whole_token_opens(void)
{
    static const char token[] = "0123456789abcdef";
    CHECK(tagd_guard_has_token("Bearer 0123456789abcdef", token));
    CHECK(tagd_guard_has_token("bearer  0123456789abcdef", token)); /* RFC 9110: the scheme's case doesn't count */
    CHECK(!tagd_guard_has_token(NULL, token) && !tagd_guard_has_token("", token) &&
          !tagd_guard_has_token("Bearer ", token));
    CHECK(!tagd_guard_has_token("Bearer 0123456789abcde", token));
    CHECK(!tagd_guard_has_token("Bearer 0123456789abcdef0", token));
    CHECK(!tagd_guard_has_token("Bearer 0123456789abcdeg", token));
    CHECK(!tagd_guard_has_token("Bearer x123456789abcdef", token));
    CHECK(!tagd_guard_has_token("Basic 0123456789abcdef", token) && !tagd_guard_has_token("0123456789abcdef", token));
}

static void another_sites_name_is_no_name_of_loopback(void)
{
    CHECK(tagd_guard_names_loopback(NULL, "127.0.0.1"));
    CHECK(tagd_guard_names_loopback("127.0.0.1:9464", "127.0.0.1") && tagd_guard_names_loopback("127.0.0.1", "::1"));
    CHECK(tagd_guard_names_loopback("LocalHost:1", "127.0.0.1") &&
          tagd_guard_names_loopback("[::1]:9464", "127.0.0.1"));
    CHECK(tagd_guard_names_loopback("127.0.0.9:80", "127.0.0.9") && tagd_guard_names_loopback("[::1]", "::1"));
    CHECK(!tagd_guard_names_loopback("evil.example", "127.0.0.1") &&
          !tagd_guard_names_loopback("evil.example:9464", "127.0.0.1"));
    CHECK(!tagd_guard_names_loopback("localhost.evil.example", "127.0.0.1") &&
          !tagd_guard_names_loopback("", "127.0.0.1"));
    CHECK(!tagd_guard_names_loopback("127.0.0.1:x", "127.0.0.1") &&
          !tagd_guard_names_loopback("127.0.0.1@evil", "127.0.0.1"));
    CHECK(!tagd_guard_names_loopback("127.0.0.9", "127.0.0.1") && !tagd_guard_names_loopback("[::2]", "::1"));
    CHECK(!tagd_guard_names_loopback("localhost:80:80", "127.0.0.1"));
}

static void only_this_host_reaches_loopback(void)
{
    CHECK(tagd_guard_is_loopback("127.0.0.1") && tagd_guard_is_loopback("::1") && tagd_guard_is_loopback("localhost"));
    CHECK(!tagd_guard_is_loopback("0.0.0.0") && !tagd_guard_is_loopback("::") && !tagd_guard_is_loopback("12.7.0.1"));
}

static void an_address_may_ask_so_often_and_no_more(void)
{
    static struct tagd_guard_rates rates;
    rates.n = 0;
    for (int i = 0; i < 20; i++)
        CHECK(tagd_guard_take(&rates, &one, 4, 20, 1000) == 0);
    CHECK(tagd_guard_take(&rates, &one, 4, 20, 1000) == 1);
    CHECK(tagd_guard_take(&rates, &one, 4, 20, 1249) == 1);
    CHECK(tagd_guard_take(&rates, &one, 4, 20, 1250) == 0); /* a quarter of a second is one more */
    CHECK(tagd_guard_take(&rates, &one, 4, 20, 1250) == 1);
    CHECK(tagd_guard_take(&rates, &other, 4, 20, 1250) == 0); /* another one's don't count */
    for (int i = 0; i < 20; i++) /* after a long time it has its burst again, and not more */
        CHECK(tagd_guard_take(&rates, &one, 4, 20, INT64_C(1) << 60) == 0);
    CHECK(tagd_guard_take(&rates, &one, 4, 20, INT64_C(1) << 60) == 1);
}

static void the_address_that_asked_longest_ago_is_forgotten(void)
{
    static struct tagd_guard_rates rates;
    rates.n = 0;
    struct tagd_guard_address address = {{10, 1, 0, 0}, 4};
    for (int i = 0; i < TAGD_GUARD_ADDRESSES_MAX; i++) {
        address.bytes[2] = (uint8_t)(i / 256);
        address.bytes[3] = (uint8_t)i;
        CHECK(tagd_guard_take(&rates, &address, 1, 1, 1000 + i) == 0);
    }
    CHECK(rates.n == TAGD_GUARD_ADDRESSES_MAX && tagd_guard_take(&rates, &one, 1, 1, 1300) == 0);
    CHECK(rates.n == TAGD_GUARD_ADDRESSES_MAX && tagd_guard_take(&rates, &one, 1, 1, 1300) == 1);
    address.bytes[2] = address.bytes[3] = 0; /* the first one: forgotten, so it may ask again */
    CHECK(tagd_guard_take(&rates, &address, 1, 1, 1300) == 0);
}

static struct tagd_guard_connection waiting(struct tagd_guard_address address, int64_t since_ms)
{
    return (struct tagd_guard_connection){.used = true, .address = address, .since_ms = since_ms};
}

static void the_connection_that_waited_longest_makes_room(void)
{
    struct tagd_guard_connection at[5] = {waiting(one, 30), waiting(one, 10), waiting(other, 5)};
    CHECK(tagd_guard_make_room(at, 5, &one, 3, 5) == -1);
    CHECK(tagd_guard_make_room(at, 5, &one, 2, 5) == 1); /* its own, not an older one of another */
    CHECK(tagd_guard_make_room(at, 5, &one, 3, 3) == 2);
    at[1].asking = true; /* one that is being answered stays */
    CHECK(tagd_guard_make_room(at, 5, &one, 2, 5) == 0);
    at[0].asking = true;
    CHECK(tagd_guard_make_room(at, 5, &one, 2, 5) == -2);
    at[0].leaving = true; /* one that goes counts no more */
    CHECK(tagd_guard_make_room(at, 5, &one, 2, 5) == -1);
}

static void a_head_and_an_answer_have_their_time(void)
{
    struct tagd_guard_connection at = waiting(one, 1000);
    CHECK(!tagd_guard_is_overdue(&at, 1099, 100, 600) && tagd_guard_is_overdue(&at, 1100, 100, 600));
    at.asking = true;
    CHECK(!tagd_guard_is_overdue(&at, 1599, 100, 600) && tagd_guard_is_overdue(&at, 1600, 100, 600));
    at.leaving = true;
    CHECK(!tagd_guard_is_overdue(&at, 9999, 100, 600));
}

int main(void)
{
    RUN(only_the_whole_token_opens);
    RUN(another_sites_name_is_no_name_of_loopback);
    RUN(only_this_host_reaches_loopback);
    RUN(an_address_may_ask_so_often_and_no_more);
    RUN(the_address_that_asked_longest_ago_is_forgotten);
    RUN(the_connection_that_waited_longest_makes_room);
    RUN(a_head_and_an_answer_have_their_time);
    return DONE();
}
