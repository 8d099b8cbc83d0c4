/* SPDX-License-Identifier: BSD-3-Clause */
/** @file dataset.h  Maps over the rows of an HDF5 data set, larger than memory if need be. */
#ifndef MPMAP_DATASET_H
#define MPMAP_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "pool.h"
#include "reduce.h"
#include "tile.h"
#include "type.h"

MPM_BEGIN

/** Tells the type and shape of a row of a data set, whose first dimension is the rows. What a row is in memory:
 * integers and floats of 8 to 64 bits are what they are, in the machine's byte order; those of odd sizes go into the
 * next larger type (f16 into f32), and long doubles into f64; booleans and enumerations are their integers; complex
 * numbers are two floats (a last dimension of 2); strings of a fixed length, opaque bytes and odd bit fields are their
 * bytes (a last dimension of u8), bit fields unsigned integers; elements that are arrays add their dimensions;
 * strings and arrays of variable length are rows by themselves, with a first extent of 0: mpm_call_item_size() tells
 * how many bytes each has. Of compounds either one field is taken, by the name "/data.field", or mpm_dataset_map.row
 * says the struct. Opens and closes the file in the calling process, and blocks meanwhile. Needs no run.
 * @param file     name of an HDF5 file
 * @param dataset  its data set, for example "/data", or a field of a compound: "/data.field"
 * @param rows     out: how many rows there are; or NULL
 * @param row      out: type and shape of one; or NULL
 * @return 0; MPM_ENOENT if there is no such file or data set, no HDF5 to load, or no filter to decompress it;
 *         MPM_ETYPE for a scalar, for compounds as a whole, several strings or arrays of variable length a row,
 *         references, and integers of more than 64 bits; MPM_EBUSY if another program has the file open for writing,
 *         unless that is SWMR writing, which allows readers; MPM_EIO; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_dataset_describe(const char *file, const char *dataset, uint64_t *rows,
                                             mpm_shape *row);

/** What happens to an output file that exists. It is replaced at the end of the map, by a file of the same mode,
 * when all else is right; and never by results of which none is good. */
enum mpm_overwrite {
    MPM_OVERWRITE_NOTHING, /**< it stays: MPM_EEXIST */
    MPM_OVERWRITE_RESULT, /**< it is replaced if it holds nothing but the results of such a map, under the same name */
    MPM_OVERWRITE_FILE, /**< it is replaced, whatever it holds */
};

/** What a map does about an unfinished output that an earlier run has left, OUTPUT_FILE.part. Two maps are the same if
 * their input (path, data set, shape, choice of rows, size, time of its last change, checksum over some of its bytes),
 * task (name, and a checksum over the file that it is in), context, and result (type, shape, data set) are. */
enum mpm_resume {
    MPM_RESUME_REFUSE, /**< it stays, and the map is refused, if it holds rows, or is not such a file: MPM_EEXIST */
    MPM_RESUME_CONTINUE, /**< only rows that are left are run, if it is of the same map; from the first row if there
                            is none. Nothing is run if the output is there and finished. */
    MPM_RESUME_FORCE, /**< the same, though the maps differ: `notice` says in what. The input's shape and the
                            result must be the same even so. */
    MPM_RESUME_RESTART, /**< it is removed, and the map starts from the first row */
};

/** What results take over from their input. */
enum mpm_keep {
    /** Where a dimension of the results is one of the input, which has dimension scales, as netCDF-4 and H5DS have
     * them: its name, and the coordinates along it with all of their attributes. */
    MPM_KEEP_COORDINATES,
    /** And the attributes of the data set and of the file, but for those that are about its own numbers, such as
     * _FillValue and scale_factor. What the map itself says goes first. */
    MPM_KEEP_ATTRIBUTES,
    MPM_KEEP_NOTHING, /**< neither */
};

/** Which rows of a data set are read; zero is all of them. Results are those of the chosen rows, in the order of the
 * choice, and counts and indexes of rows are within it. Either a range or a list. */
