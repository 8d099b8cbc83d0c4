/* SPDX-License-Identifier: BSD-3-Clause */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"

/* By gzip or zstd. */
static bool is_compressed(const char *line, size_t length)
{
    return length >= 4 && (!memcmp(line, "\x1f\x8b", 2) || !memcmp(line, "\x28\xb5\x2f\xfd", 4));
}

/* The mark of UTF-8, which some programs begin a file with. */
static size_t mark_size(const char *line)
{
    return strncmp(line, "\xEF\xBB\xBF", 3) ? 0 : 3;
}

int lines_read(const char *path, int (*take)(void *argument, char *line, size_t number), void *argument)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t length;
    int exit_status = 0;

    if (!file)
        return failure("cannot open '%s': %s", path, strerror(errno));
    while (!exit_status && (length = getline(&line, &room, file)) >= 0) {
        number++;
        if (number == 1 && is_compressed(line, (size_t)length))
            exit_status = failure("'%s' is compressed: give it as gunzip or unzstd make it", path);
        else if (memchr(line, 0, (size_t)length))
            exit_status = failure("%s:%zu: there is a NUL byte, so this is no text", path, number);
        else
            exit_status = take(argument, line + (number == 1 ? mark_size(line) : 0), number);
    }
    if (!exit_status && ferror(file))
        exit_status = failure("cannot read '%s': %s", path, strerror(errno));
    free(line);
    fclose(file);
    return exit_status;
}
