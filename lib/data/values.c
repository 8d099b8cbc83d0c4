/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/values.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "data/part.h"
#include "data/sum.h"
#include "mpmap/vlen.h"

#define PREFIX     ".values-"
#define PIECE_SIZE ((size_t)128 << 10)
#define ALIGNMENT  ((size_t)16)
#define FIRST_ROOM ((size_t)64 << 10)
#define KEPT_ROOM  ((size_t)16 << 20) /* more is given back when it was written */

_Static_assert(sizeof(struct value_ref) == sizeof(mpm_vlen), "a task's results have references in them");

/* ---- The folder ---- */

void values_name_folder(const char *part, uint64_t number, char folder[PATH_MAX])
{
    snprintf(folder, PATH_MAX, "%.*s" PREFIX "%016" PRIx64, PATH_MAX - 64, part, number);
}

int values_make_folder(const char *folder)
{
    return mkdir(folder, S_IRWXU) ? error_set_errno(MPM_EIO, "cannot create %s", folder) : 0;
}

void values_remove_folder(const char *folder)
{
    char path[PATH_MAX + NAME_MAX + 2];
    DIR *entries = opendir(folder);

    for (struct dirent *at; entries && (at = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, at->d_name);
        if (*at->d_name != '.')
            unlink(path);
    }
    if (entries)
        closedir(entries);
    rmdir(folder);
}

void values_remove_folders(const char *part, const char *kept)
{
    char parent[PATH_MAX], prefix[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
    const char *slash = strrchr(part, '/');
    DIR *entries;

    snprintf(parent, sizeof parent, "%.*s/", (int)(slash - part), part);
    snprintf(prefix, sizeof prefix, "%.*s" PREFIX, PATH_MAX - 16, slash + 1);
    entries = opendir(parent);
    for (struct dirent *at; entries && (at = readdir(entries));) {
        snprintf(path, sizeof path, "%s%s", parent, at->d_name);
        if (!strncmp(at->d_name, prefix, strlen(prefix)) && (!kept || strcmp(path, kept)))
            values_remove_folder(path);
    }
    if (entries)
        closedir(entries);
}

/* ---- Checksums ---- */

static uint32_t fold(uint64_t sum)
{
    return (uint32_t)(sum ^ sum >> 32);
}

static uint32_t check_of(const struct value_ref *ref)
{
    return fold(sum_add(SUM_EMPTY, ref, offsetof(struct value_ref, check)));
}

static uint32_t sum_of(const void *bytes, size_t size)
{
    uint64_t sum = SUM_EMPTY;

    for (size_t at = 0; at < size; at += PIECE_SIZE)
        sum = sum_add(sum, (const char *)bytes + at, size - at < PIECE_SIZE ? size - at : PIECE_SIZE);
    return fold(sum);
}

bool values_is_ref(const struct value_ref *ref)
{
    static const struct value_ref empty;

    return !memcmp(ref, &empty, sizeof empty) ||
           (ref->size && ref->size <= MPM_VLEN_MOST && ref->check == check_of(ref));
}

/* ---- Writing ---- */

int values_begin(struct value_writer *writer, const char *folder)
{
    *writer = (struct value_writer){.fd = -1};
    snprintf(writer->folder, sizeof writer->folder, "%s", folder);
    return getrandom(&writer->file, sizeof writer->file, 0) == sizeof writer->file
               ? 0
               : error_set_errno(MPM_EIO, "cannot get random bytes for %s", folder);
}

static bool get_room(struct value_writer *writer, size_t size)
{
    size_t room = writer->room ? writer->room : FIRST_ROOM;
    unsigned char *bytes;

    if (size <= writer->room)
        return true;
    while (room < size)
        room *= 2;
    if (!(bytes = realloc(writer->bytes, room)))
        return false;
    writer->bytes = bytes;
    writer->room = room;
    return true;
}

void *values_take(struct value_writer *writer, size_t size, struct value_ref *ref)
{
    size_t at = (writer->used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    if (!get_room(writer, at + size + 1)) /* also for none */
        return NULL;
    memset(writer->bytes + writer->used, 0, at - writer->used);
    writer->used = at + size;
    *ref = (struct value_ref){.file = writer->file, .at = writer->at + at, .size = size};
    return writer->bytes + at;
}

bool values_has(const struct value_writer *writer, const struct value_ref *ref, size_t from)
{
    return ref->file == writer->file && ref->size && ref->at >= writer->at + from &&
           ref->at <= writer->at + writer->used && ref->size <= writer->at + writer->used - ref->at;
}

const void *values_bytes(const struct value_writer *writer, const struct value_ref *ref)
{
    return writer->bytes + (ref->at - writer->at);
}

void values_seal(const struct value_writer *writer, struct value_ref *ref)
{
    ref->sum = sum_of(values_bytes(writer, ref), ref->size);
    ref->check = check_of(ref);
}

static bool make_file(struct value_writer *writer)
{
    char path[PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/%016" PRIx64, writer->folder, writer->file);
    writer->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    return writer->fd >= 0;
}

/* A process that writes past the limit of a file's size is killed. */
static bool is_within_limit(uint64_t size)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) || size <= limit.rlim_cur)
        return true;
    errno = EFBIG;
    return false;
}

