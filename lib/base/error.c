/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last error: one sentence a thread, overwritten by the next failure of that thread. One that is longer
 * than the room that each thread has for it, as with the text of a failed item, has memory of its own until the thread
 * has another long one, or ends. */
#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/text.h"

#define INDENT  "    "             /* of the lines behind the first one, where it is printed */
#define LONGEST ((size_t)72 << 10) /* the longest text of a failed item, and what is said around it */

static _Thread_local char sentence[1024];
static _Thread_local bool is_long; /* it is what `long_sentence` has */
static _Thread_local bool is_reported_elsewhere;

/* No thread-local variable: those have room for a few bytes more only. */
static pthread_key_t long_sentence;
static pthread_once_t has_key = PTHREAD_ONCE_INIT;
static bool no_key;

static void make_key(void)
{
    no_key = pthread_key_create(&long_sentence, free);
}

static bool keep_long(const char *format, va_list arguments, size_t length)
{
    size_t size = (length < LONGEST ? length : LONGEST) + 1;
    char *kept = NULL, *before;

    pthread_once(&has_key, make_key);
    if (no_key || !(kept = malloc(size)))
        return false;
    c_vsnprintf(kept, size, format, arguments);
    if (length > LONGEST)
        text_cut(kept, size, TEXT_CUT_MARK);
    before = pthread_getspecific(long_sentence);
    if (pthread_setspecific(long_sentence, kept)) {
        free(kept);
        return false;
    }
    free(before);
    return true;
}

static void keep(const char *format, va_list arguments)
{
    va_list again;
    int length;

    va_copy(again, arguments);
    length = c_vsnprintf(sentence, sizeof sentence, format, arguments);
    is_long = length >= (int)sizeof sentence && keep_long(format, again, (size_t)length);
    va_end(again);
    if (length >= (int)sizeof sentence)
        text_cut(sentence, sizeof sentence, TEXT_CUT_MARK);
    is_reported_elsewhere = false;
}

int error_set(int status, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;

    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
    errno = saved_errno;
    return status;
}

int error_set_errno(int status, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    keep(format, arguments);
    va_end(arguments);
    is_long = false;
    length = strlen(sentence);
    snprintf(sentence + length, sizeof sentence - length, ": %s", strerror(saved_errno));
    errno = saved_errno;
    return status;
}

int error_check_memory(const char *call, const char *what, const void *memory, uint64_t count, uint64_t size)
{
    if (!size || count > SIZE_MAX / size)
        return size ? error_set(MPM_EINVAL, "%s: %llu %s of %llu bytes each are more than any memory holds",
                                call, (unsigned long long)count, what, (unsigned long long)size)
                    : MPM_OK;
    if (count && !memory)
        return error_set(MPM_EINVAL, "%s: %s is NULL, but there are to be %llu of %llu bytes each", call,
                         what, (unsigned long long)count, (unsigned long long)size);
    return MPM_OK;
}

int error_refuse_timeout(double timeout_s)
{
    return error_set(MPM_EINVAL, "the timeout is %g: it must be a number of seconds, or MPM_FOREVER",
                     timeout_s);
}

void error_leave_report(void)
{
    is_reported_elsewhere = true;
}

const char *mpm_error(void)
{
    return is_long ? pthread_getspecific(long_sentence) : sentence;
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

/* With the lines behind the first one indented, and those at the end that are empty left out, as of a text that an item
 * has failed with. NULL without memory. */
static char *indent(const char *text)
{
    size_t length = strlen(text), size = 1;
    char *indented, *end;

    while (length && text[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++)
        size += text[i] == '\n' ? 1 + strlen(INDENT) : 1;
    if (!(end = indented = malloc(size)))
        return NULL;
    for (size_t i = 0; i < length; i++) {
        *end++ = text[i];
        if (text[i] == '\n')
            end = stpcpy(end, INDENT);
    }
    *end = 0;
    return indented;
}

/* In one piece, so that it is whole beside what other processes print. */
int mpm_report_error(void)
{
    const char *text = sentence[0] ? mpm_error() : "no error";
    char *indented = strchr(text, '\n') ? indent(text) : NULL;

    fflush(stdout);
    if (!is_reported_elsewhere)
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, indented ? indented : text);
    free(indented);
    return EXIT_FAILURE;
}
