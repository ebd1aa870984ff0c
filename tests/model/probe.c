/* The model as a program, so that tests in other languages can ask it: reads lines of numbers, writes one answer a line.
 *   model_probe alive KIND R ALPHA A B         x t_x T (weeks)          -> P(alive), or nan
 *   model_probe alive-at KIND R ALPHA A B      x first last now (ms)    -> the same at an instant
 *   model_probe below KIND R ALPHA A B         x first last level       -> the first ms below the level, or never
 *   model_probe likelihood KIND R ALPHA A B    x t_x T                  -> the logarithm of this customer's likelihood */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tagd/model.h"

static void answer_weeks(const char *what, const struct tagd_churn_model *model, const char *line)
{
    struct tagd_model_group group = {.n = 1};
    if (sscanf(line, "%" SCNu32 " %lf %lf", &group.x, &group.t_x, &group.T) != 3)
        exit(65);
    printf("%.17g\n", strcmp(what, "alive") == 0 ? tagd_model_p_alive(model, group.x, group.t_x, group.T)
                                                 : tagd_model_log_likelihood(model, &group, 1, NULL));
}

static void answer_instants(const char *what, const struct tagd_churn_model *model, const char *line)
{
    struct tagd_purchases purchases;
    char last[64];
    if (sscanf(line, "%" SCNu32 " %" SCNd64 " %" SCNd64 " %63s", &purchases.x, &purchases.first_ms, &purchases.last_ms,
               last) != 4)
        exit(65);
    if (strcmp(what, "alive-at") == 0) {
        printf("%.17g\n", tagd_model_p_alive_at(model, &purchases, strtoll(last, NULL, 10)));
        return;
    }
    int64_t at = tagd_model_below_ms(model, &purchases, strtod(last, NULL));
    if (at == TAGD_NEVER)
        puts("never");
    else
        printf("%" PRId64 "\n", at);
}

int main(int argc, char **argv)
{
    char line[256];
    struct tagd_churn_model model;
    struct tagd_error error;
    if (argc != 7 || !tagd_model_kind_parse(tagd_str_of(argv[2]), &model.kind))
        return 64;
    model.r = strtod(argv[3], NULL);
    model.alpha = strtod(argv[4], NULL);
    model.a = strtod(argv[5], NULL);
    model.b = strtod(argv[6], NULL);
    if (!tagd_model_check(&model, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 64;
    }
    bool weeks = strcmp(argv[1], "alive") == 0 || strcmp(argv[1], "likelihood") == 0;
    while (fgets(line, sizeof line, stdin))
        (weeks ? answer_weeks : answer_instants)(argv[1], &model, line);
    return 0;
}
