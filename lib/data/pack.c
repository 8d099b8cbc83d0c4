/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker compresses a chunk as HDF5 would: by libdeflate, if that is there and the filter is gzip; else by HDF5
 * itself, whatever the filter is, in a file in its own memory that has nothing but one chunk, out of which it takes
 * the bytes that HDF5 would have put into a file. Main puts these into the output. Chunks are written once, in the
 * order in which they are ready; who dies, worker or main, leaves a file that nobody looks at (output_last.c). */
#include "data/pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "data/hdf5_call.h"
#include "data/pipeline.h"
#include "mpmap/handle.h"
#include "mpmap/stream.h"

#define AHEAD_EACH 4 /* chunks a worker that may be ready before main has written them */

/* The context of the stream. The path of the part stands behind it. */
struct pack_job {
    uint64_t token_at;
    struct part_token token;
    unsigned index;
    struct grid grid;
    struct grid_chunks chunks;
    uint64_t at; /* of the first row in the part */
    struct packing packing;
    struct result_field field;
    unsigned char fill[sizeof(uint64_t)]; /* an element: of rows behind the last one */
};

/* A result. */
struct packed {
    uint64_t size;
    uint32_t mask; /* of filters that were left out: H5Dwrite_chunk() */
    unsigned char bytes[];
};

/* ---- In a worker ---- */

static struct {
    bool open;
    struct part_token token;
    unsigned index;
    int part;
    hid_t file, dataset;
    bool has_pipeline; /* filters that are applied here, and not by HDF5 */
    struct pipeline pipeline;
    unsigned char *rows, *spare;
} packer = {.part = -1, .file = -1, .dataset = -1};

static size_t chunk_size(const struct pack_job *job)
{
    return (size_t)(job->chunks.results * job->field.size);
}

/* Filters may make it a little larger. */
static size_t most_packed(const struct pack_job *job)
{
    return chunk_size(job) + chunk_size(job) / 8 + 4096;
}

/* If gzip makes more, HDF5 leaves it out. */
static size_t most_gzipped(const struct pack_job *job)
{
    return chunk_size(job) + chunk_size(job) / 1000 + 12;
}

static void close_packer(void)
{
    if (packer.dataset >= 0)
        hdf5.H5Dclose(packer.dataset);
    if (packer.file >= 0)
        hdf5.H5Fclose(packer.file);
    if (packer.part >= 0)
        close(packer.part);
    free(packer.rows);
    free(packer.spare);
    packer.open = packer.has_pipeline = false;
    packer.rows = packer.spare = NULL;
    packer.part = -1;
    packer.file = packer.dataset = -1;
}

/* In memory only. */
static hid_t make_file(const struct pack_job *job)
{
    hid_t access = hdf5.H5Pcreate(*hdf5.H5P_CLS_FILE_ACCESS_ID_g), file = -1;

    if (access >= 0 && hdf5.H5Pset_fapl_core(access, chunk_size(job) + ((size_t)64 << 10), 0) >= 0)
        file = hdf5.H5Fcreate("mpmap", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0)
        hdf5.H5Pclose(access);
    return file;
}

/* HDF5 has put into the properties what its filters want to know. */
static void take_pipeline(const struct pack_job *job, hid_t dataset)
{
    hid_t creation = hdf5.H5Dget_create_plist(dataset);

    if (creation < 0)
        return;
    packer.has_pipeline = pipeline_take(creation, chunk_size(job), &packer.pipeline) &&
                          (packer.spare = malloc(chunk_size(job)));
    hdf5.H5Pclose(creation);
}

static hid_t make_chunk(const struct pack_job *job, hid_t file)
{
    const struct grid_chunks *chunks = &job->chunks;
    mpm_type type = job->field.shape.type;
    hid_t creation = packing_creation(&job->packing, type, chunks->rank, chunks->extent);
    hid_t space = hdf5.H5Screate_simple(chunks->rank, chunks->extent, NULL), dataset = -1;

    if (file >= 0 && creation >= 0 && space >= 0)
        dataset = hdf5.H5Dcreate2(file, "chunk", hdf5_native_type(type), space, H5P_DEFAULT, creation,
                                  H5P_DEFAULT);
    if (dataset >= 0)
        take_pipeline(job, dataset);
    if (space >= 0)
        hdf5.H5Sclose(space);
    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return dataset;
}

static int open_packer(const struct pack_job *job)
{
    int status = part_open((const char *)(job + 1), job->token_at, &job->token, &packer.part);

    if (status)
        return status;
    packer.open = true;
    packer.token = job->token;
    packer.index = job->index;
    packer.file = make_file(job);
    packer.dataset = make_chunk(job, packer.file);
    if (packer.dataset < 0)
        status = hdf5_error_set(MPM_EIO, "cannot make a chunk of %zu bytes", chunk_size(job));
    else if (!(packer.rows = malloc(chunk_size(job))))
        status = error_set(MPM_ENOMEM, "no memory for a chunk of %zu bytes: choose fewer rows",
                           chunk_size(job));
    return status;
}

static int prepare(const struct pack_job *job)
{
    int status;

    if (packer.open && packer.index == job->index && !memcmp(&packer.token, &job->token, sizeof packer.token))
        return 0;
    close_packer();
    if ((status = open_packer(job)))
        close_packer();
    return status;
}

/* The results of a chunk; behind the last one the fill value. */
static bool read_rows(const struct pack_job *job, uint64_t number)
{
    hsize_t unused[GRID_MAX_RANK];
    uint64_t first, count;
    size_t size, element = mpm_type_size(job->field.shape.type);

    grid_find_chunk(&job->grid, &job->chunks, number, &first, &count, unused);
    size = (size_t)(count * job->field.size);
    for (size_t at = size; at < chunk_size(job); at += element)
        memcpy(packer.rows + at, job->fill, element);
    return read_at(packer.part, packer.rows, size, job->at + first * job->field.size) == (ssize_t)size;
}

