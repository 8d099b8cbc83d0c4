/* SPDX-License-Identifier: BSD-3-Clause */
/* Getting and receiving messages whose length is not known, into memory of their own. There is memory for a message
 * before it is taken, so none is lost: one that is longer stays where it is, and says how long it is. Whoever has
 * memory for the longest message that it has seen is sent away by longer ones only. */
#include <stdlib.h>
#include <string.h>

#include "mpmap/pipe.h"
#include "mpmap/queue.h"
#include "mpmap/status.h"

#include "base/error.h"
#include "object/call.h"

#define FIRST_ROOM ((size_t)1 << 16) /* as much as comes from another node at once */

/* MPM_ETOOSMALL, with the length, if there is too little room. */
typedef int take_message(const mpm_handle *handle, double timeout_s, void *message, size_t room,
                         size_t *size);

static int get(const mpm_handle *handle, double timeout_s, void *message, size_t room, size_t *size)
{
    return mpm_queue_get((mpm_queue){*handle}, timeout_s, message, room, size);
}

static int receive(const mpm_handle *handle, double timeout_s, void *message, size_t room, size_t *size)
{
    return mpm_connection_recv((mpm_connection){*handle}, timeout_s, message, room, size);
}

/* Of a message that has come: as much memory as it takes, and never NULL. */
static void *trim(char *bytes, size_t size)
{
    char *trimmed = realloc(bytes, size ? size : 1);

    return trimmed ? trimmed : bytes;
}

static int take_whole(take_message *take, const mpm_handle *handle, double timeout_s, void **message,
                      size_t *size)
{
    uint64_t deadline_ns = call_deadline_ns(timeout_s);
    size_t room = FIRST_ROOM, length = 0;
    char *bytes;
    int status;

    for (;; room = length) {
        if (!(bytes = malloc(room)))
            return error_set(MPM_ENOMEM, "no memory for a message of %zu bytes: it stays where it is", room);
        status = take(handle, call_time_left_s(timeout_s, deadline_ns), bytes, room, &length);
        if (!status)
            break;
        free(bytes);
        if (status != MPM_ETOOSMALL)
            return status;
    }
    *message = trim(bytes, length);
    *size = length;
    return MPM_OK;
}

static int check_places(const char *call, void **message, const size_t *size)
{
    if (message && size)
        return MPM_OK;
    return error_set(MPM_EINVAL, "%s: the pointer for the %s is NULL", call, message ? "size" : "message");
}

int mpm_queue_get_alloc(mpm_queue queue, double timeout_s, void **message, size_t *size)
{
    int status = check_places("mpm_queue_get_alloc", message, size);

    return status ? status : take_whole(get, &queue.handle, timeout_s, message, size);
}

int mpm_connection_recv_alloc(mpm_connection connection, double timeout_s, void **message, size_t *size)
{
    int status = check_places("mpm_connection_recv_alloc", message, size);

    return status ? status : take_whole(receive, &connection.handle, timeout_s, message, size);
}
