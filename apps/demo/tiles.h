/* SPDX-License-Identifier: BSD-3-Clause */
/* How the demo's programs cut photographs into tiles, and how they stop. Each of them is a single source file
 * that includes this. */
#ifndef DEMO_TILES_H
#define DEMO_TILES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { CORE = 32, MARGIN = 16, TILE = CORE + 2 * MARGIN, COLOURS = 3, MOST_PHOTOS = 8 };

/* The name that stop() prints. */
static const char *program;

/* Prints why, and ends the program. */
static __attribute__((noreturn, format(printf, 1, 2))) void stop(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* Tiles that cover so many pixels. */
static inline size_t tiles_across(size_t pixels)
{
    return (pixels + CORE - 1) / CORE;
}

#endif
