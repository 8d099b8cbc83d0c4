/* SPDX-License-Identifier: BSD-3-Clause */
/* DIR/scores.h5: tables that h5py, pandas and R read. /fits has a row for each fit that was done, /candidates one for
 * each candidate of the search over all rows; attributes of the file say what was searched. */
#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "support/text.h"
#include "support/whole_file.h"

#define WHY_SIZE 192

struct fit_row {
    int32_t candidate, outer, repeat, fold, rung;
    double parameters[PARAMETER_COUNT];
    double fraction;
    uint8_t is_good;
    double scores[SCORE_COUNT];
    uint32_t trained, tested, right, node;
    uint64_t model_size, peak_bytes;
    double fitted_C, cpu_s, wall_s;
    uint64_t seed;
    char why[WHY_SIZE];
};

struct candidate_row {
    double parameters[PARAMETER_COUNT];
    char state[16];
    int32_t rung;
    uint32_t fits;
    double mean, deviation, error, cpu_s;
    uint64_t peak_bytes;
    char why[WHY_SIZE];
};

struct column {
    const char *name;
    size_t offset;
    hid_t type;
};

static hid_t text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, size);
    return type;
}

static void add_parameters(hid_t type, const struct space *space, size_t offset)
{
    for (size_t i = 0; i < space->count; i++) {
        enum parameter_id parameter = space->axes[i].parameter;

        H5Tinsert(type, parameter_name(parameter), offset + parameter * sizeof(double), H5T_NATIVE_DOUBLE);
    }
}

static void add_columns(hid_t type, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        H5Tinsert(type, columns[i].name, columns[i].offset, columns[i].type);
}

static hid_t fit_type(const struct report *report)
{
    const struct column first[] = {{"candidate", offsetof(struct fit_row, candidate), H5T_NATIVE_INT32},
                                   {"outer", offsetof(struct fit_row, outer), H5T_NATIVE_INT32},
                                   {"repeat", offsetof(struct fit_row, repeat), H5T_NATIVE_INT32},
                                   {"fold", offsetof(struct fit_row, fold), H5T_NATIVE_INT32},
                                   {"seed", offsetof(struct fit_row, seed), H5T_NATIVE_UINT64},
                                   {"rung", offsetof(struct fit_row, rung), H5T_NATIVE_INT32},
                                   {"fraction", offsetof(struct fit_row, fraction), H5T_NATIVE_DOUBLE},
                                   {"good", offsetof(struct fit_row, is_good), H5T_NATIVE_UINT8}},
                        last[] = {{"trained", offsetof(struct fit_row, trained), H5T_NATIVE_UINT32},
                                  {"tested", offsetof(struct fit_row, tested), H5T_NATIVE_UINT32},
                                  {"right", offsetof(struct fit_row, right), H5T_NATIVE_UINT32},
                                  {"model_size", offsetof(struct fit_row, model_size), H5T_NATIVE_UINT64},
                                  {"fitted_C", offsetof(struct fit_row, fitted_C), H5T_NATIVE_DOUBLE},
                                  {"cpu_s", offsetof(struct fit_row, cpu_s), H5T_NATIVE_DOUBLE},
                                  {"wall_s", offsetof(struct fit_row, wall_s), H5T_NATIVE_DOUBLE},
                                  {"peak_bytes", offsetof(struct fit_row, peak_bytes), H5T_NATIVE_UINT64},
                                  {"node", offsetof(struct fit_row, node), H5T_NATIVE_UINT32}};
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(struct fit_row)), text = text_type(WHY_SIZE);
    int from = report->learner->is_regression ? SCORE_MSE : 0,
        to = report->learner->is_regression ? SCORE_COUNT : SCORE_MSE;

    add_columns(type, first, sizeof first / sizeof *first);
    add_parameters(type, report->study->space, offsetof(struct fit_row, parameters));
    for (int i = from; i < to; i++)
        H5Tinsert(type, study_score_name((enum score_kind)i),
                  offsetof(struct fit_row, scores) + (size_t)i * sizeof(double), H5T_NATIVE_DOUBLE);
    add_columns(type, last, sizeof last / sizeof *last);
    H5Tinsert(type, "why", offsetof(struct fit_row, why), text);
    H5Tclose(text);
    return type;
}

