/* SPDX-License-Identifier: BSD-3-Clause */
/* A write that fails is found at the latest when the stream is flushed, which comes before the rename. */
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void free_paths(struct whole_file *file)
{
    int error = errno;

    free(file->path);
    free(file->part);
    *file = (struct whole_file){NULL, NULL, NULL};
    errno = error;
}

int whole_file_begin(struct whole_file *file, const char *path)
{
    size_t length = strlen(path);

    file->stream = NULL;
    file->path = strdup(path);
    file->part = malloc(length + sizeof ".part");
    if (file->path && file->part) {
        memcpy(file->part, path, length);
        memcpy(file->part + length, ".part", sizeof ".part");
        file->stream = fopen(file->part, "we");
    }
    if (file->stream)
        return 0;
    free_paths(file);
    return -1;
}

static int finish(struct whole_file *file)
{
    int bad = ferror(file->stream) || fflush(file->stream) || fsync(fileno(file->stream));
    int error = errno;

    if (fclose(file->stream) && !bad) {
        bad = 1;
        error = errno;
    }
    errno = error;
    return bad ? -1 : rename(file->part, file->path);
}

int whole_file_end(struct whole_file *file)
{
    int status = finish(file), error = errno;

    if (status)
        unlink(file->part);
    errno = error;
    free_paths(file);
    return status;
}

int whole_file_place(const char *part, const char *path)
{
    int file = open(part, O_RDONLY | O_CLOEXEC), status = file < 0 ? -1 : fsync(file), error = errno;

    if (file >= 0)
        close(file);
    if (!status) {
        status = rename(part, path);
        error = errno;
    }
    if (status)
        unlink(part);
    errno = error;
    return status;
}

static int write_all(int file, const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(file, bytes, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

int whole_file_put(const char *path, const char *part, const void *bytes, size_t size)
{
    int file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), status, error;

    if (file < 0)
        return -1;
    status = write_all(file, bytes, size);
    if (close(file) && !status)
        status = -1;
    if (!status)
        status = rename(part, path);
    if (status) {
        error = errno;
        unlink(part);
        errno = error;
    }
    return status;
}
