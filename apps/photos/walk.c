/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk in two rounds: first all that is reached without a link, then what links lead to, in the order in which they
 * were met, so that a file with a name of its own is not known by a link's. Names are bytes; none is cut. */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/text.h"

/* Files and folders that were seen: an open hash table of their numbers. */
struct seen {
    struct identity {
        dev_t device;
        ino_t number;
    } * places; /* number 0: free */
    size_t room, count;
};

struct paths {
    char **items;
    size_t count, room;
};

struct walk {
    struct originals *originals;
    size_t room;
    struct walk_report *report;
    struct seen seen;
    struct paths links; /* to be followed in the second round */
    bool follows;       /* it is the second round */
    bool no_memory;
};

static size_t find_place(const struct seen *seen, struct identity what)
{
    uint64_t hash = ((uint64_t)what.number * UINT64_C(0x9e3779b97f4a7c15)) ^ (uint64_t)what.device;
    size_t at = (size_t)(hash ^ (hash >> 29)) & (seen->room - 1);

    while (seen->places[at].number &&
           (seen->places[at].number != what.number || seen->places[at].device != what.device))
        at = (at + 1) & (seen->room - 1);
    return at;
}

static bool grow_seen(struct seen *seen)
{
    struct seen larger = {.room = seen->room ? 2 * seen->room : 1024, .count = seen->count};

    if (!(larger.places = calloc(larger.room, sizeof *larger.places)))
        return false;
    for (size_t i = 0; i < seen->room; i++) {
        if (seen->places[i].number)
            larger.places[find_place(&larger, seen->places[i])] = seen->places[i];
    }
    free(seen->places);
    *seen = larger;
    return true;
}

/* Returns whether it is new, and notes it. */
static bool note_seen(struct walk *walk, const struct stat *status)
{
    struct identity what = {status->st_dev, status->st_ino};
    size_t at;

    if (2 * walk->seen.count >= walk->seen.room && !grow_seen(&walk->seen)) {
        walk->no_memory = true;
        return false;
    }
    at = find_place(&walk->seen, what);
    if (walk->seen.places[at].number)
        return false;
    walk->seen.places[at] = what;
    walk->seen.count++;
    return true;
}

static void add_path(struct walk *walk, struct paths *paths, char *path)
{
    if (path && paths->count == paths->room) {
        size_t room = paths->room ? 2 * paths->room : 64;
        char **items = realloc(paths->items, room * sizeof *items);

        if (items) {
            paths->items = items;
            paths->room = room;
        } else {
            free(path);
            path = NULL;
        }
    }
    if (path)
        paths->items[paths->count++] = path;
    else
        walk->no_memory = true;
}

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->items[i]);
    free(paths->items);
}

static void add_original(struct walk *walk, const char *path, const struct stat *status)
{
    struct originals *originals = walk->originals;
    struct original *original;

    if (originals->count == walk->room) {
        size_t room = walk->room ? 2 * walk->room : 1024;
        struct original *items = realloc(originals->items, room * sizeof *items);

        if (!items) {
            walk->no_memory = true;
            return;
        }
        originals->items = items;
        walk->room = room;
    }
    original = &originals->items[originals->count];
    memset(original, 0, sizeof *original);
    original->group = NO_GROUP;
    original->photo.file_size = (uint64_t)status->st_size;
    original->photo.file_time_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
    if ((original->path = strdup(path)))
        originals->count++;
    else
        walk->no_memory = true;
}

static bool ends_like_photograph(const char *path)
{
    static const char *const suffixes[] = {".jpg", ".jpeg", ".jpe", ".jfif",
                                           ".png", ".webp", ".tif", ".tiff"};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (!strcasecmp(dot, suffixes[i]))
            return true;
    }
    return false;
}

static void tell_unreadable(struct walk *walk, const char *path)
{
    walk->report->unreadable++;
    failure("'%s' cannot be read: %s", path, strerror(errno));
}

/* A link in a folder that leads nowhere is a loss only if a photograph was meant. */
static void note_missing(struct walk *walk, const char *path, bool is_named)
{
    if (errno == ENOENT && !is_named && !ends_like_photograph(path))
        walk->report->passed_over++;
    else
        tell_unreadable(walk, path);
}