typedef struct mpm_row_choice {
    uint64_t first; /**< the first row of a range */
    uint64_t end;   /**< the row behind its last one; 0: behind the last row that there is */
    uint64_t step;  /**< every how many rows; 0: 1 */
    /** Or a list: row numbers in any order, also several times. It is copied to every node. NULL: a range. */
    const uint64_t *indexes;
    uint64_t index_count; /**< how many there are; at most 2^26 */
    uint64_t mask_rows;   /**< how many rows the data set must have, if the list was a mask; 0: any number */
} mpm_row_choice;

/** Whether a map goes on with rows that are added to its input. */
enum mpm_follow {
    MPM_FOLLOW_NOT,    /**< it maps the rows that are there when it begins */
    MPM_FOLLOW_WRITER, /**< it maps new rows until it is told to stop, or a SWMR writer closes the file */
    MPM_FOLLOW_ALWAYS, /**< the same, but a writer may come back */
};

/** How a map follows its input; zero: it doesn't. */
typedef struct mpm_follow_options {
    int mode;      /**< an enum mpm_follow */
    double poll_s; /**< how often it looks for new rows; 0: ten times a second */
    double
        idle_s; /**< it ends when there was no new row for so many seconds; 0: it waits as long as it takes */
    /** A data set of a single number in the input's file, "/finished", or an attribute, "/entry@finished": it ends when
     * that is there and not 0. NULL: none. */
    const char *end;
} mpm_follow_options;

