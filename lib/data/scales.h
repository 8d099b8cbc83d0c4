/* SPDX-License-Identifier: BSD-3-Clause */
/* The dimension scales of an input, which are those of its results where these have the same dimensions: named
 * dimensions, and coordinates with their attributes, as netCDF-4 and H5DS have them. For data/ only.
 *
 * They are read into main's memory before the output is made, and written with its layout: so they are on the disk
 * before the first row is run, and are in the checksum of the layout. */
#ifndef DATA_SCALES_H
#define DATA_SCALES_H

#include <stdbool.h>
#include <stdint.h>

#include "data/attribute_copy.h"
#include "data/grid.h"
#include "data/result.h"

#define SCALES_KEPT       "input_kept" /* attribute of the result: which data sets beside it were made for it */
#define SCALES_ONLY_NAMED "This is a netCDF dimension but not a netCDF variable." /* NAME */
#define SCALE_NAME        256                                                     /* bytes of a name of one */
#define SCALES_MOST       200u
#define SCALES_A_DIM      4u   /* that one dimension may have */
#define SCALES_NOWHERE    (-1) /* a dimension that is none of the input's */
#define SCALES_ONE_VALUE  (-2) /* none at all: a scalar */
#define SCALES_NAMERS     4u   /* attributes that name companions */

/* The scales of a dimension, by their numbers. */
struct scale_list {
    unsigned count;
    unsigned char scale[SCALES_A_DIM];
};

/* A data set that references to are stored in a scale. */
struct scale_user {
    hobj_ref_t dataset;
    int dimension;
};

struct scale {
    char name[SCALE_NAME];
    char path[PATH_MAX];      /* in the input; "" for a dimension that has only a name */
    int input_dimension;      /* or SCALES_NOWHERE */
    bool is_beside_marks;     /* which have no other group than results that are several */
    const struct scale *twin; /* of a dimension of the marks: that of the results; or NULL */
    bool is_reused;           /* the file has it already, or needs none */
    /* Bounds, as CF has them: no scale, but a data set beside one, which names it in its attribute `bounds`; of as
     * many rows, in each of which are `width` numbers, along a dimension that has only a name. */
    struct scale *bounds_of; /* the scale; or NULL: it is one itself */
    struct scale *vertices;  /* that dimension */
    hsize_t width;           /* 1 for a scale */
    hsize_t extent[1];
    /* A companion is no scale either: attributes of the data set name it, as CF has them, such as a grid mapping, areas
     * of cells, or coordinates of two dimensions. Each of its dimensions is one that results share; `width` is the
     * product of those behind the first. */
    bool is_companion;
    unsigned rank;
    hsize_t all_extents[GRID_MAX_RANK];
    struct scale_list of[GRID_MAX_RANK];
    hid_t type;   /* of its values in memory and in the output; -1 without any */
    void *values; /* those of the chosen rows */
    void *all;    /* those that were read, of all rows */
    hsize_t read; /* how many elements that are */
    struct attribute_values attributes;
    hid_t made; /* the data set, while the output is laid out; -1 */
    struct scale_user *users;
    unsigned user_count;
};

struct scales {
    unsigned count;
    struct scale scale[SCALES_MOST];
    struct scale_list field[RESULT_MOST_FIELDS][GRID_MAX_RANK];
    struct scale_list marks;
    int input_rank;
    char *names
        [SCALES_NAMERS]; /* what the attributes say that name companions, in the order of scales_namers; or NULL */
    struct attribute_values of_dataset, of_file; /* for the results, and for the group / */
    uint64_t size;                               /* of all values, in bytes */
};

struct output;

extern const char *const scales_namers[SCALES_NAMERS];

/* Reads what the results of a map share with its input, if that has scales, else leaves output->scales NULL; and what
 * MPM_KEEP_ATTRIBUTES is about. What cannot be taken over is told, and left out. MPM_ENOMEM; MPM_EIO if one of several
 * files has changed. */
int scales_find(const mpm_dataset_map *map, struct input *input, struct output *output);
/* Reads all that scales_find() might read of an input, and all attributes of its data set and file, and forgets them.
 * MPM_ENOMEM, MPM_EIO. */
int scales_probe(const mpm_dataset_map *map, struct input *input);
void scales_free(struct scales *scales);

/* All of these are called between hdf5_enter() and hdf5_leave(), return MPM_EIO, and do nothing without scales. Makes
 * the data sets in the group of the results, and in that of the marks. */
int scales_make(struct scales *scales, hid_t results, hid_t marks);
/* Gives a data set its scales. */
int scales_attach(struct scales *scales, hid_t dataset, const struct scale_list *dimension, unsigned rank);
/* How far the data set of a scale, its bounds or a companion goes, with so many rows; returns its rank. */
int scales_extents(const struct scale *scale, hsize_t rows, hsize_t extent[GRID_MAX_RANK]);
/* Has a result name the companions that it shares all dimensions of. */
int scales_name_companions(const struct scales *scales, hid_t dataset, const struct scale_list *dimension,
                           unsigned rank);
/* Takes the scale of that name that a group has, if it is the same. */
bool scales_reuse(struct scale *scale, hid_t place);
/* The same of a companion, once its scales are there. */
bool scales_reuse_companion(const struct scales *scales, struct scale *scale, hid_t place);
/* Says who uses a scale. */
bool scales_write_users(hid_t scale, const struct scale_user *users, unsigned count);
/* Closes what scales_make() has made, once all is attached; `status` comes first. */
int scales_end(struct scales *scales, int status);
/* The names of all that was made, for SCALES_KEPT: "/a/time /a/lat". `results` and `marks` are paths, without a slash
 * at their ends. The caller frees it; NULL without memory. */
char *scales_list(const struct scales *scales, const char *results, const char *marks);
/* Takes a data set, or whatever object, out of the lists of all of its scales. */
void scales_detach(hid_t dataset);
/* The list of a result, which the caller frees; NULL if it has none. */
char *scales_read_list(hid_t file, const char *dataset);
/* Whether a path is in such a list. */
bool scales_lists(const char *list, const char *path);
/* Properties of a group: one that netCDF may change keeps the order in which things came. Negative on failure. */
hid_t scales_group_creation(void);

#endif