static char *join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";

    return text_format("%s%s%s", folder, slash, name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The paths in a folder, sorted. */
static void read_folder(struct walk *walk, const char *folder, struct paths *paths)
{
    struct dirent *entry;
    DIR *stream = opendir(folder);

    if (!stream) {
        tell_unreadable(walk, folder);
        return;
    }
    while ((errno = 0, entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            add_path(walk, paths, join(folder, entry->d_name));
    }
    if (errno)
        tell_unreadable(walk, folder);
    closedir(stream);
    if (paths->count)
        qsort(paths->items, paths->count, sizeof *paths->items, by_bytes);
}

static void take_file(struct walk *walk, const char *path, const struct stat *status, bool is_named)
{
    if (!is_named && (!S_ISREG(status->st_mode) || !ends_like_photograph(path)))
        walk->report->passed_over++;
    else if (!S_ISREG(status->st_mode)) {
        walk->report->unreadable++;
        failure("'%s' is neither a file nor a folder", path);
    } else if (note_seen(walk, status)) {
        add_original(walk, path, status);
    } else {
        walk->report->seen_twice++;
    }
}

/* Takes what is at a path, and at those below it. Folders below are on a list instead of the stack, since they may be
 * deep. */
static void take(struct walk *walk, const char *root, bool is_named)
{
    struct paths left = {NULL, 0, 0};

    add_path(walk, &left, strdup(root));
    while (left.count && !walk->no_memory) {
        char *path = left.items[--left.count];
        struct paths inside = {NULL, 0, 0};
        struct stat status;

        if (!walk->follows && !is_named && !lstat(path, &status) && S_ISLNK(status.st_mode)) {
            add_path(walk, &walk->links, path);
            continue;
        }
        if (stat(path, &status))
            note_missing(walk, path, is_named);
        else if (!S_ISDIR(status.st_mode))
            take_file(walk, path, &status, is_named);
        else if (note_seen(walk, &status))
            read_folder(walk, path, &inside);
        for (size_t i = inside.count; i--;)
            add_path(walk, &left, inside.items[i]);
        free(inside.items);
        free(path);
        is_named = false;
    }
    free_paths(&left);
}

static int take_word(struct walk *walk, const char *word)
{
    struct stat status;

    if (stat(word, &status))
        return failure("'%s' cannot be read: %s", word, strerror(errno));
    take(walk, word, true);
    return 0;
}

/* All of a file, with a null byte behind it. */
static char *read_list(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t room = 0;

    *size = 0;
    if (!file)
        return NULL;
    do {
        char *more = *size + 1 >= room ? realloc(bytes, room = room ? 2 * room : 65536) : bytes;

        if (!more)
            break;
        bytes = more;
        *size += fread(bytes + *size, 1, room - *size - 1, file);
    } while (!feof(file) && !ferror(file));
    if (!bytes || ferror(file)) {
        free(bytes);
        bytes = NULL;
    } else {
        bytes[*size] = '\0';
    }
    fclose(file);
    return bytes;
}

/* A path of a list that is not there is a failure of that path, not of the run: the list may be old. */
static int take_list(struct walk *walk, const char *path)
{
    size_t size;
    char *bytes = read_list(path, &size), *at = bytes, end;

    if (!bytes)
        return failure("the list '%s' cannot be read: %s", path, strerror(errno));
    end = memchr(bytes, '\0', size) ? '\0' : '\n';
    while (at < bytes + size) {
        char *next = memchr(at, end, (size_t)(bytes + size - at));

        if (!next)
            next = bytes + size;
        *next = '\0';
        if (*at)
            take(walk, at, true);
        at = next + 1;
    }
    free(bytes);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct original *)a)->path, ((const struct original *)b)->path);
}

int walk(char *const *words, size_t count, const char *out, struct originals *originals,
         struct walk_report *report)
{
    struct walk walk = {.originals = originals, .report = report};
    struct stat status;
    int exit_status = 0;

    *originals = (struct originals){NULL, 0};
    *report = (struct walk_report){0, 0, 0};
    if (!stat(out, &status))
        note_seen(&walk, &status);
    for (size_t i = 0; i < count && !exit_status; i++)
        exit_status = words[i][0] == '@' ? take_list(&walk, words[i] + 1) : take_word(&walk, words[i]);
    walk.follows = true;
    for (size_t i = 0; i < walk.links.count && !exit_status; i++)
        take(&walk, walk.links.items[i], false);
    free_paths(&walk.links);
    free(walk.seen.places);
    if (!exit_status && walk.no_memory)
        exit_status = failure("there is no memory for the list of photographs");
    if (!exit_status && originals->count)
        qsort(originals->items, originals->count, sizeof *originals->items, by_path);
    return exit_status;
}