static hid_t candidate_type(const struct report *report)
{
    const struct column columns[] = {
        {"rung", offsetof(struct candidate_row, rung), H5T_NATIVE_INT32},
        {"fits", offsetof(struct candidate_row, fits), H5T_NATIVE_UINT32},
        {"mean", offsetof(struct candidate_row, mean), H5T_NATIVE_DOUBLE},
        {"std", offsetof(struct candidate_row, deviation), H5T_NATIVE_DOUBLE},
        {"standard_error", offsetof(struct candidate_row, error), H5T_NATIVE_DOUBLE},
        {"cpu_s", offsetof(struct candidate_row, cpu_s), H5T_NATIVE_DOUBLE},
        {"peak_bytes", offsetof(struct candidate_row, peak_bytes), H5T_NATIVE_UINT64}};
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(struct candidate_row)), state = text_type(16),
          why = text_type(WHY_SIZE);

    add_parameters(type, report->study->space, offsetof(struct candidate_row, parameters));
    H5Tinsert(type, "state", offsetof(struct candidate_row, state), state);
    add_columns(type, columns, sizeof columns / sizeof *columns);
    H5Tinsert(type, "why", offsetof(struct candidate_row, why), why);
    H5Tclose(state);
    H5Tclose(why);
    return type;
}

static int number_of(uint32_t fold)
{
    return fold == UINT32_MAX ? -1 : (int)fold;
}

static struct fit_row *make_fit_rows(const struct study *study, size_t *count)
{
    struct fit_row *rows = calloc(study->fit_count + 1, sizeof *rows);

    *count = 0;
    for (size_t i = 0; rows && i < study->fit_count; i++) {
        const struct fit *fit = &study->fits[i];
        const struct fit_result *result = &fit->record.result;
        struct fit_row *row = &rows[*count];

        if (fit->state != FIT_GOOD && fit->state != FIT_FAILED)
            continue;
        (*count)++;
        *row = (struct fit_row){.candidate = (int32_t)fit->trial,
                                .outer = number_of(fit->place.outer),
                                .repeat = (int32_t)fit->place.repeat,
                                .fold = number_of(fit->place.fold),
                                .rung = (int32_t)fit->rung,
                                .fraction = (double)fit->place.fraction,
                                .is_good = fit->state == FIT_GOOD,
                                .trained = result->trained,
                                .tested = result->tested,
                                .right = result->right,
                                .node = result->node,
                                .model_size = result->model_size,
                                .peak_bytes = result->peak_bytes,
                                .fitted_C = fit->state == FIT_GOOD ? result->fitted_C : (double)NAN,
                                .cpu_s = result->cpu_s,
                                .wall_s = result->wall_s,
                                .seed = study->share->plan.seed};
        memcpy(row->parameters, study->searches[fit->search].trials[fit->trial].candidate.values,
               sizeof row->parameters);
        for (int score = 0; score < SCORE_COUNT; score++)
            row->scores[score] = row->is_good ? result->scores[score] : NAN;
        snprintf(row->why, sizeof row->why, "%s", fit->record.why ? fit->record.why : "");
    }
    return rows;
}

static struct candidate_row *make_candidate_rows(const struct study *study)
{
    static const char *const states[] = {"open", "done", "failed", "stopped"};
    struct candidate_row *rows = calloc(study->trial_count + 1, sizeof *rows);

    for (size_t i = 0; rows && i < study->trial_count; i++) {
        const struct trial *trial = &study->searches[0].trials[i];
        struct trial_summary summary = study_summarize(study, 0, i);
        struct candidate_row *row = &rows[i];

        *row = (struct candidate_row){.rung = (int32_t)trial->rung,
                                      .fits = summary.fits,
                                      .mean = study_shown(study, summary.mean),
                                      .deviation = summary.deviation,
                                      .error = summary.error,
                                      .cpu_s = summary.cpu_s,
                                      .peak_bytes = summary.peak_bytes};
        memcpy(row->parameters, trial->candidate.values, sizeof row->parameters);
        snprintf(row->state, sizeof row->state, "%s", states[trial->state]);
        snprintf(row->why, sizeof row->why, "%s", trial->why ? trial->why : "");
    }
    return rows;
}

