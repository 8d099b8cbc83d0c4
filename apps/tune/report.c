/* SPDX-License-Identifier: BSD-3-Clause */
/* DIR/report.html: one file that opens without a network, with what was found, how certain it is, and what failed. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "plots.h"
#include "report_style.h"
#include "support/html.h"
#include "support/whole_file.h"

#define MOST_ROWS     25
#define MOST_FAILURES 50

static struct point *make_points(const struct study *study)
{
    struct point *points = calloc(study->trial_count + 1, sizeof *points);

    for (size_t i = 0; points && i < study->trial_count; i++) {
        const struct trial *trial = &study->searches[0].trials[i];

        points[i] = (struct point){.candidate = trial->candidate, .state = trial->state, .number = i};
        if (trial->state == TRIAL_DONE)
            points[i].summary = study_summarize(study, 0, i);
    }
    return points;
}

/* What the first rung says of all candidates, also of those that were stopped there. */
static struct point *make_first_points(const struct study *study)
{
    struct point *points = calloc(study->trial_count + 1, sizeof *points);

    for (size_t i = 0; points && i < study->trial_count; i++) {
        const struct trial *trial = &study->searches[0].trials[i];
        struct trial_summary summary = study_summarize_rung(study, 0, i, 0);

        points[i] = (struct point){.candidate = trial->candidate,
                                   .state = summary.fits ? TRIAL_DONE : trial->state,
                                   .summary = summary,
                                   .number = i};
    }
    return points;
}

static void write_head(FILE *file, const struct report *report)
{
    const char *path = report->request->data.path, *slash = strrchr(path, '/');

    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\"><title>mpmap tune: ",
          file);
    html_write_text(file, report->request->data.path);
    fprintf(file, "</title><style>\n%s</style></head><body><main>\n<h1>", report_style);
    html_write_text(file, slash && slash[1] ? slash + 1 : path);
    fprintf(file, "</h1>\n<p class=\"soft\">%llu rows, %llu features, ",
            (unsigned long long)report->data->rows, (unsigned long long)report->data->features);
    if (report->data->classes)
        fprintf(file, "%llu classes; ", (unsigned long long)report->data->classes);
    fprintf(file, "%s; %s search, %zu folds × %zu repeat%s, seed %zu</p>\n", report->learner->what,
            report->request->search_name, report->request->folds, report->request->repeats,
            report->request->repeats == 1 ? "" : "s", report->request->seed);
}

static void write_score_card(FILE *file, const struct report *report, const struct trial_summary *summary,
                             const char *class, const char *what)
{
    fprintf(file,
            "<div class=\"card %s\"><small>%s</small><b>%.5g</b><small>± %.2g standard error; std %.2g over "
            "%u folds</small></div>\n",
            class, what, study_shown(report->study, summary->mean), summary->error, summary->deviation,
            summary->fits);
}

static void write_cards(FILE *file, const struct plot *plot)
{
    const struct report *report = plot->report;
    const struct study *study = report->study;
    struct trial_summary nested = study_nested(study);
    char text[256];

    fputs("<div class=\"cards\">\n", file);
    if (plot->best != NO_TRIAL) {
        space_describe(study->space, &plot->points[plot->best].candidate, text, sizeof text);
        fprintf(file,
                "<div class=\"card\"><small>best candidate</small><b>%s</b><small>of %zu</small></div>\n",
                text, study->trial_count);
        snprintf(text, sizeof text, "%s in cross-validation: optimistic",
                 study_score_name(study->settings.score));
        write_score_card(file, report, &plot->points[plot->best].summary, "", text);
    }
    if (nested.fits) {
        snprintf(text, sizeof text, "%s, nested: honest", study_score_name(study->settings.score));
        write_score_card(file, report, &nested, "honest", text);
    }
    fprintf(file,
            "<div class=\"card\"><small>work</small><b>%zu fits</b><small>%.1f s, %u worker%s, %u node%s; "
            "%zu by earlier "
            "runs, %zu shared with a larger C, %zu failed, %zu not needed</small></div>\n</div>\n",
            study->done, report->wall_s, report->workers, report->workers == 1 ? "" : "s", report->nodes,
            report->nodes == 1 ? "" : "s", study->earlier, study_shared_count(study), study->failed,
            study->dropped);
    if (!nested.fits)
        fprintf(file,
                "<p>The score of the best candidate is <em>optimistic</em>: it is the largest of %zu, and "
                "was chosen for being "
                "that. What the search as a whole is worth on rows that it has never seen is what "
                "<code>--nested 5</code> "
                "measures.</p>\n",
                study->trial_count);
    else
        fputs("<p>The score in cross-validation is <em>optimistic</em>: the best candidate was chosen by it. "
              "The nested score "
              "is that of the winners of searches which have never seen the rows that they are scored on, so "
              "it is what to "
              "expect of new data.</p>\n",
              file);
}