/** What mpm_pool_map_dataset() does; zero is the default where one is named. */
typedef struct mpm_dataset_map {
    const char *input_file; /**< HDF5 file that holds the rows; every node must see it */
    /** Or several files: their data sets of that name are read one after the other, as if they were one. Rows of all
     * must be the same. Each process has one of them open at a time; a file that is changed while the map runs ends
     * it. NULL: one file. */
    const char *const *input_files;
    size_t input_file_count; /**< how many; then `input_file` is NULL */
    /** Its data set, for example "/data". Or several of the same length, "/images,/labels": a row of each makes a
     * struct, in this order, each aligned as C does it; the row is then u8[sizeof the struct], and `row`, if it is not
     * NULL, describes it, by names of its own. */
    const char *input_dataset;
    const char *output_file;    /**< HDF5 file to make; every node must see it */
    const char *output_dataset; /**< data set to make in it, groups included */
    const char *task_name;      /**< stored with the result; NULL: "" */
    mpm_shape
        result; /**< type and shape of one result; a first extent of 0: one of variable length, see vlen.h */
    /** Or several results of one row, and `result` is 0: a struct of named fields, "{f64 mean, u8[16,16] thumb, i32
     * count}", in their order, each aligned as C does it. The task writes the struct. In the file `output_dataset` is
     * a group, in which each field is a data set. One of variable length, "text name" or "f64[] list", is an mpm_vlen
     * in the struct. Or a description of one result, as "text". NULL: one result. */
    const char *results;
    /** Attributes of the results, a line each: "units = K", of the data set (or the group of several), or "mean.units =
     * K", of one field. They become strings. NULL: none. */
    const char *attributes;
    /** Not 0: if `output_file` exists the results go into it, and all else that it holds stays. It is copied at the end
     * of the map, when all else is right: so it is as it was until the results are in it, and the file system must have
     * room for both. If it has `output_dataset` already, that is replaced with MPM_OVERWRITE_RESULT, else MPM_EEXIST.
     * It may be the input file. */
    int into;
    int keep; /**< an enum mpm_keep */
    /** What a row leaves that fails: a number, also "nan", or with several results one for some or all of them,
     * "mean=nan, count=-1". It is the fill value of the data set as well. NULL: zeros. */
    const char *fill;
    /** How the results are stored in the end, in chunks: "gzip", "gzip:9" (a level from 1 to 9; 4), or any filter that
     * HDF5 finds, by its number and values, "filter:32015:3"; bytes of larger elements are shuffled before. All workers
     * compress what stands in OUTPUT_FILE.part, into OUTPUT_FILE.part.last, when all rows are done: so the file system
     * must have room for both. NULL: in one piece, and not compressed. */
    const char *compress;
    uint64_t compress_rows; /**< how many rows make such a chunk; 0: as many as have about 512 KiB */
    /** What a row is to be, or NULL: whatever it is. A shape, as mpm_shape_parse() reads it; a type alone stands for
     * any shape of it. A struct, "{f64 x, i32 n, u8[8] name}", for rows that are compounds: fields that the data set
     * has under these names and of these types, in the struct's own order, each aligned as C does it. It may leave
     * fields out. One of variable length, "text name" or "f64[] list", is an mpm_span in the struct. The row is then
     * u8[sizeof the struct]. */
    const char *row;
    unsigned
        axis; /**< the dimension along which rows stand: 0 is the first. A row lacks it, and has all others */
    mpm_tiling tiling;     /**< tiles instead of rows: what is said of rows is said of tiles then; 0: rows */
    mpm_row_choice choice; /**< which rows; 0: all */
    size_t block_rows;     /**< the most rows that a worker reads at once; 0: about 1 MiB of them */
    /** The most rows that the task takes in one call, which mpm_call_rows() tells it: for tasks that do better with
     * several at once, as those of matrix libraries. A call has fewer at the end, where a worker claims or reads fewer
     * (`chunk`, `block_rows`), and with `costs` or after a death one. If the task returns an error its rows are
     * run again one by one, so each must give the same result alone. Rows must have a fixed length. 0: one. */
    size_t task_rows;
    int overwrite;       /**< an enum mpm_overwrite */
    size_t chunk;        /**< rows that a worker claims at once; 0: by measured time */
    const void *context; /**< as in mpm_map_options */
    size_t context_size; /**< as in mpm_map_options */
    void (*progress)(const mpm_progress *now, void *argument); /**< as in mpm_map_options, in rows */
    void *progress_argument;                                   /**< handed to it */
    /** Not 0: the input is read as it is, even while another program writes it: what that one has not written yet
     * is read as zeros. Else it is locked while the map runs, as HDF5 does it (HDF5_USE_FILE_LOCKING goes first),
     * and every node must have the same file. */
    int without_locks;
    uint64_t
        max_failures; /**< when more rows have failed, the map ends with MPM_ECANCELED; 0: any number may */
    /** How long each row takes, in any unit, or NULL: those that take longest are begun first, so that none is left
     * over at the end when all others are done. Not a number counts as 0. The output is the same without. Rows
     * that the input stores in one chunk, and that are larger than a few KiB, stay together, longest sum first,
     * unless `chunk` is set. Rows that do not follow one another are read and written one by one, so costs do not
     * pay for rows that take less than about 0.1 ms. Main takes 24 bytes a row for it, 32 where rows stay
     * together. */
    const double *costs;
    uint64_t cost_count; /**< how many: as many as the input has rows, else MPM_EINVAL */
    int resume;          /**< an enum mpm_resume */
    int retry_failed; /**< not 0: rows that failed in an earlier run are run again, if the map goes on with it */
    /** Called in the thread that maps, before the first row, with what a user should know and is no error: that the
     * map goes on, with how many rows; each difference that MPM_RESUME_FORCE ignores; that the output is finished
     * already. The sentence is valid during the call. NULL: not called. */
    void (*notice)(const char *sentence, void *argument);
    void *notice_argument;   /**< handed to it */
    mpm_drain_options drain; /**< as in mpm_map_options */
    /** Not 0: any number of runs that share nothing but the file system work on this map together, each of which calls
     * it with the same arguments, at any time. The first makes the output, others join; each comes and goes as it
     * likes, and one of them finishes the file: all return then. Whose map differs is refused, as with
     * MPM_RESUME_CONTINUE, which this implies. Each row must give the same bytes whoever runs it. A row fails if it
     * has failed in one run, and is good in none. It goes with no other `resume`, nor with `retry_failed`, `overwrite`
     * and `max_failures`: MPM_EINVAL. */
    int join;
    double
        join_timeout_s; /**< after so many seconds without a beat of a run its rows are given to others; 0: 60 */
    /** The input grows while the map runs: by a SWMR writer, or in openings one after the other, between which the map
     * looks. OUTPUT_FILE.part grows with it: whoever opens it with SWMR and refreshes sees rows that are done. When all
     * has ended the output is made of it, with exactly the rows that there were. It ends as the options say, or when
     * there can be no more rows, and when SIGINT or SIGTERM (mpm_options.drain_at_signals) tells it to stop:
     * with 0 if all rows that it has begun are done. Any other drain leaves the part: MPM_EDRAINED, as rows may come.
     * It goes with one file, and neither tiles, another axis, a list of rows or an end of their range, costs, nor
     * `join`: MPM_EINVAL. */
    mpm_follow_options follow;
} mpm_dataset_map;