static bool write_table(hid_t file, const char *name, hid_t type, size_t count, const void *rows)
{
    hsize_t size = count;
    hid_t space = H5Screate_simple(1, &size, NULL), packed = H5Tcopy(type), table;
    bool is_good;

    H5Tpack(packed);
    table = H5Dcreate2(file, name, packed, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    is_good = table >= 0 && (!count || H5Dwrite(table, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    if (table >= 0)
        H5Dclose(table);
    H5Sclose(space);
    H5Tclose(packed);
    return is_good;
}

static bool write_attribute(hid_t file, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR),
          attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool is_good = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;

    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return is_good;
}

static bool write_text(hid_t file, const char *name, const char *text)
{
    hid_t type = text_type(strlen(text) + 1);
    bool is_good = write_attribute(file, name, type, text);

    H5Tclose(type);
    return is_good;
}

/* Labels as they are in the model, each with its name in the data. */
static bool write_classes(hid_t file, const struct data *data)
{
    char *text = NULL;
    size_t size;
    FILE *stream = data->classes ? open_memstream(&text, &size) : NULL;
    bool is_good = !data->classes;

    for (size_t i = 0; stream && i < data->classes; i++)
        fprintf(stream, "%.17g %s\n", data_labels(data)[i], data_class_name(data, i));
    if (stream)
        is_good = !fclose(stream) && (size >= 60000 || write_text(file, "classes", text));
    free(text);
    return is_good;
}

static bool write_attributes(hid_t file, const struct report *report)
{
    const struct study *study = report->study;
    struct trial_summary nested = study_nested(study);
    double mean = study_shown(study, nested.mean);
    int64_t best = study->searches[0].best == NO_TRIAL ? -1 : (int64_t)study->searches[0].best;
    uint64_t hash = report->data->hash;

    return write_text(file, "data", report->request->data.path) &&
           write_text(file, "learner", report->learner->name) &&
           write_text(file, "search", report->request->search_name) &&
           write_text(file, "score", study_score_name(study->settings.score)) &&
           write_attribute(file, "best_candidate", H5T_NATIVE_INT64, &best) &&
           write_attribute(file, "data_hash", H5T_NATIVE_UINT64, &hash) &&
           write_classes(file, report->data) &&
           (!nested.fits ||
            (write_attribute(file, "nested_mean", H5T_NATIVE_DOUBLE, &mean) &&
             write_attribute(file, "nested_std", H5T_NATIVE_DOUBLE, &nested.deviation) &&
             write_attribute(file, "nested_standard_error", H5T_NATIVE_DOUBLE, &nested.error)));
}

static bool write_all(hid_t file, const struct report *report)
{
    hid_t fits = fit_type(report), candidates = candidate_type(report);
    size_t count;
    struct fit_row *fit_rows = make_fit_rows(report->study, &count);
    struct candidate_row *candidate_rows = make_candidate_rows(report->study);
    bool is_good = fit_rows && candidate_rows && write_table(file, "fits", fits, count, fit_rows) &&
                   write_table(file, "candidates", candidates, report->study->trial_count, candidate_rows) &&
                   write_attributes(file, report);

    free(fit_rows);
    free(candidate_rows);
    H5Tclose(fits);
    H5Tclose(candidates);
    return is_good;
}

int scores_write(const struct report *report, const char *path)
{
    char *part = text_format("%s.part", path);
    hid_t file;
    bool is_good;

    if (!part)
        return failure("out of memory");
    H5dont_atexit(); /* after a file that a full disk kept it from closing it would crash at exit */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    is_good = file >= 0 && write_all(file, report);
    is_good = (file < 0 || H5Fclose(file) >= 0) && is_good;
    if (!is_good)
        unlink(part);
    if (!is_good || whole_file_place(part, path)) {
        is_good = false;
        failure("cannot write '%s': the disk may be full, or the folder may not be written to", path);
    }
    free(part);
    return is_good ? 0 : EXIT_FAILURE;
}
