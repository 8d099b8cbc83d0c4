/* SPDX-License-Identifier: BSD-3-Clause */
/* Says what has failed, with the name of the file. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "journal.h"
#include "support/command.h"

int output_begin(struct whole_file *output, const char *folder, const char *name)
{
    const char *path = journal_path(folder, name);

    return whole_file_begin(output, path) ? failure("'%s' cannot be written: %s", path, strerror(errno)) : 0;
}

int output_end(struct whole_file *output)
{
    char *path = must_copy(output->path, strlen(output->path));
    int status = whole_file_end(output) ? failure("'%s' cannot be written: %s", path, strerror(errno)) : 0;

    free(path);
    return status;
}
