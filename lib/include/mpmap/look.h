/* SPDX-License-Identifier: BSD-3-Clause */
/** @file look.h  What is in an HDF5 file, and what of it a map can take. */
#ifndef MPMAP_LOOK_H
#define MPMAP_LOOK_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "type.h"

/** The most dimensions that a data set has: its rows, and those of a row. */
#define MPM_MAX_DATASET_DIMENSIONS (MPM_MAX_DIMENSIONS + 1)

MPM_BEGIN

/** What stands at a path of a file. */
enum mpm_entry_kind {
    MPM_ENTRY_DATASET, /**< a data set; also what a link leads to, if that is one */
    MPM_ENTRY_TYPE,    /**< a type that has a name */
    MPM_ENTRY_LINK,    /**< a link to a group, which is not followed, or to nothing */
    MPM_ENTRY_DAMAGED, /**< something that cannot be read */
};

/** One thing in a file, as mpm_dataset_look() tells of it. Texts are never NULL unless it says so, and valid during the
 * call. Extents are of a data set. */
typedef struct mpm_dataset_entry {
    const char *path; /**< in the file: "/group/data" */
    int kind;         /**< an enum mpm_entry_kind */
    const char *type; /**< in words: "f32", "strings of 8 bytes"; "" if it has none */
    unsigned rank;    /**< dimensions of a data set, with its rows; 0: a scalar */
    uint64_t extent[MPM_MAX_DATASET_DIMENSIONS]; /**< how far each dimension goes */
    uint64_t most[MPM_MAX_DATASET_DIMENSIONS];   /**< how far it may grow; UINT64_MAX: without a limit */
    int has_no_data;                             /**< 1: a data set of which HDF5 says that it is null */
    const char *storage; /**< "contiguous", "chunked", "compact", "virtual", "external" */
    uint64_t chunk[MPM_MAX_DATASET_DIMENSIONS]; /**< extents of a chunk, if it is chunked */
    const char *filters;       /**< in their order: "shuffle, gzip 4"; "" if there are none */
    const char *attributes;    /**< those that say what values mean: "units: K; scale_factor: 0.1" */
    uint64_t sources;          /**< if it is virtual: how many data sets it has its values from */
    uint64_t missing;          /**< how many of these cannot be opened: their rows read as the fill value */
    const char *missing_first; /**< what is wrong with the first of them, in a sentence; "" */
    const char *refused;       /**< why no map can take it, in a sentence; NULL: a map can */
    uint64_t rows;             /**< if a map can take it: how many rows it has */
    mpm_shape row;             /**< and what each of them is */
} mpm_dataset_entry;

/** Takes what mpm_dataset_look() finds.
 * @param entry     one thing in the file
 * @param argument  what mpm_dataset_look() was given
 * @return 0 to go on; anything else ends the look */
typedef int mpm_dataset_tell(const mpm_dataset_entry *entry, void *argument);

/** Tells what is in an HDF5 file: each data set, each type that has a name, and what stands in the way: broken links,
 * links to groups, and what is damaged. Groups have their own contents told, in the order of names. Data sets that
 * have several names are told under each, groups under the first. Opens and closes the file in the calling process,
 * and blocks meanwhile; nothing of a data set's values is read. Needs no run. A damaged file may crash HDF5 itself:
 * who does not trust a file does this in a process of its own, as `mpmap look` does.
 * @param file           name of the file
 * @param without_locks  not 0: as in mpm_dataset_map
 * @param tell           called for each thing, in the calling thread; it may call anything
 * @param argument       handed to it
 * @return 0; what `tell` has returned, if that is not 0; MPM_ENOENT if there is no such file, or no HDF5 to load;
 *         MPM_EBUSY as mpm_dataset_describe(); MPM_EIO, also for a file that is not HDF5: mpm_error() says what it is,
 *         if that can be seen; MPM_EINVAL; MPM_ENOMEM. */
MPM_API MPM_CHECKED int mpm_dataset_look(const char *file, int without_locks, mpm_dataset_tell *tell,
                                         void *argument);

MPM_END

#endif
