#include "report/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "catalog/compiled.h"

static const char *const words[TAGD_WORDS][TAGD_LANGUAGES] = {
    [TAGD_WORD_REPORT] = {"Customer report", "客户报告"},
    [TAGD_WORD_PERIOD] = {"Period", "期间"},
    [TAGD_WORD_AS_OF] = {"As of", "截至"},
    [TAGD_WORD_CUSTOMERS] = {"Customers", "客户数"},
    [TAGD_WORD_ALL] = {"All customers", "全部客户"},
    [TAGD_WORD_TAG] = {"Tag", "标签"},
    [TAGD_WORD_SHARE] = {"Share", "占比"},
    [TAGD_WORD_BEFORE] = {"Before", "期初"},
    [TAGD_WORD_CAME] = {"Came", "进入"},
    [TAGD_WORD_LEFT] = {"Left", "离开"},
    [TAGD_WORD_CHANGE] = {"Change", "变化"},
    [TAGD_WORD_OTHERS] = {"(others)", "（其他）"},
    [TAGD_WORD_NONE] = {"(none)", "（无标签）"},
    [TAGD_WORD_TAGS] = {"Tags", "标签"},
    [TAGD_WORD_CHURN] = {"Churn risk", "流失风险"},
    [TAGD_WORD_GOALS] = {"Goals", "目标"},
    [TAGD_WORD_MONTH] = {"Began in", "开始月份"},
    [TAGD_WORD_STARTED] = {"Began", "开始"},
    [TAGD_WORD_REACHED] = {"Reached", "达成"},
    [TAGD_WORD_MISSED] = {"Missed", "未达成"},
    [TAGD_WORD_RUNNING] = {"Running", "进行中"},
    [TAGD_WORD_RATE] = {"Rate", "达成率"},
    [TAGD_WORD_HOLDOUT_RATE] = {"Rate of those held out", "对照组达成率"},
    [TAGD_WORD_TARGET] = {"Target", "目标值"},
    [TAGD_WORD_MET] = {"met", "已达标"},
    [TAGD_WORD_NOT_MET] = {"not met", "未达标"},
    [TAGD_WORD_OPEN] = {"not over yet", "尚未结束"},
    [TAGD_WORD_ALERTS] = {"Alerts", "预警"},
    [TAGD_WORD_ALERT] = {"Alert", "预警"},
    [TAGD_WORD_RAISED_NOW] = {"Raised now", "当前触发"},
    [TAGD_WORD_RAISED] = {"Raised in the period", "期间触发"},
    [TAGD_WORD_CLEARED] = {"Cleared in the period", "期间解除"},
    [TAGD_WORD_UNUSED] = {"Tags that nobody carries", "无人持有的标签"},
    [TAGD_WORD_NO_UNUSED] = {"Every tag is carried by somebody.", "每个标签都有客户持有。"},
    [TAGD_WORD_CROSSED] = {"By two dimensions", "交叉分布"},
    [TAGD_WORD_CHANGES] = {"Times a customer came to a tag", "进入标签人次"},
    [TAGD_WORD_GOALS_REACHED] = {"Goals reached, of the months below", "达成目标数（下列月份）"},
    [TAGD_WORD_UNCOUNTED] = {"shards aren't counted by this catalog yet, and are not in these numbers",
                             "个分片尚未按此目录统计，未计入以下数字"},
    [TAGD_WORD_NOTHING] = {"Nothing has been counted yet.", "尚无统计数据。"},
    [TAGD_WORD_NOTE_MEASURES] = {"Measures are those of the customers who carry the tag; in the last row, of all.",
                                 "指标：持有该标签的客户；最后一行为全部客户。"},
    [TAGD_WORD_NOTE_GOALS] = {"By the month in which customers came to the tag. Rate: reached of began; final once the "
                              "month is past and none is running.",
                              "按客户进入标签的月份统计。达成率 = 达成 / 开始；月份结束且进行中为零时为最终值。"},
    [TAGD_WORD_BY] = {"by", "×"},
    [TAGD_WORD_UPLIFT] = {"more than of those held out", "高于对照组"},
    [TAGD_WORD_FEWER_MISSED] = {"fewer missed than of those held out", "未达成低于对照组"},
};

const char *tagd_word(enum tagd_language language, enum tagd_word word)
{
    return words[word][language];
}

static const char *const language_names[TAGD_LANGUAGES] = {"en", "zh-CN"};

bool tagd_language_parse(const char *text, enum tagd_language *language)
{
    for (int i = 0; i < TAGD_LANGUAGES; i++) {
        if (strcmp(text, language_names[i]) != 0)
            continue;
        *language = (enum tagd_language)i;
        return true;
    }
    return false;
}

const char *tagd_language_name(enum tagd_language language)
{
    return language_names[language];
}

