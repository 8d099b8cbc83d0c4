/* SPDX-License-Identifier: BSD-3-Clause */
/* An output is named by the stem of its original, so that people know it, and by a hash of the original's whole path,
 * so that two originals do not meet. Where they do all the same, the later one gets a number. */
#include "plan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/text.h"

#define STEM 60 /* bytes of it, at most */

static bool has_outputs(const struct settings *settings, const char *name)
{
    char path[4096];

    for (unsigned i = 0; i < settings->size_count; i++) {
        if (!settings_output_path(settings, i, name, false, path) || access(path, F_OK))
            return false;
    }
    return true;
}

static bool is_true_still(const struct settings *settings, const struct original *original,
                          const struct original *row, bool retry_failed)
{
    return original->photo.file_size == row->photo.file_size &&
           original->photo.file_time_ns == row->photo.file_time_ns &&
           (row->error ? !retry_failed : has_outputs(settings, original->name));
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct original *)a)->path, ((const struct original *)b)->path);
}

/* A changed original keeps its name, so that its outputs take the place of those it had. */
static bool take_row(const struct settings *settings, struct original *original, struct originals *earlier,
                     bool retry_failed)
{
    struct original *row = earlier->count ? bsearch(original, earlier->items, earlier->count,
                                                    sizeof *earlier->items, by_path)
                                          : NULL;

    if (!row)
        return false;
    original->name = row->name;
    row->name = NULL;
    if (!is_true_still(settings, original, row, retry_failed))
        return false;
    original->photo = row->photo;
    original->error = row->error;
    original->is_done = 1;
    row->error = NULL;
    return true;
}

static uint64_t hash_path(const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name's letters and digits; each run of others is a dash. */
static void copy_stem(const char *path, char stem[STEM + 1])
{
    const char *slash = strrchr(path, '/'), *begin = slash ? slash + 1 : path, *dot = strrchr(begin, '.');
    const char *end = dot && dot > begin ? dot : begin + strlen(begin);
    size_t length = 0;

    for (; begin < end && length < STEM; begin++) {
        if (is_plain(*begin))
            stem[length++] = *begin;
        else if (length && stem[length - 1] != '-')
            stem[length++] = '-';
    }
    while (length && stem[length - 1] == '-')
        length--;
    stem[length] = '\0';
}

static char *make_name(const char *path, unsigned number)
{
    char stem[STEM + 1], tail[16] = "";

    copy_stem(path, stem);
    if (number)
        snprintf(tail, sizeof tail, "-%u", number);
    return text_format("%s%s%016llx%s", stem, *stem ? "-" : "", (unsigned long long)hash_path(path), tail);
}

/* The names that are taken: an open hash table. */
struct names {
    const char **places;
    size_t room;
};

/* Returns whether it was free, and takes it. */
static bool take_name(struct names *names, const char *name)
{
    size_t at = (size_t)hash_path(name) & (names->room - 1);

    for (; names->places[at]; at = (at + 1) & (names->room - 1)) {
        if (!strcmp(names->places[at], name))
            return false;
    }
    names->places[at] = name;
    return true;
}

static bool name_originals(struct originals *originals, struct names *names)
{
    for (size_t i = 0; i < originals->count; i++) {
        if (originals->items[i].name)
            take_name(names, originals->items[i].name);
    }
    for (size_t i = 0; i < originals->count; i++) {
        struct original *original = &originals->items[i];

        for (unsigned number = 0; !original->name; number++) {
            char *name = make_name(original->path, number);

            if (!name)
                return false;
            if (take_name(names, name))
                original->name = name;
            else
                free(name);
        }
    }
    return true;
}

long long plan_make(const struct settings *settings, struct originals *originals, struct originals *earlier,
                    bool retry_failed)
{
    struct names names = {NULL, 1024};
    long long done = 0;
    bool is_good;

    for (size_t i = 0; i < originals->count; i++)
        done += take_row(settings, &originals->items[i], earlier, retry_failed);
    while (names.room < 2 * originals->count)
        names.room *= 2;
    names.places = calloc(names.room, sizeof *names.places);
    is_good = names.places && name_originals(originals, &names);
    free(names.places);
    return is_good ? done : -1;
}
