/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a file. First all paths are gathered, then each is looked at and told, so that who is told may use the
 * file itself. Whether a map can take a data set is found out by doing what a map does first. */
#include "mpmap/look.h"

#include <search.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/input_inside.h"
#include "data/look_words.h"

#define DEEPEST   256  /* groups in groups */
#define TEXT_SIZE 4096 /* of each text of an entry */

/* A path, and what is known of it before it is looked at. */
struct found {
    char *path;
    enum mpm_entry_kind kind;
    char *damage; /* what HDF5 said of it, or NULL: it may say nothing when it is asked again */
};

/* A search through a file. Groups may contain themselves: each is searched once, under the first of its names. */
struct search {
    const struct input *input;
    struct found *found;
    size_t count, room;
    void *groups; /* a tree of what tells one group of the file from another */
    int status;
};

/* A group that is searched. */
struct level {
    struct search *search;
    const char *path; /* without a slash at its end */
    unsigned depth;
};

struct group_name {
    unsigned char bytes[16];
};

static int compare_groups(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct group_name));
}

static int no_memory(struct search *search)
{
    return search->status = error_set(MPM_ENOMEM, "no memory for the names in %s", search->input->file_name);
}

/* Takes over the path. */
static int keep(struct search *search, char *path, enum mpm_entry_kind kind)
{
    if (search->count == search->room) {
        size_t room = search->room ? 2 * search->room : 64;
        struct found *grown = realloc(search->found, room * sizeof *grown);

        if (!grown) {
            free(path);
            return no_memory(search);
        }
        search->found = grown;
        search->room = room;
    }
    search->found[search->count++] = (struct found){.path = path, .kind = kind};
    return 0;
}

/* The same of what has just failed, and set the error. */
static void keep_damaged(struct search *search, char *path)
{
    char *damage = strdup(mpm_error());

    if (!damage)
        no_memory(search);
    if (keep(search, path, MPM_ENTRY_DAMAGED))
        free(damage);
    else
        search->found[search->count - 1].damage = damage;
}

static bool is_new_group(struct search *search, const hdf5_link_info *info)
{
    struct group_name *name = calloc(1, sizeof *name);
    struct group_name **place;

    if (!name) {
        no_memory(search);
        return false;
    }
    memcpy(name->bytes, &HDF5_LINK_TARGET(info), sizeof HDF5_LINK_TARGET(info));
    place = tsearch(name, &search->groups, compare_groups);
    if (place && *place == name)
        return true;
    free(name);
    if (!place)
        no_memory(search);
    return false;
}

static void search_group(struct search *search, hid_t group, const char *path, unsigned depth);

static enum mpm_entry_kind kind_of(H5I_type_t type)
{
    return type == H5I_DATASET ? MPM_ENTRY_DATASET : type == H5I_DATATYPE ? MPM_ENTRY_TYPE : MPM_ENTRY_LINK;
}

static herr_t take_link(hid_t group, const char *name, const hdf5_link_info *info, void *argument)
{
    const struct level *level = argument;
    struct search *search = level->search;
    hid_t object = hdf5.H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : hdf5.H5Iget_type(object);
    bool is_hard = info->type == H5L_TYPE_HARD;
    char *path;

    if (asprintf(&path, "%s/%s", level->path, name) < 0) {
        no_memory(search);
    } else if (object < 0 && is_hard) {
        hdf5_error_set(MPM_EIO, "is damaged");
        keep_damaged(search, path);
    } else if (object < 0) {
        keep(search, path, MPM_ENTRY_LINK);
    } else if (type != H5I_GROUP || !is_hard) {
        keep(search, path, kind_of(type));
    } else {
        if (is_new_group(search, info))
            search_group(search, object, path, level->depth + 1);
        free(path);
    }
    if (object >= 0)
        hdf5.H5Oclose(object);
    return search->status ? -1 : 0;
}

static void search_group(struct search *search, hid_t group, const char *path, unsigned depth)
{
    struct level level = {search, path, depth};
    char *damaged;

    if (depth > DEEPEST)
        error_set(MPM_EIO, "has groups in groups, deeper than %d", DEEPEST);
    else if (group >= 0 &&
             hdf5.HDF5_ITERATE_LINKS(group, H5_INDEX_NAME, H5_ITER_INC, NULL, take_link, &level) >= 0)
        return;
    else
        hdf5_error_set(MPM_EIO, "is damaged");
    if (search->status)
        return;
    if (!(damaged = strdup(*path ? path : "/")))
        no_memory(search);
    else
        keep_damaged(search, damaged);
}

static void forget(struct search *search)
{
    for (size_t i = 0; i < search->count; i++) {
        free(search->found[i].path);
        free(search->found[i].damage);
    }
    free(search->found);
    tdestroy(search->groups, free);
}

/* The texts of an entry. */
struct texts {
    char type[TEXT_SIZE], filters[TEXT_SIZE], attributes[TEXT_SIZE], refused[TEXT_SIZE];
    mpm_dataset_sources sources;
};

