/* Charts as SVG, drawn in coordinates of their own and scaled by whoever shows them. */
#include <inttypes.h>
#include <math.h>

#include "report/report.h"

#define WIDTH 960
#define HEIGHT 200
#define LEFT 52
#define RIGHT 8
#define TOP 18 /* room for a figure above a column */
#define BOTTOM 24

const char *tagd_chart_colour(size_t i)
{
    static const char *const colours[TAGD_CHART_COLOURS] = {"#2f6f9f", "#e0894b", "#5b9e6f", "#b5545c",
                                                            "#8a72ab", "#8c6d5a", "#d48fb5", "#7f8790",
                                                            "#b8a83d", "#3fa7b5", "#4c5b8f", "#c2c7cc"};
    return colours[i % TAGD_CHART_COLOURS];
}

void tagd_add_markup(struct tagd_buf *out, struct tagd_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '<': tagd_buf_add_z(out, "&lt;"); break;
        case '>': tagd_buf_add_z(out, "&gt;"); break;
        case '&': tagd_buf_add_z(out, "&amp;"); break;
        case '"': tagd_buf_add_z(out, "&quot;"); break;
        default: tagd_buf_add_byte(out, (unsigned char)text.p[i] < ' ' ? ' ' : (unsigned char)text.p[i]);
        }
    }
}

/* A round number not below the value, for the top of an axis. */
static double round_up(double value)
{
    double step = pow(10, floor(log10(value)));
    static const double steps[] = {1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (value <= steps[i] * step)
            return steps[i] * step;
    }
    return value;
}

static double x_of(size_t i, size_t n)
{
    return LEFT + (n > 1 ? (double)i / (double)(n - 1) : 0.5) * (WIDTH - LEFT - RIGHT);
}

static double y_of(double value, double top)
{
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
}

static void begin(struct tagd_buf *out)
{
    tagd_buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\">", WIDTH, HEIGHT);
}

/* Three lines across, with what they stand for. */
static void add_scale(struct tagd_buf *out, double top, bool shares)
{
    for (int i = 0; i <= 2; i++) {
        double value = top * i / 2, y = y_of(value, top);
        tagd_buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT,
                        y, y);
        tagd_buf_printf(out, "<text class=\"axis\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 4);
        if (shares)
            tagd_buf_printf(out, "%.0f %%", 100 * value);
        else if (value == floor(value))
            tagd_add_count(out, (int64_t)value);
        tagd_buf_add_z(out, "</text>");
    }
}

static void add_day_text(struct tagd_buf *out, double x, const char *anchor, int64_t day)
{
    tagd_buf_printf(out, "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", x, HEIGHT - 6, anchor);
    tagd_add_day(out, day);
    tagd_buf_add_z(out, "</text>");
}

/* All series up to and with number `upto` on one day. */
static int64_t stacked(const struct tagd_series *series, size_t upto, size_t day)
{
    int64_t sum = 0;
    for (size_t i = 0; i < upto; i++)
        sum += series[i].values[day];
    return sum;
}

void tagd_chart_area(const struct tagd_series *series, size_t n, int64_t first_day, size_t n_days, struct tagd_buf *out)
{
    size_t n_points = n_days + 1;
    int64_t most = 0;
    for (size_t day = 0; day < n_points; day++)
        most = stacked(series, n, day) > most ? stacked(series, n, day) : most;
    if (most == 0)
        return;
    double top = round_up((double)most);
    begin(out);
    add_scale(out, top, false);
    for (size_t i = 0; i < n; i++) {
        tagd_buf_printf(out, "<path fill=\"%s\" d=\"", tagd_chart_colour(i));
        for (size_t day = 0; day < n_points; day++)
            tagd_buf_printf(out, "%c%.1f %.1f", day == 0 ? 'M' : 'L', x_of(day, n_points),
                            y_of((double)stacked(series, i + 1, day), top));
        for (size_t day = n_points; day-- > 0;)
            tagd_buf_printf(out, "L%.1f %.1f", x_of(day, n_points), y_of((double)stacked(series, i, day), top));
        tagd_buf_add_z(out, "Z\"><title>");
        tagd_add_markup(out, series[i].label);
        tagd_buf_add_z(out, ": ");
        tagd_add_count(out, series[i].values[0]);
        tagd_buf_add_z(out, " \xe2\x86\x92 ");
        tagd_add_count(out, series[i].values[n_points - 1]);
        tagd_buf_add_z(out, "</title></path>");
    }
    add_day_text(out, LEFT, "start", first_day - 1);
    add_day_text(out, WIDTH - RIGHT, "end", first_day + (int64_t)n_days - 1);
    tagd_buf_add_z(out, "</svg>");
}

static void add_column(struct tagd_buf *out, double x, double width, double rate, double top, const char *class)
{
    double y = y_of(rate, top);
    if (isnan(rate))
        return;
    tagd_buf_printf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", class, x, y,
                    width, HEIGHT - BOTTOM - y);
    tagd_buf_printf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f %%</text>",
                    x + width / 2, y - 3, 100 * rate);
}

void tagd_chart_rates(const struct tagd_rate *rates, size_t n, double target, enum tagd_language language,
                      struct tagd_buf *out)
{
    double most = isnan(target) ? 0 : target;
    for (size_t i = 0; i < n; i++)
        most =
            fmax(most, fmax(isnan(rates[i].rate) ? 0 : rates[i].rate, isnan(rates[i].holdout) ? 0 : rates[i].holdout));
    if (n == 0 || most <= 0)
        return;
    double top = fmin(round_up(most), 1), step = (double)(WIDTH - LEFT - RIGHT) / (double)n,
           width = fmin(step * 0.3, 46);
    begin(out);
    add_scale(out, top, true);
    for (size_t i = 0; i < n; i++) {
        double middle = LEFT + ((double)i + 0.5) * step;
        add_column(out, middle - width - 2, width, rates[i].rate, top, rates[i].over ? "rate" : "rate open");
        add_column(out, middle + 2, width, rates[i].holdout, top, "held");
        tagd_buf_printf(out, "<text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", middle, HEIGHT - 6);
        tagd_add_month(out, rates[i].month);
        tagd_buf_add_z(out, "</text>");
    }
    if (!isnan(target)) {
        double y = y_of(target, top);
        tagd_buf_printf(out, "<line class=\"target\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                        WIDTH - RIGHT, y, y);
        tagd_buf_printf(out, "<text class=\"target\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s %.0f %%</text>",
                        WIDTH - RIGHT, y - 4, tagd_word(language, TAGD_WORD_TARGET), 100 * target);
    }
    tagd_buf_add_z(out, "</svg>");
}
