/* Old names of tags. */
#include <stdlib.h>

#include "catalog/load.h"

static bool load_alias(struct load *load, const cJSON *node, const char *pointer, struct tagd_alias *alias)
{
    const struct tagd_catalog *catalog = load->catalog;
    struct tagd_str dimension, tag;
    int32_t to, to_tag;
    if (!tagd_load_tag(load, node->string, &alias->dimension, &alias->tag))
        return tagd_load_fail(load, pointer, true, "expected the old name of a tag, as dimension.tag in three levels");
    if (tagd_catalog_tag_find(catalog, alias->dimension, alias->tag, &to, &to_tag))
        return tagd_load_fail(load, pointer, true,
                              "'%s' is a tag of this catalog: an alias is a name that is no tag any more",
                              node->string);
    if (!cJSON_IsString(node) || !tagd_load_tag(load, node->valuestring, &dimension, &tag))
        return tagd_load_fail(load, pointer, false, "expected the name of a tag, as dimension.tag in three levels");
    if (!tagd_catalog_tag_find(catalog, dimension, tag, &to, &to_tag))
        return tagd_load_fail(load, pointer, false, "'%s' is no tag of this catalog: an alias leads to one that is",
                              node->valuestring);
    alias->to = (uint32_t)to;
    alias->to_tag = (uint32_t)to_tag;
    return true;
}

static int by_alias_name(const void *left, const void *right)
{
    const struct tagd_alias *a = left, *b = right;
    int order = tagd_str_cmp(a->dimension, b->dimension);
    return order ? order : tagd_str_cmp(a->tag, b->tag);
}

bool tagd_load_aliases(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *aliases = cJSON_GetObjectItemCaseSensitive(root, "aliases");
    if (!aliases)
        return true;
    if (!tagd_load_want(load, aliases, "/aliases", cJSON_IsObject(aliases), "an object of old and new names of tags"))
        return false;
    int n = cJSON_GetArraySize(aliases);
    if (n > TAGD_ALIASES_MAX)
        return tagd_load_fail(load, "/aliases", false, "%d aliases: a catalog has at most %d", n, TAGD_ALIASES_MAX);
    catalog->aliases = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->aliases);
    struct tagd_alias *alias = catalog->aliases;
    for (const cJSON *node = aliases->child; node; node = node->next) {
        if (!load_alias(load, node, tagd_load_below(load, "/aliases", node->string), alias++))
            return false;
    }
    catalog->n_aliases = (uint32_t)n; /* not before: an alias doesn't lead to another one */
    qsort(catalog->aliases, catalog->n_aliases, sizeof *catalog->aliases, by_alias_name);
    return true;
}