/* The sentence without the names of file and data set, if it begins with them. */
static void say_refused(const struct input *input, struct texts *texts)
{
    const char *sentence = mpm_error();
    size_t file = strlen(input->file_name), path = strlen(input->dataset_name);

    if (!strncmp(sentence, input->file_name, file) && sentence[file] == ':' &&
        !strncmp(sentence + file + 1, input->dataset_name, path) && sentence[file + 1 + path] == ' ')
        sentence += file + path + 2;
    snprintf(texts->refused, sizeof texts->refused, "%s", sentence);
}

static void take_space(hid_t dataset, mpm_dataset_entry *entry)
{
    hid_t space = hdf5.H5Dget_space(dataset);
    hsize_t extent[MAX_RANK], most[MAX_RANK];
    int rank = space < 0 ? -1 : hdf5.H5Sget_simple_extent_dims(space, extent, most);

    entry->has_no_data = space >= 0 && hdf5.H5Sget_simple_extent_type(space) == H5S_NULL;
    entry->rank = rank > 0 ? (unsigned)rank : 0;
    for (unsigned i = 0; i < entry->rank; i++) {
        entry->extent[i] = extent[i];
        entry->most[i] = most[i];
    }
    if (space >= 0)
        hdf5.H5Sclose(space);
}

static void take_chunk(hid_t dataset, mpm_dataset_entry *entry)
{
    hsize_t extent[MAX_RANK];
    int rank = input_chunk_extents(dataset, extent);

    for (int i = 0; i < rank; i++)
        entry->chunk[i] = extent[i];
}

static void take_type(hid_t type, struct texts *texts)
{
    if (type < 0)
        return;
    hdf5_type_text(type, texts->type, sizeof texts->type);
    hdf5.H5Tclose(type);
}

static void look_at_dataset(struct input *input, mpm_dataset_entry *entry, struct texts *texts)
{
    take_type(hdf5.H5Dget_type(input->dataset), texts);
    take_space(input->dataset, entry);
    take_chunk(input->dataset, entry);
    entry->storage = look_storage(input->dataset);
    filters_describe(input->dataset, texts->filters, sizeof texts->filters);
    look_attributes(input->dataset, texts->attributes, sizeof texts->attributes);
    virtual_find_sources(input->dataset, &texts->sources);
    entry->sources = texts->sources.count;
    entry->missing = texts->sources.missing;
    if (input_examine(input)) {
        say_refused(input, texts);
        entry->refused = texts->refused;
        return;
    }
    entry->rows = input->rows;
    entry->row = input->row;
}

static void look_at_type(struct input *input, struct texts *texts)
{
    hid_t type = hdf5.H5Oopen(input->file, input->dataset_name, H5P_DEFAULT);

    if (type < 0)
        return;
    hdf5_type_text(type, texts->type, sizeof texts->type);
    hdf5.H5Oclose(type);
}

/* Opens what stands there as a map would, and keeps why that cannot be. */
static void look_at(struct input *input, const struct found *found, mpm_dataset_entry *entry,
                    struct texts *texts)
{
    struct hdf5_guard guard;

    input->dataset_name = found->path;
    input->dataset = -1;
    *entry = (mpm_dataset_entry){.path = found->path,
                                 .kind = found->kind,
                                 .type = texts->type,
                                 .storage = "",
                                 .filters = texts->filters,
                                 .attributes = texts->attributes,
                                 .missing_first = texts->sources.first};
    texts->sources = (mpm_dataset_sources){0};
    *texts->type = *texts->filters = *texts->attributes = '\0';
    hdf5_enter(&guard);
    if (found->damage) {
        entry->refused = found->damage;
    } else if (input_find(input)) {
        say_refused(input, texts);
        entry->refused = texts->refused;
        if (found->kind == MPM_ENTRY_TYPE)
            look_at_type(input, texts);
    } else {
        look_at_dataset(input, entry, texts);
        input_leave_dataset(input);
    }
    hdf5_leave(&guard);
}

static int tell_all(struct input *input, const struct search *search, mpm_dataset_tell *tell, void *argument)
{
    struct texts *texts = malloc(sizeof *texts);
    mpm_dataset_entry entry;
    int status = 0;

    if (!texts)
        return error_set(MPM_ENOMEM, "no memory to look at %s", input->file_name);
    for (size_t i = 0; !status && i < search->count; i++) {
        look_at(input, &search->found[i], &entry, texts);
        status = tell(&entry, argument);
    }
    free(texts);
    return status;
}

static void search_file(struct search *search)
{
    struct hdf5_guard guard;
    hid_t top;

    hdf5_enter(&guard);
    top = hdf5.H5Gopen2(search->input->file, "/", H5P_DEFAULT);
    search_group(search, top, "", 0);
    if (top >= 0)
        hdf5.H5Gclose(top);
    hdf5_leave(&guard);
}

int mpm_dataset_look(const char *file, int without_locks, mpm_dataset_tell *tell, void *argument)
{
    const struct input_source source = {.file_name = file,
                                        .locking = without_locks ? INPUT_HAS_NONE : INPUT_HOLDS_LOCK};
    struct input input;
    struct search search = {.input = &input};
    int status;

    if (!file || !tell)
        return error_set(MPM_EINVAL, "mpm_dataset_look: the file and the function to tell must not be NULL");
    status = input_open_file(&source, &input);
    if (status)
        return status;
    search_file(&search);
    status = search.status ? search.status : tell_all(&input, &search, tell, argument);
    forget(&search);
    input_close(&input);
    return status;
}
