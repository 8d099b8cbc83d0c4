/* SPDX-License-Identifier: BSD-3-Clause */
/* The C locale is the calling thread's for the length of one call: what the program has set is as it was afterwards. In
 * glibc it takes no memory. Where there should be none, the program's own does. */
#include "base/c_locale.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t is_made = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* With (locale_t)0 nothing is changed. */
static locale_t enter(void)
{
    pthread_once(&is_made, make);
    return uselocale(c_locale);
}

int c_vsnprintf(char *text, size_t size, const char *format, va_list arguments)
{
    locale_t before = enter();
    int length = vsnprintf(text, size, format, arguments);

    uselocale(before);
    return length;
}

int c_snprintf(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = c_vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return length;
}

double c_strtod(const char *text, char **end)
{
    locale_t before = enter();
    double number = strtod(text, end);

    uselocale(before);
    return number;
}

long double c_strtold(const char *text, char **end)
{
    locale_t before = enter();
    long double number = strtold(text, end);

    uselocale(before);
    return number;
}