/** Does the same for the input of a map, opened as the map will open it.
 * @param map   the map: its input_file or input_files, input_dataset, row, axis, tiling, choice and
 *              without_locks
 * @param rows  out: how many rows it takes; or NULL
 * @param row   out: type and shape of one; or NULL
 * @return as mpm_dataset_describe(). */
MPM_API MPM_CHECKED int mpm_dataset_describe_input(const mpm_dataset_map *map, uint64_t *rows,
                                                   mpm_shape *row);

/** Reads the costs of rows from a data set of one number a row, of any type that a map takes, for
 * mpm_dataset_map.costs. Opens and closes the file in the calling process, and blocks while it reads. Any process
 * may call it.
 * @param file           name of an HDF5 file
 * @param dataset        its data set, for example "/data"
 * @param without_locks  not 0: as in mpm_dataset_map
 * @param costs          out: memory that the caller frees with free()
 * @param count          out: how many
 * @return 0; MPM_EINVAL for a cost that is negative or not a number: mpm_error() names its row; MPM_ETYPE for rows
 *         that are not one number each; MPM_ENOMEM; MPM_ENOENT, MPM_ETYPE, MPM_EBUSY, MPM_EIO as
 *         mpm_dataset_describe(). */
MPM_API MPM_CHECKED int mpm_dataset_read_costs(const char *file, const char *dataset, int without_locks,
                                               double **costs, uint64_t *count);

/** Reads a list of rows from a data set, for mpm_row_choice.indexes: booleans, as h5py writes them, are a mask of which
 * each true value chooses its row; other integers are row numbers. Opens and closes the file in the calling process,
 * and blocks while it reads. Any process may call it.
 * @param file           name of an HDF5 file
 * @param dataset        its data set, for example "/train"
 * @param without_locks  not 0: as in mpm_dataset_map
 * @param indexes        out: the list, which the caller frees with free() when the choice is not used any more
 * @param choice         out: the choice of the rows in that list
 * @return 0; MPM_EINVAL for a number that is negative: mpm_error() names its place; MPM_ETYPE for rows that are not one
 *         boolean or integer each; MPM_ENOMEM; MPM_ENOENT, MPM_ETYPE, MPM_EBUSY, MPM_EIO as mpm_dataset_describe(). */
MPM_API MPM_CHECKED int mpm_dataset_read_choice(const char *file, const char *dataset, int without_locks,
                                                uint64_t **indexes, mpm_row_choice *choice);

/** Does the same as mpm_dataset_read_choice() with a data set of a map's own files. Of several they are read one after
 * the other, and row numbers count the rows of all.
 * @param map      the map: its input_file or input_files, and without_locks
 * @param dataset  the data set, for example "/train"
 * @param indexes  out: the list, which the caller frees with free() when the choice is not used any more
 * @param choice   out: the choice of the rows in that list
 * @return as mpm_dataset_read_choice(). */
MPM_API MPM_CHECKED int mpm_dataset_read_input_choice(const mpm_dataset_map *map, const char *dataset,
                                                      uint64_t **indexes, mpm_row_choice *choice);

/** Does the same as mpm_dataset_read_costs() with a data set of a map's own files, one after the other.
 * @param map      the map: its input_file or input_files, and without_locks
 * @param dataset  the data set, for example "/seconds"
 * @param costs    out: memory that the caller frees with free()
 * @param count    out: how many
 * @return as mpm_dataset_read_costs(). */
MPM_API MPM_CHECKED int mpm_dataset_read_input_costs(const mpm_dataset_map *map, const char *dataset,
                                                     double **costs, uint64_t *count);

