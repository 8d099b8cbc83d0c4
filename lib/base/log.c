/* SPDX-License-Identifier: BSD-3-Clause */
/* The log. A line is made in one buffer and leaves by one write(). */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level log_limit = LOG_ERROR;
static char log_name[64];

void log_open(enum log_level level, const char *name)
{
    log_limit = level;
    snprintf(log_name, sizeof log_name, "%s", name);
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[1200];
    int saved_errno = errno;
    size_t length;
    va_list arguments;

    if (level > log_limit)
        return;
    length = (size_t)snprintf(line, sizeof line, "mpmap: %s%s", log_name, log_name[0] ? ": " : "");
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        errno = saved_errno; /* there is nobody left to tell */
    errno = saved_errno;
}