bool values_write(struct value_writer *writer)
{
    if (!writer->used)
        return true;
    if ((writer->fd < 0 && !make_file(writer)) || !is_within_limit(writer->at + writer->used) ||
        !write_at(writer->fd, writer->bytes, writer->used, writer->at))
        return false;
    writer->at += writer->used;
    writer->used = 0;
    if (writer->room > KEPT_ROOM) {
        free(writer->bytes);
        writer->bytes = NULL;
        writer->room = 0;
    }
    return true;
}

bool values_flush(const struct value_writer *writer)
{
    return writer->fd < 0 || part_flush(writer->fd);
}

void values_close(struct value_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    free(writer->bytes);
    *writer = (struct value_writer){.fd = -1};
}

/* ---- Reading ---- */

void values_open(struct value_reader *reader, const char *folder)
{
    *reader = (struct value_reader){.folder = folder};
}

/* The file of a value; -1 and errno. */
static int find_file(struct value_reader *reader, uint64_t file)
{
    unsigned have = reader->count < VALUES_OPEN_FILES ? reader->count : VALUES_OPEN_FILES;
    unsigned place = reader->count % VALUES_OPEN_FILES;
    char path[PATH_MAX + 32];
    int fd;

    for (unsigned i = 0; i < have; i++) {
        if (reader->file[i] == file)
            return reader->fd[i];
    }
    snprintf(path, sizeof path, "%s/%016" PRIx64, reader->folder, file);
    if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return -1;
    if (have == VALUES_OPEN_FILES)
        close(reader->fd[place]);
    reader->file[place] = file;
    reader->fd[place] = fd;
    reader->count++;
    return fd;
}

/* Of a file that is open. With `bytes` NULL they are only looked at. */
static bool read_pieces(int fd, const struct value_ref *ref, char *bytes, uint64_t *sum)
{
    char piece[PIECE_SIZE];

    *sum = SUM_EMPTY;
    for (size_t at = 0; at < ref->size; at += PIECE_SIZE) {
        size_t size = ref->size - at < PIECE_SIZE ? ref->size - at : PIECE_SIZE;
        char *to = bytes ? bytes + at : piece;

        if (read_at(fd, to, size, ref->at + at) != (ssize_t)size)
            return false;
        *sum = sum_add(*sum, to, size);
    }
    return true;
}

static bool read_value(struct value_reader *reader, const struct value_ref *ref, char *bytes)
{
    uint64_t sum;
    int fd;

    errno = EILSEQ;
    if (!values_is_ref(ref))
        return false;
    if (!ref->size)
        return true;
    if ((fd = find_file(reader, ref->file)) < 0)
        return false;
    errno = EILSEQ;
    return read_pieces(fd, ref, bytes, &sum) && fold(sum) == ref->sum;
}

bool values_read(struct value_reader *reader, const struct value_ref *ref, void *bytes)
{
    return read_value(reader, ref, bytes);
}

bool values_are_right(struct value_reader *reader, const struct value_ref *ref)
{
    return read_value(reader, ref, NULL);
}

void values_end(struct value_reader *reader)
{
    unsigned have = reader->count < VALUES_OPEN_FILES ? reader->count : VALUES_OPEN_FILES;

    for (unsigned i = 0; i < have; i++)
        close(reader->fd[i]);
    reader->count = 0;
}