/** Chooses rows by their values, for mpm_row_choice.indexes. A condition is one comparison or several, joined by `and`:
 * "flux > 3 and /quality == 0". On the left stands a field of the rows; or `row` for rows that are numbers; or, from a
 * slash on, another data set of the same files with as many rows. Then come <, <=, >, >=, == or !=, and a number. Each
 * comparison reads what it compares once, in this process, where rows are left by those before it. Blocks while it
 * reads, and takes a byte a row. Any process may call it.
 * @param map      the map: its input_file or input_files, input_dataset, row, choice and without_locks; rows are chosen
 *                 from those of its choice
 * @param where    the condition
 * @param indexes  out: the list, which the caller frees with free() when the choice is not used any more
 * @param choice   out: the choice of the rows in that list
 * @return 0; MPM_EINVAL for a text that is no condition, another number of rows, tiles, or another axis; MPM_ETYPE for
 *         what is not one number a row; MPM_ENOMEM; MPM_ENOENT, MPM_ETYPE, MPM_EBUSY, MPM_EIO as
 *         mpm_dataset_describe(). */
MPM_API MPM_CHECKED int mpm_dataset_read_where(const mpm_dataset_map *map, const char *where,
                                               uint64_t **indexes, mpm_row_choice *choice);

/** Reads what mpm_pool_map_dataset() reads of its input itself, beside rows, and forgets it: the
 * coordinates and attributes that results may take over (`keep`), and attributes that parameters may name. If a damaged
 * file, or a filter, crashes HDF5 in it, that costs the process that has called this, so a program that maps files of
 * strangers lets a process of its own try it first. Blocks while it reads. Any process may call it.
 * @param map  the map: its input_file or input_files, input_dataset, row, axis, tiling, without_locks, follow and keep
 * @return 0, also where there is nothing to read; MPM_ENOMEM; as mpm_dataset_describe_input(). */
MPM_API MPM_CHECKED int mpm_dataset_probe(const mpm_dataset_map *map);

/** The data sets that virtual ones of an input have their values from. */
typedef struct mpm_dataset_sources {
    uint64_t count;   /**< how many they name; 0: the input is not virtual */
    uint64_t missing; /**< how many of them cannot be opened: their rows read as the fill value */
    char first[512];  /**< what is wrong with the first of these, in a sentence; "" */
} mpm_dataset_sources;

/** Looks which sources of virtual data sets of an input are missing: HDF5 reads the fill value where one is, and says
 * nothing. Sources that are virtual themselves are looked into; those of which the names have numbers (%b) are not, as
 * such a data set ends where they do. Opens every source once, and blocks meanwhile. Any process may call it.
 * @param map      the map: as mpm_dataset_describe_input()
 * @param sources  out
 * @return 0, also if some are missing; as mpm_dataset_describe_input(). */
MPM_API MPM_CHECKED int mpm_dataset_find_sources(const mpm_dataset_map *map, mpm_dataset_sources *sources);

/** Puts the parameters of a task together, for mpm_dataset_map.context or mpm_reduction.context: a struct, in which each is
 * aligned as C does it. A value is as many numbers as the parameter has, with blanks between; of u8[N] it is a text of
 * less than N bytes, with null bytes behind it. "@scale" is the attribute `scale` of the input data set, and "@/scale"
 * that of its file; of several files the first one counts. Opens and closes the file only where an attribute is wanted,
 * and blocks meanwhile. Any process may call it.
 * @param map          the map: its input_file or input_files, and input_dataset
 * @param description  what there is, with values for those that need none: "{f64 sigma = 1.5, i32 order = @order}"
 * @param settings     what is set: "sigma=2", "order=@order"; the last one of a name counts
 * @param count        how many settings there are
 * @param values       out: the struct, which the caller frees with free()
 * @param size         out: its size in bytes
 * @return 0; MPM_EINVAL for a description or a setting that is none, and a parameter that has no value; MPM_ENOENT
 *         without such an attribute; MPM_ETYPE if it is not what the parameter is; MPM_ENOMEM; MPM_ENOENT, MPM_EIO as
 *         mpm_dataset_describe(). */
MPM_API MPM_CHECKED int mpm_dataset_read_parameters(const mpm_dataset_map *map, const char *description,
                                                    const char *const *settings, size_t count, void **values,
                                                    size_t *size);

