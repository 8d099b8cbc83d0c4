/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. All ranks of a run on one machine have one parent: the launcher, or whoever started the test. */
#include "support/shared_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[PATH_MAX];

static void unlink_file(void)
{
    unlink(path); /* a rank of the same parent may have done it */
}

void *shared_file(const char *name, size_t size)
{
    const char *folder = getenv("TMPDIR");
    void *memory = MAP_FAILED;
    int file;

    snprintf(path, sizeof path, "%s/mpmap_%s.%d", folder ? folder : "/tmp", name, (int)getppid());
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    atexit(unlink_file);
    if (file >= 0 && !ftruncate(file, (off_t)size))
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return memory;
}
