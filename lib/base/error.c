/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last error: one sentence a thread, overwritten by the next failure of that thread. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char sentence[1024];
static _Thread_local bool is_reported_elsewhere;

int error_set(int status, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    is_reported_elsewhere = false;
    errno = saved_errno;
    return status;
}

int error_set_errno(int status, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    length = strlen(sentence);
    snprintf(sentence + length, sizeof sentence - length, ": %s", strerror(saved_errno));
    is_reported_elsewhere = false;
    errno = saved_errno;
    return status;
}

void error_leave_report(void)
{
    is_reported_elsewhere = true;
}

const char *mpm_error(void)
{
    return sentence;
}

const char *mpm_status_name(int status)
{
    switch (status) {
#define STATUS_NAME(name, value, text) \
    case value:                        \
        return "MPM_" #name;
        MPM_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    default:
        return "MPM_E?";
    }
}

int mpm_report_error(void)
{
    fflush(stdout);
    if (is_reported_elsewhere)
        return EXIT_FAILURE;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, sentence[0] ? sentence : "no error");
    return EXIT_FAILURE;
}
