/* SPDX-License-Identifier: BSD-3-Clause */
#include "plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH        760.0
#define LEFT         72.0
#define BOTTOM       52.0
#define TOP          14.0
#define RIGHT        16.0
#define MOST_CELLS   40 /* values of an axis that are drawn as cells */
#define LEGEND_STEPS 24

/* Which part of the scores the colours and heights show. */
struct range {
    double low, high;
};

static bool is_drawn(const struct point *point)
{
    return point->state == TRIAL_DONE && isfinite(point->summary.mean);
}

static struct range range_of(const struct plot *plot)
{
    struct range range = {INFINITY, -INFINITY};

    for (size_t i = 0; i < plot->count; i++) {
        if (!is_drawn(&plot->points[i]))
            continue;
        range.low = fmin(range.low, plot->points[i].summary.mean);
        range.high = fmax(range.high, plot->points[i].summary.mean);
    }
    if (!(range.high > range.low))
        range.low = range.high - 1e-9;
    return range;
}

/* From 0 to 1; the best ones get most of the colours. */
static double shade_of(const struct range *range, double value)
{
    return 1 - sqrt(fmin(fmax((range->high - value) / (range->high - range->low), 0), 1));
}

/* Dark blue to yellow, evenly in lightness. */
static void colour_of(double shade, char *text, size_t size)
{
    static const double stops[][3] = {{68, 1, 84},    {65, 68, 135},  {42, 120, 142},
                                      {34, 168, 132}, {122, 209, 81}, {253, 231, 37}};
    double place = shade * 5;
    int stop = place >= 5 ? 4 : (int)place;
    int rgb[3];

    for (int i = 0; i < 3; i++)
        rgb[i] = (int)(stops[stop][i] + (stops[stop + 1][i] - stops[stop][i]) * (place - stop));
    snprintf(text, size, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

static bool is_log(const struct axis *axis)
{
    if (axis->scale == SCALE_LOG2 || axis->scale == SCALE_LOG10)
        return true;
    for (size_t i = 0; i < axis->count; i++) {
        if (!(axis->values[i] > 0))
            return false;
    }
    return axis->count > 1 && axis->scale == SCALE_LIST &&
           axis->values[axis->count - 1] > 20 * axis->values[0];
}

/* 2^-5 for what was given as powers of two. */
static void label_of(const struct axis *axis, double value, char *text, size_t size)
{
    double exponent = log2(value);

    if (axis->scale == SCALE_LOG2 && fabs(exponent - rint(exponent)) < 1e-9)
        snprintf(text, size, "2<tspan dy=\"-5\" font-size=\"9\">%g</tspan>", rint(exponent));
    else
        snprintf(text, size, "%.3g", value);
}

static int compare_numbers(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

/* The values of an axis, rising. The caller frees them. */
static double *sorted_values(const struct axis *axis)
{
    double *values = malloc((axis->count + 1) * sizeof *values);

    if (values) {
        memcpy(values, axis->values, axis->count * sizeof *values);
        qsort(values, axis->count, sizeof *values, compare_numbers);
    }
    return values;
}

static const struct point *best_at(const struct plot *plot, const struct axis *const *axes,
                                   const double *values, size_t count)
{
    const struct point *best = NULL;

    for (size_t i = 0; i < plot->count; i++) {
        const struct point *point = &plot->points[i];
        bool is_there = true;

        for (size_t axis = 0; axis < count; axis++)
            is_there = is_there && point->candidate.values[axes[axis]->parameter] == values[axis];
        if (!is_there ||
            (best && is_drawn(best) && (!is_drawn(point) || point->summary.mean <= best->summary.mean)))
            continue;
        best = point;
    }
    return best;
}

static void write_title(FILE *file, const struct plot *plot, const struct point *point)
{
    static const char *const states[] = {"not done", "", "failed", "stopped: others were better"};
    const struct study *study = plot->report->study;
    char text[256];

    space_describe(study->space, &point->candidate, text, sizeof text);
    if (is_drawn(point))
        fprintf(file, "<title>%s: %.5g ± %.2g over %u folds, %.3g s</title>", text,
                study_shown(study, point->summary.mean), point->summary.deviation, point->summary.fits,
                point->summary.cpu_s);
    else
        fprintf(file, "<title>%s: %s</title>", text, states[point->state]);
}

/* Where things are in a drawing. */
struct frame {
    double left, top, width, height;
};

static void write_cell(FILE *file, const struct plot *plot, const struct point *point,
                       const struct frame *cell)
{
    const struct study *study = plot->report->study;
    struct range range = range_of(plot);
    char colour[16];
    double shade;

    if (!point || !is_drawn(point)) {
        fprintf(file, "<g><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                point && point->state == TRIAL_FAILED ? "bad" : "gap", cell->left, cell->top, cell->width - 1,
                cell->height - 1);
        if (point)
            write_title(file, plot, point);
        fprintf(file, "%s</g>\n", "");
        return;
    }
    shade = shade_of(&range, point->summary.mean);
    colour_of(shade, colour, sizeof colour);
    fprintf(file, "<g><rect fill=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"%s/>", colour,
            cell->left, cell->top, cell->width - 1, cell->height - 1,
            point->number == plot->best ? " class=\"best\"" : "");
    if (cell->width >= 42)
        fprintf(file, "<text class=\"in\" fill=\"%s\" x=\"%.1f\" y=\"%.1f\">%.*f</text>",
                shade > 0.55 ? "#000" : "#fff", cell->left + cell->width / 2,
                cell->top + cell->height / 2 + 4, fabs(study_shown(study, point->summary.mean)) < 10 ? 3 : 0,
                study_shown(study, point->summary.mean));
    write_title(file, plot, point);
    fputs("</g>\n", file);
}

static void begin_svg(FILE *file, double height, const char *what)
{
    fprintf(file, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", WIDTH, height, what);
}

static void write_axis_names(FILE *file, const struct frame *frame, const char *across, const char *up)
{
    fprintf(file, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", frame->left + frame->width / 2,
            frame->top + frame->height + 40, across);
    fprintf(file, "<text class=\"name\" transform=\"translate(16 %.1f) rotate(-90)\">%s</text>\n",
            frame->top + frame->height / 2, up);
}

static void write_legend(FILE *file, const struct plot *plot)
{
    struct range range = range_of(plot);
    const struct study *study = plot->report->study;

    fputs("<div class=\"legend\"><span>", file);
    for (int i = 0; i <= LEGEND_STEPS; i++) {
        char colour[16];

        colour_of((double)i / LEGEND_STEPS, colour, sizeof colour);
        fprintf(file, "<i style=\"background:%s\"></i>", colour);
    }
    fputs("</span><span class=\"ticks\">", file);
    for (int i = 0; i <= 4; i++) {
        double left = 1 - i / 4.0;

        fprintf(file, "<b>%.4g</b>", study_shown(study, range.high - left * left * (range.high - range.low)));
    }
    fputs("</span></div>\n", file);
}

static void surface_cells(FILE *file, const struct plot *plot, const struct axis *across,
                          const struct axis *up)
{
    const struct axis *axes[2] = {across, up};
    double *columns = sorted_values(across), *rows = sorted_values(up), row_height = up->count > 16 ? 18 : 30;
    struct frame frame = {LEFT, TOP, WIDTH - LEFT - RIGHT, row_height * (double)up->count};
    char label[64];

    begin_svg(file, frame.height + TOP + BOTTOM, "scores over two parameters");
    for (size_t y = 0; columns && rows && y < up->count; y++) {
        struct frame cell = {0, frame.top + (double)(up->count - 1 - y) * row_height,
                             frame.width / (double)across->count, row_height};

        label_of(up, rows[y], label, sizeof label);
        fprintf(file, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", LEFT - 8,
                cell.top + row_height / 2 + 4, label);
        for (size_t x = 0; x < across->count; x++) {
            const double values[2] = {columns[x], rows[y]};

            cell.left = frame.left + (double)x * cell.width;
            write_cell(file, plot, best_at(plot, axes, values, 2), &cell);
        }
    }
    for (size_t x = 0; columns && x < across->count; x++) {
        label_of(across, columns[x], label, sizeof label);
        fprintf(file, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                frame.left + ((double)x + 0.5) * frame.width / (double)across->count,
                frame.top + frame.height + 20, label);
    }
    write_axis_names(file, &frame, parameter_name(across->parameter), parameter_name(up->parameter));
    fputs("</svg>\n", file);
    free(columns);
    free(rows);
}

/* Where a value is along an axis, from 0 to 1. */
struct ruler {
    double low, high;
    bool is_log;
};

static double measure(const struct ruler *ruler, double value)
{
    double place = ruler->is_log ? log(value) : value;

    return ruler->high > ruler->low ? (place - ruler->low) / (ruler->high - ruler->low) : 0.5;
}

static struct ruler ruler_of(const struct plot *plot, const struct axis *axis)
{
    struct ruler ruler = {INFINITY, -INFINITY, is_log(axis)};

    for (size_t i = 0; i < plot->count; i++) {
        double value = plot->points[i].candidate.values[axis->parameter],
               place = ruler.is_log ? log(value) : value;

        ruler.low = fmin(ruler.low, place);
        ruler.high = fmax(ruler.high, place);
    }
    return ruler;
}

static void write_ticks(FILE *file, const struct frame *frame, const struct ruler *ruler, bool is_across)
{
    for (int i = 0; i <= 4; i++) {
        double place = ruler->low + (ruler->high - ruler->low) * i / 4,
               value = ruler->is_log ? exp(place) : place;

        if (is_across)
            fprintf(file, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%.3g</text>\n",
                    frame->left + frame->width * i / 4, frame->top + frame->height + 20, value);
        else
            fprintf(file, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">%.3g</text>\n", frame->left - 8,
                    frame->top + frame->height * (4 - i) / 4 + 4, value);
    }
}

static void write_box(FILE *file, const struct frame *frame)
{
    fprintf(file, "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", frame->left,
            frame->top, frame->width, frame->height);
}

static void surface_dots(FILE *file, const struct plot *plot, const struct axis *across,
                         const struct axis *up)
{
    struct frame frame = {LEFT, TOP, WIDTH - LEFT - RIGHT, 340};
    struct ruler x = ruler_of(plot, across), y = ruler_of(plot, up);
    struct range range = range_of(plot);

    begin_svg(file, frame.height + TOP + BOTTOM, "scores over two parameters");
    write_box(file, &frame);
    for (size_t i = 0; i < plot->count; i++) {
        const struct point *point = &plot->points[i];
        char colour[16] = "none";

        if (is_drawn(point))
            colour_of(shade_of(&range, point->summary.mean), colour, sizeof colour);
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"%s\" class=\"%s\">",
                frame.left + frame.width * measure(&x, point->candidate.values[across->parameter]),
                frame.top + frame.height * (1 - measure(&y, point->candidate.values[up->parameter])),
                is_drawn(point) ? "6" : "3", colour,
                point->number == plot->best ? "best"
                : is_drawn(point)           ? "dot"
                                            : "hollow");
        write_title(file, plot, point);
        fputs("</circle>\n", file);
    }
    write_ticks(file, &frame, &x, true);
    write_ticks(file, &frame, &y, false);
    write_axis_names(file, &frame, parameter_name(across->parameter), parameter_name(up->parameter));
    fputs("</svg>\n", file);
}

static bool is_grid(const struct plot *plot)
{
    return !plot->report->study->settings.trials;
}

void plot_surface(FILE *file, const struct plot *plot, const struct axis *across, const struct axis *up)
{
    if (is_grid(plot) && across->count <= MOST_CELLS && up->count <= MOST_CELLS)
        surface_cells(file, plot, across, up);
    else
        surface_dots(file, plot, across, up);
    write_legend(file, plot);
}

/* The part of the scores that is drawn: from the best down to where its neighbours with their spread are, not to the
 * worst of all, which would press all others together. */
static struct ruler height_of(const struct point *const *points, size_t count)
{
    struct ruler ruler = {INFINITY, -INFINITY, false};
    double best = -INFINITY, spread = 0;

    for (size_t i = 0; i < count; i++) {
        if (points[i]->summary.mean > best) {
            best = points[i]->summary.mean;
            spread = points[i]->summary.deviation;
        }
        ruler.low = fmin(ruler.low, points[i]->summary.mean - points[i]->summary.deviation);
        ruler.high = fmax(ruler.high, points[i]->summary.mean + points[i]->summary.deviation);
    }
    if (isfinite(spread) && spread > 0)
        ruler.low = fmax(ruler.low, best - 20 * spread);
    if (!(ruler.high > ruler.low))
        ruler.low -= 1e-6, ruler.high += 1e-6;
    return ruler;
}

static void write_bar(FILE *file, const struct plot *plot, const struct point *point,
                      const struct frame *frame, const struct ruler *height)
{
    double x = frame->left, middle = measure(height, point->summary.mean),
           low = measure(height, point->summary.mean - point->summary.deviation),
           high = measure(height, point->summary.mean + point->summary.deviation);

    if (high < 0)
        return;
    fputs("<g>", file);
    if (isfinite(low))
        fprintf(file, "<line class=\"bar\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x,
                frame->top + frame->height * (1 - fmax(low, 0)), frame->top + frame->height * (1 - high));
    if (middle >= 0)
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"%s\"/>", x,
                frame->top + frame->height * (1 - middle), point->number == plot->best ? "winner" : "mean");
    write_title(file, plot, point);
    fputs("</g>\n", file);
}

/* The points of a profile: the best at each value of a grid, or all. */
static size_t choose_points(const struct plot *plot, const struct axis *axis, const struct point **points)
{
    size_t count = 0;

    if (is_grid(plot)) {
        for (size_t i = 0; i < axis->count; i++) {
            const struct point *point = best_at(plot, &axis, &axis->values[i], 1);

            if (point && is_drawn(point))
                points[count++] = point;
        }
        return count;
    }
    for (size_t i = 0; i < plot->count; i++) {
        if (is_drawn(&plot->points[i]))
            points[count++] = &plot->points[i];
    }
    return count;
}

static void write_heights(FILE *file, const struct plot *plot, const struct frame *frame,
                          const struct ruler *height)
{
    for (int i = 0; i <= 4; i++) {
        double value = height->low + (height->high - height->low) * i / 4,
               y = frame->top + frame->height * (4 - i) / 4;

        fprintf(file, "<line class=\"rule\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", frame->left,
                frame->left + frame->width, y, y);
        fprintf(file, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">%.4g</text>\n", frame->left - 8, y + 4,
                study_shown(plot->report->study, value));
    }
}

void plot_profile(FILE *file, const struct plot *plot, const struct axis *axis)
{
    const struct point **points = malloc((plot->count + axis->count + 1) * sizeof *points);
    size_t count = points ? choose_points(plot, axis, points) : 0;
    struct frame frame = {LEFT, TOP, WIDTH - LEFT - RIGHT, 220}, place;
    struct ruler along = ruler_of(plot, axis), height;

    if (count) {
        char label[64];

        height = height_of(points, count);
        begin_svg(file, frame.height + TOP + BOTTOM, "scores by one parameter");
        write_heights(file, plot, &frame, &height);
        for (size_t i = 0; i < count; i++) {
            double value = points[i]->candidate.values[axis->parameter];

            place = frame;
            place.left = frame.left + 24 + (frame.width - 48) * measure(&along, value);
            write_bar(file, plot, points[i], &place, &height);
            label_of(axis, value, label, sizeof label);
            if (is_grid(plot) && count <= 20)
                fprintf(file, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", place.left,
                        frame.top + frame.height + 20, label);
        }
        place = (struct frame){frame.left + 24, frame.top, frame.width - 48, frame.height};
        if (!is_grid(plot) || count > 20)
            write_ticks(file, &place, &along, true);
        write_axis_names(file, &frame, parameter_name(axis->parameter),
                         study_score_name(plot->report->study->settings.score));
        fputs("</svg>\n", file);
    }
    free(points);
}