struct tagd_str tagd_label_in(const char *label, enum tagd_language language, struct tagd_arena *arena)
{
    struct tagd_str found = {NULL, 0};
    cJSON *json = label == NULL ? NULL : cJSON_Parse(label);
    const cJSON *text = json;
    if (cJSON_IsObject(json)) {
        text = cJSON_GetObjectItemCaseSensitive(json, language_names[language]);
        text = text != NULL ? text : json->child;
    }
    if (cJSON_IsString(text) && text->valuestring[0] != '\0')
        found = tagd_arena_copy(arena, text->valuestring, strlen(text->valuestring));
    cJSON_Delete(json);
    return found;
}

void tagd_add_count(struct tagd_buf *out, int64_t count)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRId64, count < 0 ? -count : count);
    if (count < 0)
        tagd_buf_add_byte(out, '-');
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            tagd_buf_add_byte(out, ',');
        tagd_buf_add_byte(out, (unsigned char)digits[i]);
    }
}

void tagd_add_signed(struct tagd_buf *out, int64_t count)
{
    if (count > 0)
        tagd_buf_add_byte(out, '+');
    tagd_add_count(out, count);
}

void tagd_add_share(struct tagd_buf *out, double share)
{
    if (isnan(share))
        tagd_buf_add_byte(out, '-');
    else
        tagd_buf_printf(out, "%.1f %%", 100 * share);
}

double tagd_share_of(int64_t count, int64_t of)
{
    return of > 0 ? (double)count / (double)of : NAN;
}

static void add_span(struct tagd_buf *out, double ms, enum tagd_language language)
{
    static const struct {
        double ms;
        const char *names[TAGD_LANGUAGES];
    } units[] = {
        {TAGD_MS_DAY, {"days", "天"}}, {3600000, {"hours", "小时"}}, {60000, {"minutes", "分钟"}}, {1000, {"s", "秒"}}};
    size_t i = 0;
    while (i + 1 < sizeof(units) / sizeof(units[0]) && fabs(ms) < 2 * units[i].ms)
        i++;
    tagd_buf_printf(out, "%.1f %s", ms / units[i].ms, units[i].names[language]);
}

void tagd_add_mean(struct tagd_buf *out, const struct tagd_measure *measure, const struct tagd_figure *figure,
                   enum tagd_language language)
{
    double mean = tagd_figure_mean(figure);
    if (isnan(mean))
        tagd_buf_add_byte(out, '-');
    else if (measure->kind == TAGD_MEASURE_SHARE)
        tagd_add_share(out, mean);
    else if (measure->kind == TAGD_MEASURE_DURATION)
        add_span(out, mean, language);
    else
        tagd_buf_printf(out, "%.2f", mean);
}

void tagd_add_target(struct tagd_buf *out, const struct tagd_goal *goal, enum tagd_language language)
{
    int64_t share = goal->target >= 0 ? goal->target : goal->uplift >= 0 ? goal->uplift : goal->fewer_missed;
    tagd_buf_add_z(out, tagd_word(language, TAGD_WORD_TARGET));
    if (share < 0)
        return;
    tagd_buf_add_byte(out, ' ');
    tagd_add_share(out, tagd_decimal_to_double(share));
    if (goal->target < 0)
        tagd_buf_printf(out, " %s", tagd_word(language, goal->uplift >= 0 ? TAGD_WORD_UPLIFT : TAGD_WORD_FEWER_MISSED));
}

void tagd_add_attainment(struct tagd_buf *out, enum tagd_attainment attainment, double effect,
                         enum tagd_language language)
{
    static const enum tagd_word names[] = {[TAGD_TARGET_OPEN] = TAGD_WORD_OPEN,
                                           [TAGD_TARGET_MET] = TAGD_WORD_MET,
                                           [TAGD_TARGET_MISSED] = TAGD_WORD_NOT_MET};
    if (attainment == TAGD_NO_TARGET)
        return;
    if (!isnan(effect)) {
        tagd_add_share(out, effect);
        tagd_buf_add_z(out, ", ");
    }
    tagd_buf_add_z(out, tagd_word(language, names[attainment]));
}

void tagd_add_day(struct tagd_buf *out, int64_t day)
{
    char text[TAGD_TIME_TEXT];
    tagd_buf_add(out, text, tagd_date_format(day, text));
}

void tagd_add_present(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    int64_t zone = portrait->catalog->zone_ms, minutes = tagd_floor_div(portrait->info.as_of_ms + zone, 60000),
            offset = (zone < 0 ? -zone : zone) / 60000;
    tagd_add_day(out, tagd_floor_div(minutes, 1440));
    minutes -= tagd_floor_div(minutes, 1440) * 1440;
    tagd_buf_printf(out, " %02d:%02d %c%02d:%02d", (int)(minutes / 60), (int)(minutes % 60), zone < 0 ? '-' : '+',
                    (int)(offset / 60), (int)(offset % 60));
}

void tagd_add_month(struct tagd_buf *out, int64_t month)
{
    char text[TAGD_TIME_TEXT];
    tagd_buf_add(out, text, tagd_month_format(month, text));
}
