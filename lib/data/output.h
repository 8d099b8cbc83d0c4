/* SPDX-License-Identifier: BSD-3-Clause */
/* The HDF5 file that a map over a data set makes. For data/ only.
 *
 * It is made whole beside its final name, as OUTPUT.part: the result data set and its `.done` data set (one
 * mark a row) are contiguous and have their place on the disk before the first row is worked on. From then
 * on nobody uses HDF5 on it: results and marks are written at their offsets in the file, so that no metadata
 * is ever in flight, and what a killed run leaves is a readable file. Main holds a lock on the file: two runs never
 * write the same one. part.h says how everybody is sure to write into the same file. Once a row is good, the part is
 * never removed but by a run that is asked to start over.
 *
 * What is on the disk, in this order, and what a run finds that comes after one that was killed there:
 *   1. OUTPUT.part.new, empty, then with its layout and its record: no row is in it. It is made once more.
 *   2. It is flushed to the disk, and renamed to OUTPUT.part. Rows begin. So each OUTPUT.part has a whole record, after
 *      a loss of power, too.
 *   3. A worker writes the results of some rows, then a checksum of results and marks, then the marks. A row whose mark
 *      is missing, or that is in no block whose checksum is right, is run again. So the order in which these writes
 *      come to the disk does not matter: a file system may reorder them, and a node or a server may lose some.
 *   4. All rows have a mark: the file is flushed to the disk, then renamed to OUTPUT. That has all results now, and the
 *      checksums and the record behind them, which no reader looks at.
 *      Where there is a last pass (output_last.c) another file is made of it then, which becomes OUTPUT.
 *   5. Those are cut off. A run that finds them at the end of OUTPUT (mpm_dataset_map.resume) cuts them off.
 * A run that goes on with a part only gives it a new token, of 32 bytes in one write, which no checksum counts, and
 * takes marks back of rows that it will run again. */
#ifndef DATA_OUTPUT_H
#define DATA_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/failed_log.h"
#include "data/grid.h"
#include "data/input.h"
#include "data/marks.h"
#include "data/packing.h"
#include "data/part_record.h"
#include "data/result.h"
#include "data/scales.h"
#include "mpmap/dataset.h"
#include "data/values.h"
#include "node/function.h"

#define OUTPUT_ATTRIBUTE  "mpmap_result" /* of the group /: the name of the result's data set */
#define FAILED_LOG_PREFIX "failed."      /* of the logs of runs that have joined, in the folder of claims */

struct live_file; /* output_live.c */

struct output {
    const char *name;    /* as the caller of the map calls the file */
    const char *dataset; /* the result's name in it: of a data set, or of a group if it is a struct */
    struct result result;
    const char *attributes; /* of the result, as mpm_dataset_map has them; or NULL */
    unsigned char *fill;    /* what a row that has failed leaves: as long as a result */
    bool has_fill;          /* it is not just zeros */
    struct packing packing; /* how results are stored in the end */
    struct scales *scales;  /* that they share with the input; NULL: none */
    struct failed_log log;
    mpm_pool *pool;             /* for the last pass (output_last.h) */
    char path[PATH_MAX];        /* absolute */
    char part[PATH_MAX];        /* the file while rows are worked on */
    char next[PATH_MAX];        /* and before that */
    char last[PATH_MAX];        /* and behind that, if there is a last pass */
    int overwrite;              /* an enum mpm_overwrite */
    bool wants_into, is_into;   /* results go into the old file, beside all else */
    bool is_into_input;         /* the old file is the input */
    bool replaces;              /* there is an old file of that name, */
    int old_fd;                 /* of it, while results go into a copy; -1 */
    struct stat old;            /* which is this */
    char values[PATH_MAX];      /* the folder of values, if results have a variable length (values.h) */
    char claims[PATH_MAX];      /* the folder of claims, and in it */
    char checks_path[PATH_MAX]; /* the file of checks (join_checks.h), if `joins` */
    bool joins;                 /* with other runs */
    int fd;                     /* of the part: locked; -1 if there is none */
    int checks;                 /* of the file of checks; -1 if there is none */
    struct part_record record;  /* what the map is, and where in the file everything stands */
    struct grid grid;           /* of its results */
    struct live_file *live;     /* of a live part that is open; or NULL */
    int resume;                 /* an enum mpm_resume */
    bool retry_failed;
    bool is_finished;      /* the file has its name already, and there is nothing to do */
    bool is_redone;        /* it has its name, and its good rows are taken into the part */
    uint64_t good, failed; /* rows that are not run */
    uint64_t *left;        /* the others, in rising order; NULL: all */
    uint64_t left_count;
    void (*notice)(const char *sentence, void *argument); /* or NULL */
    void *notice_argument;
};

