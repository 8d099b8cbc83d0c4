/* SPDX-License-Identifier: BSD-3-Clause */
/* An HDF5 data set that rows are read from, one process at a time: main looks at it, and each worker opens
 * it for itself. For data/ only. */
#ifndef DATA_INPUT_H
#define DATA_INPUT_H

#include <hdf5.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/element.h"
#include "data/tiles.h"
#include "mpmap/dataset.h"
#include "mpmap/type.h"

/* What tells one file from another of the same name: of the file that the data set stands in. */
struct input_stamp {
    uint64_t size;
    int64_t time_s; /* of its last change */
    uint64_t sum;   /* over some of its bytes, and over some values if they stand in other files */
};

/* A shared lock of the file keeps others from opening it for writing. */
enum input_locking {
    INPUT_HOLDS_LOCK, /* as long as it is open; not at all where the file system has no locks */
    INPUT_TRIES_LOCK, /* when it is opened: another process holds it */
    INPUT_HAS_NONE,   /* its reader does not mind if it changes */
};

/* One of several files, as main has it. */
struct input_file {
    uint64_t first, rows;                     /* of all rows, those that are its own */
    size_t name;                              /* where behind the start of the table it stands */
    uint64_t extent[MPM_MAX_TILE_DIMENSIONS]; /* of its data set, where that is cut into tiles */
    bool may_change;
    struct input_stamp stamp;
};

/* The table of several files, as plain bytes. Their names stand behind it, absolute. */
struct input_files {
    size_t size; /* of all of it, in bytes */
    uint64_t count;
    unsigned node; /* of the process that has made it */
    struct input_file file[];
};

/* What is to be read: one file, several by their names, or several that main has looked at. */
struct input_source {
    const char *file_name;
    const char *const *names;
    size_t name_count; /* 0: one file */
    const struct input_files *files;
    const char *dataset_name; /* "/data", or a field of a compound: "/data.x"; or several: "/a,/b" */
    const char *row;          /* what a row is to be: mpm_dataset_map.row; NULL: whatever it is */
    struct cut cut;           /* into what: what is called rows may be tiles */
    mpm_row_choice choice;    /* which rows; its list is the caller's until input_close() */
    enum input_locking locking;
    bool follows; /* the data set grows: there may be no rows of the choice yet, and its range has no end */
    mpm_dataset_sources *sources; /* to be counted, of all that is opened; or NULL */
};

struct variable; /* input_variable.c */
struct zip;      /* input_zip.c */
struct view;     /* input_view.c */
struct chunks;   /* chunks.h */

/* A row of variable length in memory. What has no elements stands somewhere even so. */
struct item {
    const void *at;
    size_t size;
};

/* An open data set. The names are the caller's, who keeps them until input_close(). */
struct input {
    const char *file_name;
    const char *dataset_name;
    const char *wanted; /* row of the source */
    const char *field;  /* the end of the name, if that is a field; else NULL */
    hid_t file;
    int fd;          /* HDF5's of it, or -1 */
    uint64_t length; /* of the file when it was opened */
    hid_t dataset;
    hid_t memory;       /* the type of an element in memory */
    size_t stored_size; /* and its size in the file */
    unsigned rank;      /* dimensions of a row in the file: elements that are arrays have more */
    hsize_t extent[MPM_MAX_DIMENSIONS + 1]; /* of the data set in the file, rank + 1 of them */
    struct cut cut;
    struct tiles tiles;    /* if rows are none of the file's: then what is called a row is one of these */
    mpm_row_choice choice; /* a range has its end and its step */
    uint64_t file_rows;    /* all that there are */
    uint64_t rows;         /* those that are chosen: what is below counts them */
    mpm_shape row;
    /* Rows that are stored, and compressed, together; 1 if the layout is not chunked, or rows or several files are
     * chosen. */
    uint64_t chunk_rows;
    uint64_t band_rows; /* about as many rows of those that are chosen are stored together */
    enum input_locking locking;
    bool follows;                       /* of the source */
    mpm_dataset_sources *sources;       /* the same */
    uint64_t most_rows;                 /* of the file: it can never have more; UINT64_MAX: no limit */
    struct variable_type variable_type; /* if rows have a variable length: then their first extent is 0 */
    struct span_fields spans;           /* if they are structs with fields of variable length */
    struct zip *zip;           /* of several data sets side by side; nothing else is open then; or NULL */
    struct variable *variable; /* what such rows are read with, once some are; or NULL */
    struct chunks *chunks;     /* if they are decompressed here; or NULL */
    struct view *view;         /* what rows are seen through that are not copied, once some are; or NULL */
    bool has_no_view;          /* rows of this data set must be copied */
    bool has_swmr_writer;      /* which may add rows */
    bool grows_elsewhere;      /* rows come in other files, as it is virtual, and `follows` */
    mpm_type taken;            /* what input_take() wants; MPM_NO_TYPE: what the file has */
    bool is_enumeration;       /* as booleans are */
    struct input_stamp stamp;  /* if it can neither change nor grow */
    const struct input_files *files; /* if there are several; one of them is open at a time */
    struct input_files *own_files;   /* the same, if input_close() is to free it */
    uint64_t open_file;              /* which one is open */
    bool is_lost; /* one of them cannot be opened any more, or is another one: mpm_error() says so */
};

