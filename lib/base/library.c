/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading a library late.
 *
 * A program that is linked with the library itself has copies of those of its variables that it uses, and
 * the library then works with these copies. dlsym() sees them in the program's own scope, and not through a
 * handle of the library. So the program's scope goes first, for all names or for none. */
#include "base/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

#include "base/error.h"

#define MAX_NAMES 256

/* RTLD_DEFAULT is NULL in glibc: so a handle is no answer to whether there is one. */
static int open_library(const struct library *library, void **handle)
{
    *handle = RTLD_DEFAULT;
    if (dlsym(RTLD_DEFAULT, library->names[0]))
        return MPM_OK;
    *handle = dlopen(library->soname, library->flags);
    if (!*handle)
        *handle = dlopen(library->path, library->flags);
    if (*handle)
        return MPM_OK;
    return error_set(MPM_ENOENT,
                     "%s is needed, but neither %s nor %s can be loaded (%s): install it, or name its folder "
                     "in LD_LIBRARY_PATH",
                     library->title, library->soname, library->path, dlerror());
}

int library_load(const struct library *library, void *table)
{
    void *handle, *found[MAX_NAMES]; /* not from malloc: where MPI is there, its ranks must be able to meet */
    int status = open_library(library, &handle);

    assert(library->name_count <= MAX_NAMES);
    for (size_t i = 0; !status && i < library->name_count; i++) {
        found[i] = dlsym(handle, library->names[i]);
        if (!found[i])
            status = error_set(MPM_EBUILD,
                               "the %s of this process (%s) lacks %s: mpmap was built with another version",
                               library->title, library->soname, library->names[i]);
    }
    if (!status)
        memcpy(table, found, library->name_count * sizeof *found);
    return status;
}
