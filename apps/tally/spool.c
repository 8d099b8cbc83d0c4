/* SPDX-License-Identifier: BSD-3-Clause */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"

#define PIECE 1048576

static const char *folder(void)
{
    const char *path = getenv("TMPDIR");

    return path && *path ? path : "/tmp";
}

/* Some file systems have no files without a name: there it has one for an instant. */
static int open_unnamed(void)
{
    int file = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char path[4096];

    if (file >= 0)
        return file;
    snprintf(path, sizeof path, "%s/mpmap-tally-XXXXXX", folder());
    if ((file = mkostemp(path, O_CLOEXEC)) >= 0)
        unlink(path);
    return file;
}

static bool write_all(int file, const char *bytes, size_t size)
{
    for (ssize_t count; size; bytes += count, size -= (size_t)count) {
        count = write(file, bytes, size);
        if (count < 0 && errno == EINTR)
            count = 0;
        if (count < 0)
            return false;
    }
    return true;
}

static int copy(int file)
{
    char *bytes = malloc(PIECE);
    ssize_t count = 0;
    int exit_status = bytes ? 0 : failure("out of memory");

    while (!exit_status &&
           ((count = read(STDIN_FILENO, bytes, PIECE)) > 0 || (count < 0 && errno == EINTR))) {
        if (count > 0 && !write_all(file, bytes, (size_t)count))
            exit_status = failure("stdin cannot be kept in '%s': %s; TMPDIR names another folder", folder(),
                                  strerror(errno));
    }
    if (!exit_status && count < 0)
        exit_status = failure("stdin cannot be read: %s", strerror(errno));
    free(bytes);
    return exit_status;
}

/* The machine of a node: its name up to a slash. */
static bool is_one_machine(void)
{
    mpm_node first, node;

    if (mpm_node_info(0, &first))
        return false;
    for (unsigned i = 1; i < mpm_node_count(); i++) {
        size_t length = strcspn(first.name, "/");

        if (mpm_node_info(i, &node) || strcspn(node.name, "/") != length ||
            memcmp(first.name, node.name, length))
            return false;
    }
    return true;
}

int spool_stdin(char *place)
{
    struct stat status;
    int file;

    if (!is_one_machine()) {
        failure("stdin cannot be read on several machines: give a file that all of them see");
        return -1;
    }
    if (!fstat(STDIN_FILENO, &status) && S_ISREG(status.st_mode))
        file = dup(STDIN_FILENO);
    else
        file = open_unnamed();
    if (file < 0) {
        failure("stdin cannot be kept in '%s': %s; TMPDIR names another folder", folder(), strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode) && copy(file)) {
        close(file);
        return -1;
    }
    snprintf(place, SPOOL_PLACE, "/proc/%d/fd/%d", (int)getpid(), file);
    return file;
}
