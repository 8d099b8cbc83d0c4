/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers as C writes and reads them, whatever locale the program has set: 0.5 has a point, in Germany too. What another
 * program reads (JSON), what a later run compares, and what a user writes for the library go through these. For all of
 * lib/. */
#ifndef BASE_C_LOCALE_H
#define BASE_C_LOCALE_H

#include <stdarg.h>
#include <stddef.h>

/* As the functions of the C library without the c_. */
int c_snprintf(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int c_vsnprintf(char *text, size_t size, const char *format, va_list arguments);
double c_strtod(const char *text, char **end);
long double c_strtold(const char *text, char **end);

#endif