static int pack_by_hdf5(const struct pack_job *job, struct packed *packed)
{
    hsize_t offset[GRID_MAX_RANK] = {0}, size;

    if (hdf5.H5Dwrite(packer.dataset, hdf5_native_type(job->field.shape.type), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                      packer.rows) < 0 ||
        hdf5.H5Dget_chunk_storage_size(packer.dataset, offset, &size) < 0)
        return hdf5_error_set(MPM_EIO, "cannot compress results");
    if (size > most_packed(job))
        return error_set(MPM_EIO, "filter %d makes %zu bytes of %zu", job->packing.filter, (size_t)size,
                         chunk_size(job));
    packed->size = size;
    if (hdf5.H5Dread_chunk(packer.dataset, H5P_DEFAULT, offset, &packed->mask, packed->bytes) < 0)
        return hdf5_error_set(MPM_EIO, "cannot take compressed results");
    return 0;
}

static int pack(const struct pack_job *job, uint64_t number, struct packed *packed)
{
    if (!read_rows(job, number))
        return error_set_errno(MPM_EIO, "cannot read %s", (const char *)(job + 1));
    packed->mask = 0;
    packed->size = packer.has_pipeline ? pipeline_apply(&packer.pipeline, packer.rows, packer.spare,
                                                        packed->bytes, most_gzipped(job))
                                       : 0;
    return packed->size ? 0 : pack_by_hdf5(job, packed);
}

/* A task: the item is the number of a chunk. */
static int pack_chunk(mpm_call *call, const void *item, void *result)
{
    const struct pack_job *job = mpm_call_context(call);
    struct hdf5_guard guard;
    uint64_t number;
    int status = hdf5_load();

    memcpy(&number, item, sizeof number);
    if (!status) {
        hdf5_enter(&guard);
        status = prepare(job);
        if (!status)
            status = pack(job, number, result);
        hdf5_leave(&guard);
    }
    return status ? mpm_fail(call, "%s", mpm_error()) : 0;
}

/* ---- In main ---- */

/* What the generator is at. */
struct chunks {
    uint64_t next, count;
};

static int next_chunk(void *argument, void *item)
{
    struct chunks *chunks = argument;

    if (chunks->next >= chunks->count)
        return 0;
    memcpy(item, &chunks->next, sizeof chunks->next);
    chunks->next++;
    return 1;
}

static int write_chunk(hid_t dataset, const struct output *output, const struct pack_job *job,
                       uint64_t number, const struct packed *packed)
{
    hsize_t offset[GRID_MAX_RANK];
    struct hdf5_guard guard;
    uint64_t first, count;
    int status = 0;

    grid_find_chunk(&job->grid, &job->chunks, number, &first, &count, offset);
    hdf5_enter(&guard);
    if (hdf5.H5Dwrite_chunk(dataset, H5P_DEFAULT, packed->mask, offset, (size_t)packed->size, packed->bytes) <
        0)
        status = hdf5_error_set(MPM_EIO, "cannot write the compressed results of %s", output->name);
    hdf5_leave(&guard);
    return status;
}

static int write_chunks(const struct output *output, const struct pack_job *job, mpm_stream *stream,
                        hid_t dataset)
{
    struct packed *packed = malloc(sizeof *packed + most_packed(job));
    uint64_t chunk;
    int status = packed ? 0 : error_set(MPM_ENOMEM, "no memory for a chunk of %zu bytes", chunk_size(job));

    while (!status) {
        status = mpm_stream_next(stream, MPM_FOREVER, packed, &chunk);
        if (status == MPM_EINTERRUPTED)
            status = 0;
        else if (!status)
            status = write_chunk(dataset, output, job, chunk, packed);
    }
    free(packed);
    return status == MPM_ECLOSED ? 0 : status;
}

static struct pack_job *make_job(const struct output *output, unsigned index, size_t *size)
{
    const struct result_field *field = &output->result.field[index];
    const struct part_record *record = &output->record;
    struct pack_job *job;

    *size = sizeof *job + strlen(output->part) + 1;
    if (!(job = calloc(1, *size)))
        return NULL;
    *job = (struct pack_job){.token_at = record->record_at,
                             .token = record->token,
                             .index = index,
                             .grid = output->grid,
                             .at = record->results.field[index].at,
                             .packing = output->packing,
                             .field = *field};
    grid_cut(&job->grid, &field->shape, packing_chunk_rows(&output->packing, field, record->rows),
             &job->chunks);
    if (output->has_fill)
        memcpy(job->fill, output->fill + field->offset, mpm_type_size(field->shape.type));
    strcpy((char *)(job + 1), output->part);
    return job;
}

int pack_field(const struct output *output, unsigned index, hid_t dataset)
{
    mpm_stream_options options = {.order = MPM_UNORDERED, .chunk = 1};
    size_t size;
    struct pack_job *job = make_job(output, index, &size);
    struct chunks chunks = {0, job ? job->chunks.count : 0};
    mpm_stream *stream;
    int status;

    if (!job)
        return error_set(MPM_ENOMEM, "no memory for the context of a compression");
    options.buffer = (size_t)AHEAD_EACH * mpm_pool_worker_count(output->pool);
    options.context = job;
    options.context_size = size;
    status = mpm_pool_imap(output->pool, pack_chunk, next_chunk, &chunks, sizeof(uint64_t),
                           sizeof(struct packed) + most_packed(job), &options, &stream);
    if (!status) {
        status = write_chunks(output, job, stream, dataset);
        mpm_stream_close(stream);
    }
    free(job);
    return status;
}
