/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps over items of any length, for the caller. */
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "pool/driver/map_run.h"
#include "pool/driver/pool_state.h"
#include "pool/shared/blob.h"

static int check_items(const mpm_blob *items, size_t count)
{
    if (count > SIZE_MAX / sizeof *items)
        return error_set(MPM_EINVAL, "mpm_pool_map_blobs: %zu items are too many for any memory", count);
    if (count && !items)
        return error_set(MPM_EINVAL, "mpm_pool_map_blobs: items is NULL, but count is %zu", count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].size > BLOB_MAX_SIZE)
            return error_set(
                MPM_EINVAL,
                "mpm_pool_map_blobs: item %zu of %zu bytes is too large: at most 1 GiB is allowed", i,
                items[i].size);
        if (items[i].size && !items[i].bytes)
            return error_set(MPM_EINVAL, "mpm_pool_map_blobs: item %zu is NULL, but its size is %zu bytes", i,
                             items[i].size);
    }
    return MPM_OK;
}

static int map_blobs(mpm_pool *pool, struct map_request *request, const mpm_map_options *options,
                     mpm_blob **results)
{
    struct blob_list *list = NULL;
    int status;

    if ((status = check_items(request->blobs, request->count)))
        return status;
    if (results && !(list = blob_list_create(request->count)))
        return error_set(MPM_ENOMEM, "no memory for %zu results", (size_t)request->count);
    request->blob_results = list;
    status = map_for_caller(pool, request, options);
    if (results && (!status || status == MPM_ETASK || status == MPM_EDRAINED))
        *results = blob_list_results(list);
    else
        blob_list_destroy(list);
    return status;
}

int mpm_pool_map_blobs(mpm_pool *pool, mpm_task *task, const mpm_blob *items, size_t count,
                       const mpm_map_options *options, mpm_blob **results)
{
    struct map_request request = map_request_of(task, &(struct map_items){.count = count}, options);
    int status;

    request.kind = JOB_BLOBS;
    request.blobs = items;
    if ((status = map_enter("mpm_pool_map_blobs", pool, &request)))
        return status;
    status = map_blobs(pool, &request, options, results);
    pool_leave_call(pool);
    return status;
}