/* What a process has opened, as plain bytes for another one. */
struct input_identity {
    uint64_t file_rows;
    mpm_shape row;
    bool may_change; /* or grow */
    unsigned node;   /* of the process */
    struct input_stamp stamp;
};

struct input_source input_source_of(const mpm_dataset_map *map);
/* The same files, with another data set, and all of its rows. */
struct input_source input_source_beside(const mpm_dataset_map *map, const char *dataset);
/* Opens it for reading, with a lock, as HDF5 does and as long as HDF5_USE_FILE_LOCKING does not say otherwise. A file
 * that has a SWMR writer is read beside it, and without a lock. On failure nothing is open: MPM_ENOENT, MPM_ETYPE,
 * MPM_EIO; MPM_EBUSY if another program writes it. */
int input_open(const struct input_source *source, struct input *input);
/* From now on numbers are read as that type, whatever the file has. Rows must be single elements. */
void input_take(struct input *input, mpm_type type);
/* The path by which every process opens it: absolute, and through the same links, since what the file links to stands
 * beside the name by which it was opened. Returns `path`, or the name if there is no such path. */
const char *input_path(const char *file_name, char path[PATH_MAX]);
/* The file in which a row of all files stands, by the name that it is opened by, and the first of all rows that is its
 * own. */
const char *input_locate(const struct input *input, uint64_t row, uint64_t *first);
/* Where a tile of all stands. */
void input_locate_tile(const struct input *input, uint64_t row, mpm_tile *tile);
/* How many of `count` chosen rows from `first` on follow one another in the file, at equal steps; at least 1. They are
 * `start`, start + step … there. */
size_t input_find_run(const struct input *input, uint64_t first, size_t count, uint64_t *start,
                      uint64_t *step);
/* The paths of all files of an input, in few words. */
void input_describe_files(const struct input *input, char text[2 * PATH_MAX + 64]);
void input_identify(const struct input *input, struct input_identity *identity);
/* Which rows are chosen, or tiles, as a text; "" for all rows. */
char *input_describe_choice(const struct input *input, char *text, size_t size);
/* Its stamp as texts; the same words for each input that may change, whose stamp says nothing. */
void input_describe_stamp(const struct input *input, char size[32], char changed[32], char sum[32]);
/* Whether this process has opened what another one has. Of an input that may change or grow there may be more rows.
 * MPM_EIO with both nodes, and with what each has. */
int input_check_same(const struct input *input, const struct input_identity *other);
/* How many rows there can ever be, chosen ones; UINT64_MAX: no limit. */
uint64_t input_most_rows(const struct input *input);
/* Whether rows have a variable length, or fields of one: then they are read by input_read_variable(). */
bool input_is_variable(const struct input *input);
/* The bytes of a row in memory: those of a struct item if it is variable. */
size_t input_row_size(const struct input *input);
/* Reads rows [first, first + count), of a fixed size, into `rows`, in this machine's own types, C order. MPM_EIO. */
int input_read(struct input *input, uint64_t first, size_t count, void *rows);
/* The same rows without a copy, where the kernel has the file in memory: NULL if that cannot be, and they are to be
 * read. They stay until this is called again, or input_close(). */
const void *input_view(struct input *input, uint64_t first, size_t count);
/* Reads some of the `*count` chosen rows from `first` on, which are variable, at least one: as many as fit into memory
 * together, which `*count` becomes. They stay where they are until the next are read, or input_close(). When it fails,
 * `*count` rows were tried. MPM_EIO, MPM_ENOMEM. */
int input_read_variable(struct input *input, uint64_t first, size_t *count, struct item *items);
void input_close(struct input *input);

#endif