/* The two axes with the most values. */
static void choose_axes(const struct space *space, const struct axis **across, const struct axis **up)
{
    *across = *up = NULL;
    for (size_t i = 0; i < space->count; i++) {
        const struct axis *axis = &space->axes[i];

        if (axis->count < 2)
            continue;
        if (!*across)
            *across = axis;
        else if (!*up || axis->count > (*up)->count)
            *up = axis;
    }
}

static void write_surface(FILE *file, const struct plot *plot)
{
    const struct study *study = plot->report->study;
    const struct axis *across, *up;

    choose_axes(study->space, &across, &up);
    if (!across || !up)
        return;
    fprintf(file, "<h2>Surface of the scores</h2>\n<p class=\"soft\">Mean %s over the folds%s",
            study_score_name(study->settings.score),
            study->space->count > 2 ? ", of the best over all other parameters" : "");
    if (study->rungs > 1)
        fprintf(file, ", of all candidates at the first rung, where they learn from %.3g of the rows",
                (double)study->fractions[0]);
    fputs(". The colours are spread towards the best; the candidate that has won has a frame. Point at one "
          "to read its "
          "spread.</p>\n<div class=\"scroll\"><div class=\"wide\">\n",
          file);
    plot_surface(file, plot, across, up);
    fputs("</div></div>\n", file);
}

static void write_profiles(FILE *file, const struct plot *plot)
{
    const struct study *study = plot->report->study;

    for (size_t i = 0; i < study->space->count; i++) {
        const struct axis *axis = &study->space->axes[i];

        if (axis->count < 2)
            continue;
        fprintf(file,
                "<h2>By %s</h2>\n<p class=\"soft\">%s%s, and one standard deviation over its folds, up and "
                "down.</p>\n"
                "<div class=\"scroll\"><div class=\"wide\">\n",
                parameter_name(axis->parameter),
                study->settings.trials ? "Each candidate's mean" : "The best candidate at each value",
                study->rungs > 1 ? " at the first rung" : "");
        plot_profile(file, plot, axis);
        fputs("</div></div>\n", file);
    }
}

static void write_plots(FILE *file, const struct plot *plot)
{
    struct plot first = *plot;
    struct point *points;

    if (plot->report->study->rungs == 1) {
        write_surface(file, plot);
        write_profiles(file, plot);
        return;
    }
    if (!(points = make_first_points(plot->report->study)))
        return;
    first.points = points;
    write_surface(file, &first);
    write_profiles(file, &first);
    free(points);
}

static int compare_points(const void *a, const void *b)
{
    const struct point *one = a, *other = b;
    bool first = one->state == TRIAL_DONE, second = other->state == TRIAL_DONE;

    if (first != second)
        return first ? -1 : 1;
    if (first && one->summary.mean != other->summary.mean)
        return one->summary.mean > other->summary.mean ? -1 : 1;
    return one->number < other->number ? -1 : 1;
}

static void write_parameters_head(FILE *file, const struct space *space)
{
    for (size_t i = 0; i < space->count; i++)
        fprintf(file, "<th>%s</th>", parameter_name(space->axes[i].parameter));
}