/** Runs a task over the rows of a data set. The results go into a new data set of [rows, extents of a result…].
 * Items are rows in the machine's own byte order, C order. A row that fails, or cannot be read, leaves zeros, or
 * `map->fill`. The data set `OUTPUT_DATASET.done` beside it marks each row (u8: 0 not done, 1 good, 2 failed), and the
 * group `OUTPUT_DATASET.failed` lists those that failed: row, cause, code, attempts, text. Before the first row
 * is run anywhere, every node opens both files and checks that they are those that main has; a node that takes
 * longer for it than eight times MPMAP_NODE_TIMEOUT ends the map. Blocks until every row is done. The pool's
 * driver only.
 *
 * The file is made as OUTPUT_FILE.part. If the map ends early, by an error or because the run is killed at any
 * instant, the rows that are done stay there; `map->resume` goes on with them. Main takes 8 bytes for each row that is
 * left then, and reads all results that are there. However it ends, no worker of any node writes into the files when it
 * returns.
 * @param pool  the pool
 * @param task  the function to run
 * @param map   what to map, and where to
 * @return 0; MPM_ETASK if rows failed, as mpm_pool_map(), in this run or an earlier one: the file is complete
 *         otherwise, unless it was to replace another one and no row is good. MPM_EDRAINED if it was
 *         drained: the sentence says how many rows are good, and in which file. MPM_ECANCELED after more than
 *         max_failures. MPM_EEXIST if the output exists and may not be overwritten, is a link, or another run is
 *         making it, or if there is a part and `map->resume` does not go on with it: mpm_error() says why, with
 *         what was and what is; MPM_ENOENT, MPM_ETYPE,
 *         MPM_EBUSY as mpm_dataset_describe(); MPM_EIO, also when the disk is full, or a node sees another input
 *         or output, or cannot open them in time; MPM_ENODELOST: the sentence says how many rows are good, and in
 *         which file; what mpm_pool_map() returns. */
MPM_API MPM_CHECKED int mpm_pool_map_dataset(mpm_pool *pool, mpm_task *task, const mpm_dataset_map *map);

/** Tells a task of mpm_pool_map_dataset() where the row stands that it works on: of several files in which, and of some
 * of the rows (mpm_row_choice) which. Does not block.
 * @param call  the call that the task was given
 * @param file  out: the path of the file, valid until the task returns; or NULL
 * @param row   out: the row's number in that file's data set; or NULL
 * @return 0; MPM_ESTATE if the call is not of such a map; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_call_source(const mpm_call *call, const char **file, uint64_t *row);

/** Rows that are read; zero is the default where one is named. */
typedef struct mpm_dataset_rows {
    const char *input_file;         /**< HDF5 file that holds the rows; every node must see it */
    const char *const *input_files; /**< or several files, as in mpm_dataset_map */
    size_t input_file_count;        /**< how many; then `input_file` is NULL */
    const char *input_dataset;      /**< its data set, or several, as in mpm_dataset_map */
    const char *row;                /**< what a row is to be: as in mpm_dataset_map */
    unsigned axis;                  /**< as in mpm_dataset_map */
    mpm_tiling tiling;              /**< as in mpm_dataset_map; `stitch` means nothing */
    mpm_row_choice choice;          /**< which rows; 0: all */
    size_t block_rows;              /**< about how many rows a worker reads at once; 0: about 1 MiB of them */
    int without_locks;              /**< as in mpm_dataset_map */
} mpm_dataset_rows;

/** Reduces the rows of a data set to one state, as mpm_pool_reduce() does with items in memory: with the same bits for
 * the same rows. Items are rows in the machine's own byte order, C order. A row that cannot be read fails. Files stay
 * as they are. Blocks until all is done. The pool's driver only.
 * @param pool       the pool
 * @param reduction  what to do; its `item_size` is 0, or the bytes of a row
 * @param rows       which rows
 * @param state      out: `state_size` bytes
 * @return 0; MPM_ETASK if rows failed; MPM_ETYPE also if `item_size` is not that of a row; MPM_ENOENT, MPM_ETYPE,
 *         MPM_EBUSY as mpm_dataset_describe(); MPM_EIO, also when a node sees another input; what mpm_pool_reduce()
 *         returns. */
