/* SPDX-License-Identifier: BSD-3-Clause */
/* Libraries that are loaded when they are first needed, so that programs and processes which do without them
 * neither load nor copy their mappings. For the layer that owns such a library.
 *
 * What is used of it is written once, as a list of names:
 *
 *     #define WIDGET_SYMBOLS(ENTRY) ENTRY(widget_open) ENTRY(widget_root_g)
 *     struct widget { WIDGET_SYMBOLS(LIBRARY_MEMBER) } widget;
 *     static const char *const names[] = { WIDGET_SYMBOLS(LIBRARY_NAME) };
 *
 * Each member points to the function or variable of that name and has its type, as the library's own header
 * declares it: widget.widget_open(…), *widget.widget_root_g. For net/mpi_table.h, data/hdf5_table.h and
 * data/deflate.c. */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stddef.h>

#define LIBRARY_MEMBER(symbol) typeof(symbol) *symbol;
#define LIBRARY_NAME(symbol)   #symbol,

struct library {
    const char *title;  /* as people call it: "HDF5" */
    const char *soname; /* that the build has found */
    const char *path;   /* where it was then: tried when it is nowhere on the loader's way */
    int flags;          /* for dlopen */
    const char *const *names;
    size_t name_count;
};

/* Fills `table`, a struct with one LIBRARY_MEMBER a name and nothing else, and loads the library if the
 * process does not have it yet. It stays loaded. MPM_ENOENT with a sentence, and an untouched table, if the
 * library is not there, MPM_EBUILD if it lacks a name. One thread at a time for a table. */
int library_load(const struct library *library, void *table);

#endif