static void write_parameters(FILE *file, const struct space *space, const struct candidate *candidate)
{
    for (size_t i = 0; i < space->count; i++)
        fprintf(file, "<td>%.6g</td>", candidate->values[space->axes[i].parameter]);
}

static void write_near(FILE *file, const struct plot *plot, const struct point *sorted, size_t near)
{
    const struct point *fastest = sorted;
    char text[256];

    for (size_t i = 1; i < near; i++) {
        if (sorted[i].summary.cpu_s < fastest->summary.cpu_s)
            fastest = &sorted[i];
    }
    space_describe(plot->report->study->space, &fastest->candidate, text, sizeof text);
    fprintf(file,
            "<p class=\"soft\">%zu candidate%s within one standard error of the best (in bold): these folds "
            "do not tell them "
            "apart. The fastest of them is %s, with %.3g s a fold. Standard errors are corrected for "
            "training sets that "
            "overlap (Nadeau and Bengio 2003).</p>\n",
            near, near == 1 ? " is" : "s are", text, fastest->summary.cpu_s / fastest->summary.fits);
}

static void write_candidates(FILE *file, const struct plot *plot)
{
    const struct study *study = plot->report->study;
    struct point *sorted = malloc((plot->count + 1) * sizeof *sorted);
    size_t near = 0;

    if (!sorted || plot->best == NO_TRIAL) {
        free(sorted);
        return;
    }
    memcpy(sorted, plot->points, plot->count * sizeof *sorted);
    qsort(sorted, plot->count, sizeof *sorted, compare_points);
    while (near < plot->count && sorted[near].state == TRIAL_DONE &&
           sorted[near].summary.mean >= sorted[0].summary.mean - sorted[0].summary.error)
        near++;
    if (!near)
        near = 1; /* with one fold only there is no error */
    fputs("<h2>Best candidates</h2>\n", file);
    write_near(file, plot, sorted, near);
    fputs("<div class=\"scroll\"><table><tr><th>rank</th>", file);
    write_parameters_head(file, study->space);
    fprintf(
        file,
        "<th>mean %s</th><th>std</th><th>std. error</th><th>folds</th><th>CPU s</th><th>peak MiB</th></tr>\n",
        study_score_name(study->settings.score));
    for (size_t i = 0; i < plot->count && i < MOST_ROWS && sorted[i].state == TRIAL_DONE; i++) {
        const struct trial_summary *summary = &sorted[i].summary;

        fprintf(file, "<tr%s><td>%zu</td>", i < near ? " class=\"near\"" : "", i + 1);
        write_parameters(file, study->space, &sorted[i].candidate);
        fprintf(file, "<td>%.5f</td><td>%.5f</td><td>%.5f</td><td>%u</td><td>%.3f</td><td>%.1f</td></tr>\n",
                study_shown(study, summary->mean), summary->deviation, summary->error, summary->fits,
                summary->cpu_s, (double)summary->peak_bytes / 1048576);
    }
    fputs("</table></div>\n", file);
    free(sorted);
}

static void write_nested(FILE *file, const struct report *report)
{
    const struct study *study = report->study;

    if (study->search_count < 2)
        return;
    fputs("<h2>Nested cross-validation</h2>\n<p class=\"soft\">For each outer fold a search of its own on "
          "the other rows: its "
          "winner, what that scored in the inner folds, and what it scores on the outer fold, which it has "
          "not seen.</p>\n"
          "<div class=\"scroll\"><table><tr><th>outer fold</th>",
          file);
    write_parameters_head(file, study->space);
    fputs("<th>inner</th><th>outer</th><th>rows</th></tr>\n", file);
    for (size_t i = 0; i < study->fit_count; i++) {
        const struct fit *fit = &study->fits[i];
        struct trial_summary inner;

        if (fit->place.fold != WHOLE_FOLD || fit->state != FIT_GOOD)
            continue;
        inner = study_summarize(study, fit->search, fit->trial);
        fprintf(file, "<tr><td>%u</td>", fit->place.outer);
        write_parameters(file, study->space, &study->searches[fit->search].trials[fit->trial].candidate);
        fprintf(file, "<td>%.5f</td><td>%.5f</td><td>%u</td></tr>\n", study_shown(study, inner.mean),
                fit->record.result.scores[study->settings.score], fit->record.result.tested);
    }
    fputs("</table></div>\n", file);
}