/* Finds out whether the output can be made where the map wants it, and makes nothing.
 * MPM_EINVAL, MPM_EEXIST, MPM_ENOENT, MPM_EIO. */
int output_plan(const mpm_dataset_map *map, const struct input *input, const struct function *task,
                struct output *output);
/* Takes over the part that is there, if it may be, else makes one, with room for all results. On failure none is open,
 * and one that was there is as it was. MPM_EEXIST if another run is making it, or what is there may not be taken;
 * MPM_EIO, MPM_ENOMEM. */
int output_begin(struct output *output);
/* MPM_EEXIST for a part that is none, and what it says of one that is not of this map: 0 if it is, or if that is
 * ignored. */
int output_is_no_part(const struct output *output, const char *why);
int output_check_origin(const struct output *output, const struct part_record *found);
/* Names the folder of claims of the part with that record; removes all that such runs have left. */
void output_claims_path(const char *part, const struct part_token *token, char claims[PATH_MAX]);
void output_name_claims(struct output *output);
void output_remove_claims(const struct output *output);
/* Names the folder of values of the part with that record; makes a new one. MPM_EIO. */
void output_name_values(struct output *output);
int output_make_values(struct output *output);
/* Has HDF5 make all data sets in a part that is open and empty, and notes where they stand. MPM_EIO. */
int output_lay_out(struct output *output);
/* Writes the layout and the record of a part that is open and empty. MPM_EIO. */
int output_fill(struct output *output);
/* Gets every block of the disk that results and marks need. MPM_EIO. */
int output_get_room(const struct output *output);
/* A live part, of a map whose input grows (output_live.c). How many rows it has places for, of an input that never has
 * more than `most`. MPM_EINVAL if a result is too large. */
int output_live_plan(struct output *output, uint64_t most);
/* Has HDF5 make its data sets, which are noted as of output_lay_out(), and copied into the part by the next call.
 * MPM_EIO, MPM_ENOMEM. */
int output_live_begin(struct output *output);
/* The same of a part that a run has left. What the record says is to be put back. */
int output_live_go_on(struct output *output, const struct part_record *found);
/* Shows its first rows to readers. MPM_EIO. */
int output_live_show(const struct output *output, uint64_t rows);
/* Lets it be as it is: readers open it as a file that nobody writes. */
void output_live_close(struct output *output);
/* The same, and frees what it has in memory. */
void output_live_end(struct output *output);
/* Gets room for some of its rows. MPM_EIO. */
int output_get_room_of(const struct output *output, uint64_t first, uint64_t count);
/* Makes the names in its folder last; cuts off what the finished file needs no more. */
void output_flush_folder(const struct output *output);
void output_cut_off_record(const struct output *output);
/* Makes one where none is. */
int output_make(struct output *output);
/* Finds the rows that are left in the open part, and takes back the marks of those. MPM_EIO, MPM_ENOMEM. */
int output_find_left(struct output *output);
/* Whether a file is the finished output of this very map, for a run that resumes. `difference` says otherwise. 0, or
 * MPM_EIO. */
int output_compare_finished(struct output *output, bool *is_same, char *difference, size_t size);
/* Copies the good rows of the finished output into the new part. MPM_EIO. */
int output_copy_finished(const struct output *output, int to);
/* Tells the caller of the map a sentence that is no error. */
void output_tell(const struct output *output, const char *format, ...) MPM_FORMAT(2, 3);
/* Writes down what the map is. MPM_EINVAL. */
int output_describe_origin(struct output *output, const mpm_dataset_map *map, const struct input *input,
                           const struct function *task);
/* What a row that has failed leaves, as long as a result: zeros, or the fill value. NULL without memory. */
const void *output_failed_result(struct output *output);
/* Frees what the plan has allocated. */
void output_end(struct output *output);
/* Marks a row as failed, and its result as the fill value, whatever a worker has written. MPM_EIO. */
int output_fail_row(struct output *output, uint64_t row);
/* Takes note of a row that has failed, and why. */
void output_note_failure(struct output *output, const mpm_failure *failure);
/* Removes a part that a run has left which was killed when it had made the output of it. */
void output_tidy(const struct output *output);
/* Checks that every row has been written, and gives the file its name, or makes a new one of it, if there is a last
 * pass. `map_status` is what the map has come to: 0, or
 * MPM_ETASK with its sentence, which stays. MPM_ETASK as well if rows have failed in an earlier run. Then no file of
 * which some rows were good is replaced by one in which none is. When it fails: as output_keep(), MPM_EIO, or
 * MPM_EEXIST if the name has been taken meanwhile. */
int output_finish(struct output *output, int map_status);
/* Leaves the part where it is, with a sentence behind that of `status` on where it is and how many rows are good; if
 * none is, it is removed. Returns `status`. */
int output_keep(struct output *output, int status);

#endif
