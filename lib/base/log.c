/* SPDX-License-Identifier: BSD-3-Clause */
/* The log. A line is made in one buffer and leaves by one write(). */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/c_locale.h"

static _Atomic uint32_t own_level = MPM_LOG_ERROR;
static _Atomic uint32_t *log_level = &own_level;
static char log_name[64];

void log_open(enum mpm_log_level level, const char *name)
{
    log_set_level(level);
    snprintf(log_name, sizeof log_name, "%s", name);
}

void log_share(_Atomic uint32_t *level)
{
    uint32_t now = log_get_level();

    log_level = level ? level : &own_level;
    atomic_store(log_level, now);
}

void log_set_level(enum mpm_log_level level)
{
    atomic_store(log_level, level);
}

enum mpm_log_level log_get_level(void)
{
    return (enum mpm_log_level)atomic_load_explicit(log_level, memory_order_relaxed);
}

void log_write(enum mpm_log_level level, const char *format, ...)
{
    char line[1200];
    int saved_errno = errno;
    size_t length;
    va_list arguments;

    if (level > log_get_level())
        return;
    length = (size_t)snprintf(line, sizeof line, "mpmap: %s%s", log_name, log_name[0] ? ": " : "");
    va_start(arguments, format);
    c_vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    length = strlen(line);
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0)
        errno = saved_errno; /* there is nobody left to tell */
    errno = saved_errno;
}
