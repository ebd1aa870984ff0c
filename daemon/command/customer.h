/* What is known of one customer, for `tagd explain` and GET /v1/customers/{id}. Reads the store through a connection of
 * its own, takes no fence, writes nothing. */
#ifndef TAGD_COMMAND_CUSTOMER_H
#define TAGD_COMMAND_CUSTOMER_H

#include "command/command.h"
#include "io/io.h"
#include "tagd/engine.h"

struct tagd_customer {
    const struct tagd_config *config;
    const struct tagd_catalog *catalog;
    struct tagd_str id;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_arena arena;
    struct tagd_io_peek peek;
    uint32_t shard;
    int64_t at_ms; /* the instant explained: as far as time has come, before the next one at which time changes a tag */
};

/* OK; or *error says why not: DATA: the customer, or the group, isn't known; UNAVAILABLE: the store is out of reach;
 * CONFIG: what is kept doesn't fit. Config, catalog and id belong to the caller and must outlive it; to be closed
 * whatever came of it. */
enum tagd_exit tagd_customer_open(struct tagd_customer *customer, const struct tagd_config *config,
                                  const struct tagd_catalog *catalog, struct tagd_str id, struct tagd_error *error);
void tagd_customer_close(struct tagd_customer *customer);

/* The tag before the dimension's present one; p NULL: none. */
struct tagd_str tagd_customer_tag_before(const struct tagd_customer *customer, size_t dimension);
/* The first rule of the dimension that holds; -1: none does. */
int32_t tagd_customer_outcome(const struct tagd_customer *customer, size_t dimension);
/* Whether a person gave the present tag. */
bool tagd_customer_is_given(const struct tagd_customer *customer, size_t dimension);

/* Appends one JSON object, as schemas/customer.schema.json describes it. */
void tagd_customer_json(struct tagd_customer *customer, struct tagd_buf *out);

#endif