static void write_rungs(FILE *file, const struct report *report)
{
    const struct study *study = report->study;

    if (study->settings.kind != SEARCH_ASHA)
        return;
    fputs("<h2>Successive halving</h2>\n<div class=\"scroll\"><table><tr><th>rung</th><th>share of the "
          "rows</th><th>candidates</th><th>fits</th>"
          "<th>not needed</th><th>CPU s</th></tr>\n",
          file);
    for (uint32_t rung = 0; rung < study->rungs; rung++) {
        size_t trials = 0, fits = 0, dropped = 0;
        double cpu_s = 0;

        for (size_t i = 0; i < study->trial_count; i++)
            trials += study->searches[0].trials[i].rung >= rung;
        for (size_t i = 0; i < study->fit_count; i++) {
            const struct fit *fit = &study->fits[i];

            if (fit->search || fit->rung != rung)
                continue;
            fits += fit->state == FIT_GOOD || fit->state == FIT_FAILED;
            dropped += fit->state == FIT_DROPPED;
            cpu_s += fit->state == FIT_GOOD ? fit->record.result.cpu_s : 0;
        }
        fprintf(file, "<tr><td>%u</td><td>%.3g</td><td>%zu</td><td>%zu</td><td>%zu</td><td>%.2f</td></tr>\n",
                rung, (double)study->fractions[rung], trials, fits, dropped, cpu_s);
    }
    fputs("</table></div>\n", file);
}

static void write_failures(FILE *file, const struct report *report)
{
    const struct study *study = report->study;
    size_t written = 0;

    if (!study->failed)
        return;
    fprintf(file,
            "<h2>Failed fits: %zu</h2>\n<p class=\"soft\">Each cost its candidate, and nothing "
            "else%s</p>\n<div class=\"scroll\"><table><tr>",
            study->failed, study->failed > MOST_FAILURES ? "; the first ones:" : ".");
    write_parameters_head(file, study->space);
    fputs("<th>repeat</th><th>fold</th><th class=\"text\">cause</th></tr>\n", file);
    for (size_t i = 0; i < study->fit_count && written < MOST_FAILURES; i++) {
        const struct fit *fit = &study->fits[i];

        if (fit->state != FIT_FAILED)
            continue;
        written++;
        fputs("<tr>", file);
        write_parameters(file, study->space, &study->searches[fit->search].trials[fit->trial].candidate);
        fprintf(file, "<td>%u</td><td>%d</td><td class=\"text\">", fit->place.repeat,
                fit->place.fold == WHOLE_FOLD ? -1 : (int)fit->place.fold);
        html_write_text(file, fit->record.why ? fit->record.why : "");
        fputs("</td></tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void write_page(FILE *file, const struct plot *plot)
{
    write_head(file, plot->report);
    write_cards(file, plot);
    write_plots(file, plot);
    write_candidates(file, plot);
    write_nested(file, plot->report);
    write_rungs(file, plot->report);
    write_failures(file, plot->report);
    fputs("<p class=\"soft\">All fits, with their times and memory, are in scores.h5 beside this "
          "page.</p>\n</main></body></html>\n",
          file);
}

int report_write(const struct report *report, const char *path)
{
    struct plot plot = {
        .report = report, .count = report->study->trial_count, .best = report->study->searches[0].best};
    struct point *points = make_points(report->study);
    struct whole_file file;
    int exit_status = 0;

    if (!points)
        return failure("out of memory");
    plot.points = points;
    if (whole_file_begin(&file, path)) {
        exit_status = failure("cannot write '%s': %s", path, strerror(errno));
    } else {
        write_page(file.stream, &plot);
        if (whole_file_end(&file))
            exit_status = failure("cannot write '%s': %s", path, strerror(errno));
    }
    free(points);
    return exit_status;
}
