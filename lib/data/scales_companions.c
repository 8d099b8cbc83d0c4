/* SPDX-License-Identifier: BSD-3-Clause */
/* Companions: data sets that attributes of a data set name, as CF has them. Results name those of them that were made
 * and that they share all dimensions with; what is one value only, such as a grid mapping, is about all dimensions of
 * the data set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/attribute.h"
#include "data/scales.h"

/* In the order of CF's chapters: the first three are about places, the last about values. */
const char *const scales_namers[SCALES_NAMERS] = {"coordinates", "grid_mapping", "cell_measures",
                                                  "ancillary_variables"};

int scales_extents(const struct scale *scale, hsize_t rows, hsize_t extent[GRID_MAX_RANK])
{
    extent[0] = rows;
    if (scale->bounds_of)
        extent[1] = scale->width;
    for (unsigned i = 1; i < scale->rank; i++)
        extent[i] = scale->all_extents[i];
    return scale->bounds_of ? 2 : scale->is_companion ? (int)scale->rank : 1;
}

/* A result of an input, by the scales of its dimensions. */
struct named {
    const struct scales *scales;
    const struct scale_list *dimension;
    unsigned rank;
};

static bool has_scale(const struct named *result, unsigned char scale)
{
    for (unsigned i = 0; i < result->rank; i++) {
        if (memchr(result->dimension[i].scale, scale, result->dimension[i].count))
            return true;
    }
    return false;
}

static bool has_dimension(const struct named *result, int dimension)
{
    for (unsigned i = 0; i < result->rank; i++) {
        const struct scale_list *list = &result->dimension[i];

        if (list->count && result->scales->scale[list->scale[0]].input_dimension == dimension)
            return true;
    }
    return false;
}

static bool shares(const struct named *result, const struct scale *companion)
{
    bool is = true;

    for (unsigned i = 0; is && i < companion->rank; i++)
        is = has_scale(result, companion->of[i].scale[0]);
    for (int i = 0; is && !companion->rank && i < result->scales->input_rank; i++)
        is = has_dimension(result, i);
    return is;
}

static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The name that a companion has got, or NULL if the result is not to name it. */
static const char *find_name(const struct named *result, const char *word, size_t length)
{
    for (unsigned i = 0; i < result->scales->count; i++) {
        const struct scale *scale = &result->scales->scale[i];
        char name[SCALE_NAME];

        snprintf(name, sizeof name, "%.*s", (int)length, word);
        if (scale->is_companion && scale->type >= 0 && !strcmp(last_of(scale->path), last_of(name)) &&
            shares(result, scale))
            return scale->name;
    }
    return NULL;
}

/* An attribute of the input in other words: "lat lon", "area: cell", "crs: x y". */
struct rewriting {
    const struct named *result;
    bool is_measures, is_mapping;
    const char *key; /* before the next name; or NULL */
    size_t key_length;
    bool is_named; /* the mapping that the words are about: they are coordinates of it */
};

static void write_word(struct rewriting *rewriting, const char *word, size_t length, FILE *text)
{
    const char *separator = ftell(text) > 0 ? " " : "";
    bool has_colon = length > 1 && word[length - 1] == ':';
    const char *name;

    if (rewriting->is_measures && has_colon) {
        rewriting->key = word;
        rewriting->key_length = length;
    } else if (rewriting->is_mapping && rewriting->key && !has_colon) {
        if (rewriting->is_named)
            fprintf(text, "%s%.*s", separator, (int)length, word);
    } else {
        name = find_name(rewriting->result, word, length - has_colon);
        rewriting->is_named = name;
        if (name && rewriting->is_measures && rewriting->key)
            fprintf(text, "%s%.*s %s", separator, (int)rewriting->key_length, rewriting->key, name);
        else if (name)
            fprintf(text, "%s%s%s", separator, name, has_colon ? ":" : "");
        rewriting->key = rewriting->is_mapping && has_colon ? word : NULL;
    }
}

static char *rewrite(struct rewriting *rewriting, const char *names)
{
    char *bytes = NULL;
    size_t size, length;
    FILE *text = open_memstream(&bytes, &size);

    for (const char *at = names; text && *at; at += length) {
        at += strspn(at, " ");
        if ((length = strcspn(at, " ")))
            write_word(rewriting, at, length, text);
    }
    return text && !fclose(text) ? bytes : NULL;
}

int scales_name_companions(const struct scales *scales, hid_t dataset, const struct scale_list *dimension,
                           unsigned rank)
{
    const struct named result = {scales, dimension, rank};
    int status = 0;

    for (unsigned i = 0; !status && scales && scales->count && i < SCALES_NAMERS; i++) {
        struct rewriting rewriting = {.result = &result, .is_measures = i == 2, .is_mapping = i == 1};
        char *text;

        if (!scales->names[i] || hdf5.H5Aexists(dataset, scales_namers[i]) > 0)
            continue;
        if (!(text = rewrite(&rewriting, scales->names[i])))
            return error_set(MPM_ENOMEM, "no memory for the names of coordinates");
        if (*text)
            status = attribute_write_text(dataset, scales_namers[i], text);
        free(text);
    }
    return status;
}
