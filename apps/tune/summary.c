/* SPDX-License-Identifier: BSD-3-Clause */
/* What is printed at the end. */
#include <math.h>
#include <stdlib.h>

#include "output.h"
#include "support/json.h"

#define MOST_FAILURES 20

void summary_print(const struct report *report)
{
    const struct study *study = report->study;
    size_t best = study->searches[0].best, fits = study->done - study->earlier;
    const char *score = study_score_name(study->settings.score);
    char text[256];

    printf("%zu candidate%s of %s, %zu fit%s in %.2f s (%zu before, %zu shared), %u worker%s on %u node%s\n",
           study->trial_count, study->trial_count == 1 ? "" : "s", report->learner->name, fits,
           fits == 1 ? "" : "s", report->wall_s, study->earlier, study_shared_count(study), report->workers,
           report->workers == 1 ? "" : "s", report->nodes, report->nodes == 1 ? "" : "s");
    if (best == NO_TRIAL) {
        printf("no candidate is left: all of them have failed\n");
        return;
    }
    struct trial_summary summary = study_summarize(study, 0, best), nested = study_nested(study);

    space_describe(study->space, &study->searches[0].trials[best].candidate, text, sizeof text);
    printf("best:   %s  %s %.5f, std %.5f over %u folds (optimistic: it was chosen by this score)\n", text,
           score, study_shown(study, summary.mean), summary.deviation, summary.fits);
    if (nested.fits)
        printf("nested: %s %.5f, std %.5f over %u outer folds (honest: of the search as a whole)\n", score,
               study_shown(study, nested.mean), nested.deviation, nested.fits);
    if (report->model_path)
        printf("model:  %s\n", report->model_path);
    printf("report: %s/report.html\n", report->request->out);
}

static void print_field(const char *name, double number)
{
    printf(", \"%s\": ", name);
    json_print_number(number);
}

static void print_best(const struct report *report, size_t best)
{
    const struct study *study = report->study;
    const struct candidate *candidate = &study->searches[0].trials[best].candidate;
    struct trial_summary summary = study_summarize(study, 0, best);

    printf(", \"best\": {\"candidate\": %zu", best);
    for (size_t i = 0; i < study->space->count; i++)
        print_field(parameter_name(study->space->axes[i].parameter),
                    candidate->values[study->space->axes[i].parameter]);
    print_field("mean", study_shown(study, summary.mean));
    print_field("std", summary.deviation);
    print_field("standard_error", summary.error);
    printf(", \"folds\": %u}", summary.fits);
}

void summary_print_json(const struct report *report)
{
    const struct study *study = report->study;
    struct trial_summary nested = study_nested(study);
    double cpu_s = 0;

    for (size_t i = 0; i < study->fit_count; i++) {
        if (study->fits[i].state == FIT_GOOD)
            cpu_s += study->fits[i].record.result.cpu_s;
    }
    printf("{\"learner\": ");
    json_print_string(report->learner->name);
    printf(", \"score\": \"%s\", \"rows\": %llu, \"candidates\": %zu, \"fits\": %zu, \"earlier\": %zu, "
           "\"shared\": %zu, \"failed\": %zu, \"dropped\": %zu",
           study_score_name(study->settings.score), (unsigned long long)report->data->rows,
           study->trial_count, study->done, study->earlier, study_shared_count(study), study->failed,
           study->dropped);
    print_field("seconds", report->wall_s);
    print_field("fit_cpu_seconds", cpu_s);
    printf(", \"workers\": %u, \"nodes\": %u, \"shared_matrices\": %u", report->workers, report->nodes,
           study->share->kernels.slots);
    if (study->searches[0].best != NO_TRIAL)
        print_best(report, study->searches[0].best);
    if (nested.fits) {
        printf(", \"nested\": {\"folds\": %u", nested.fits);
        print_field("mean", study_shown(study, nested.mean));
        print_field("std", nested.deviation);
        print_field("standard_error", nested.error);
        printf("}");
    }
    if (report->model_path) {
        printf(", \"model\": ");
        json_print_string(report->model_path);
    }
    printf("}\n");
}

static void print_failure(const struct study *study, const struct fit *fit)
{
    char text[256];

    space_describe(study->space, &study->searches[fit->search].trials[fit->trial].candidate, text,
                   sizeof text);
    fprintf(stderr, "mpmap-tune: %s, ", text);
    if (fit->place.outer != NO_OUTER)
        fprintf(stderr, "outer fold %u, ", fit->place.outer);
    if (fit->place.fold != WHOLE_FOLD)
        fprintf(stderr, "repeat %u, fold %u, ", fit->place.repeat, fit->place.fold);
    fprintf(stderr, "has failed: %s\n",
            fit->record.why ? fit->record.why : "for a reason that nobody has told");
}

void failures_print(const struct report *report)
{
    const struct study *study = report->study;
    size_t printed = 0;

    for (size_t i = 0; i < study->fit_count && printed < MOST_FAILURES; i++) {
        if (study->fits[i].state != FIT_FAILED)
            continue;
        print_failure(study, &study->fits[i]);
        printed++;
    }
    if (study->failed > printed)
        fprintf(stderr, "mpmap-tune: and %zu more; all are in %s/scores.h5\n", study->failed - printed,
                report->request->out);
}