MPM_API MPM_CHECKED int mpm_pool_reduce_dataset(mpm_pool *pool, const mpm_reduction *reduction,
                                                const mpm_dataset_rows *rows, void *state);

/** Values for a data set. */
typedef struct mpm_dataset_values {
    const char *output_file;    /**< HDF5 file to make */
    const char *output_dataset; /**< data set to make in it, groups included */
    mpm_shape shape;            /**< type and shape of all of it; without dimensions it is a scalar */
    const void *values;         /**< in the machine's own byte order, C order */
    int overwrite;              /**< not 0: a file that exists is replaced, whatever it holds */
} mpm_dataset_values;

/** Makes a file with one data set. It is made as OUTPUT_FILE.part, and gets its name when it is complete. Blocks. Any
 * process may call it, with or without a run.
 * @param values  which values, and where to
 * @return 0; MPM_EEXIST if the file exists and may not be overwritten, or OUTPUT_FILE.part exists; MPM_ENOENT if there
 *         is no HDF5 to load; MPM_EIO; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_dataset_write(const mpm_dataset_values *values);

/** How far a map over a data set is: see mpm_map_status(). */
typedef struct mpm_map_state {
    uint64_t rows;   /**< of the input */
    uint64_t good;   /**< rows that are done, and have not failed */
    uint64_t failed; /**< rows that are done, and have failed */
    uint64_t left;   /**< rows that are not done */
    int is_complete; /**< 1: the output has its name, and `left` is 0; 0: it is still a part */
    int is_running;  /**< 1: a run is working on it now; 0: none is, or the file system has no locks */
    unsigned
        run_count;     /**< runs that have joined (mpm_dataset_map.join) and have beaten in the last minute */
    uint64_t claimed;  /**< rows that runs have claimed: at work, for the most part */
    double rows_per_s; /**< of these runs together, since each has joined; 0: not known */
} mpm_map_state;

/** Tells how far a map over a data set is, from its files. It changes nothing, waits for nobody and disturbs no run.
 * Any process may call it, on any machine that sees the files, with or without a run; blocks while it reads a byte a
 * row. If there are an unfinished and a finished output, it tells of the unfinished one.
 * @param output_file  as in mpm_dataset_map
 * @param state        out
 * @return 0; MPM_ENOENT if there is neither OUTPUT_FILE.part nor OUTPUT_FILE; MPM_ETYPE if it is not the output of a
 *         map, or a damaged one: mpm_error() says what is wrong; MPM_EIO; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_map_status(const char *output_file, mpm_map_state *state);

/** A run that has joined a map: see mpm_map_runs(). */
typedef struct mpm_map_run {
    char host[64];    /**< where its main is */
    long pid;         /**< of its main */
    uint64_t done;    /**< rows that it has done since it joined, and have not failed */
    uint64_t failed;  /**< rows that have failed in it */
    uint64_t claimed; /**< rows that it has claimed */
    double joined_s;  /**< seconds from its joining to its last beat */
    /** Seconds since its last beat, by the clocks of this machine and of the file system, which may differ. One that is
     * silent for long is dead or stopped: its rows are taken over. */
    double silent_s;
} mpm_map_run;

/** Lists the runs that have joined a map, from its files. It changes nothing, waits for nobody and disturbs no run. Any
 * process may call it, on any machine that sees the files, with or without a run; blocks while it reads them.
 * @param output_file  as in mpm_dataset_map
 * @param runs         out: an array that the caller frees with free(), the busiest first; NULL if there are none
 * @param count        out: how many
 * @return 0, also if the map is complete, or no run has joined it; MPM_ENOENT if there is neither OUTPUT_FILE.part nor
 *         OUTPUT_FILE; MPM_ETYPE if the part is not that of a map; MPM_EIO; MPM_ENOMEM; MPM_EINVAL. */
MPM_API MPM_CHECKED int mpm_map_runs(const char *output_file, mpm_map_run **runs, size_t *count);

/** Tells the HDF5 library in use. HDF5 is loaded when it is first needed, by this call as well. Needs no run.
 * @return a constant: "major.minor.patch"; "none" if it cannot be loaded: mpm_error() says why. */
MPM_API const char *mpm_hdf5_version(void);

MPM_END

#endif
