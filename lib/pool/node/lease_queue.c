/* SPDX-License-Identifier: BSD-3-Clause */
/* See the header. All of it is its owner's: nothing here is shared memory. */
#include "pool/node/lease_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* A lease that the arena has no room for yet. */
struct late_lease {
    struct late_lease *next;
    struct granted_lease lease;
    _Alignas(16) char items[]; /* unless they last */
};

struct lease_queue {
    struct queued_job job;
    struct job_spec *copy; /* with its context, while it waits for room; NULL: it does not, or lasts */
    struct node_job *held; /* NULL as long as the arena has no room for it */
    struct late_lease *late, **end; /* oldest first */
    bool has_begun;                 /* it has had a lease published */
};

/* 1 as node_job_open(). */
static int open_job(struct lease_queue *queue)
{
    const struct queued_job *job = &queue->job;
    int status;

    if (queue->held)
        return MPM_OK;
    if ((status = node_job_open(job->node_pool, job->spec, job->context, &queue->held)))
        return status;
    if (job->stands_in_line)
        node_job_stands_in_line(queue->held);
    node_job_use_in_place(queue->held, job->items_in_place, job->results_in_place);
    free(queue->copy);
    queue->copy = NULL;
    return MPM_OK;
}

static int copy_job(struct lease_queue *queue)
{
    size_t size = sizeof *queue->copy + queue->job.spec->context_size;

    if (!(queue->copy = malloc(size)))
        return error_set(MPM_ENOMEM, "no memory for a map of %zu bytes", size);
    *queue->copy = *queue->job.spec;
    if (queue->copy->context_size)
        memcpy(queue->copy + 1, queue->job.context, queue->copy->context_size);
    queue->job.spec = queue->copy;
    queue->job.context = queue->copy + 1;
    return MPM_OK;
}

int lease_queue_create(const struct queued_job *job, struct lease_queue **created)
{
    struct lease_queue *queue = calloc(1, sizeof *queue);
    int status;

    if (!queue)
        return error_set(MPM_ENOMEM, "no memory for a map");
    queue->job = *job;
    queue->end = &queue->late;
    if ((status = open_job(queue)) > 0)
        status = job->is_lasting ? MPM_OK : copy_job(queue);
    if (status)
        free(queue);
    else
        *created = queue;
    return status;
}

/* 1 as node_lease_publish(). */
static int publish(struct lease_queue *queue, const struct granted_lease *lease)
{
    const struct lease_range range = {lease->number, lease->first, lease->count};
    struct node_lease *held;
    int status = open_job(queue);

    if (status)
        return status;
    if (lease->blobs)
        status = node_lease_publish_blobs(queue->held, &range, lease->blobs, &held);
    else
        status = node_lease_publish(queue->held, &range, lease->items, lease->size, &held);
    if (status)
        return status;
    queue->has_begun = true;
    if (queue->job.published)
        queue->job.published(queue->job.argument, lease);
    return MPM_OK;
}

static int put_off(struct lease_queue *queue, const struct granted_lease *lease)
{
    size_t size = queue->job.is_lasting || !lease->items ? 0 : lease->size;
    struct late_lease *late = malloc(sizeof *late + size);

    if (!late)
        return error_set(MPM_ENOMEM, "no memory for a lease of %zu bytes", size);
    *late = (struct late_lease){.lease = *lease};
    if (size) {
        memcpy(late->items, lease->items, size);
        late->lease.items = late->items;
    }
    *queue->end = late;
    queue->end = &late->next;
    return MPM_OK;
}

int lease_queue_grant(struct lease_queue *queue, const struct granted_lease *lease, bool may_begin)
{
    int status = may_begin && !queue->late ? publish(queue, lease) : 1;

    return status > 0 ? put_off(queue, lease) : status;
}

static void drop_late(struct lease_queue *queue, struct late_lease **at)
{
    struct late_lease *late = *at;

    *at = late->next;
    if (queue->end == &late->next)
        queue->end = at;
    free(late);
}

/* Whether it waited for room: then it is gone. */
static bool recall_late(struct lease_queue *queue, uint64_t number)
{
    struct late_lease **at = &queue->late;

    while (*at && (*at)->lease.number != number)
        at = &(*at)->next;
    if (!*at)
        return false;
    drop_late(queue, at);
    return true;
}

static struct node_lease *find_lease(const struct lease_queue *queue, uint64_t number)
{
    struct node_lease *lease = NULL;

    while (queue->held && (lease = node_job_next_lease(queue->held, lease)) &&
           node_lease_number(lease) != number)
        ;
    return lease;
}

bool lease_queue_recall(struct lease_queue *queue, uint64_t number, uint64_t *kept)
{
    struct node_lease *lease;

    *kept = 0;
    if (recall_late(queue, number))
        return true;
    if (!(lease = find_lease(queue, number)))
        return false;
    *kept = node_lease_cut(lease);
    return true;
}

static int hang_late(struct lease_queue *queue, bool *worked)
{
    int status = MPM_OK;

    while (queue->late && !(status = publish(queue, &queue->late->lease))) {
        drop_late(queue, &queue->late);
        *worked = true;
    }
    return status > 0 ? MPM_OK : status;
}

static int look_at_lease(struct lease_queue *queue, struct node_lease *lease, bool *worked)
{
    enum lease_look look = node_lease_look(lease);
    int status = queue->job.seen(queue->job.argument, lease, look);

    if (look != LEASE_RUNS)
        *worked = true;
    if (look == LEASE_IS_DONE || look == LEASE_IS_LOST)
        node_lease_drop(lease);
    return status;
}

int lease_queue_look(struct lease_queue *queue, bool may_begin, bool *worked)
{
    struct node_lease *lease = queue->held ? node_job_next_lease(queue->held, NULL) : NULL, *next;
    int status;

    for (; lease; lease = next) {
        next = node_job_next_lease(queue->held, lease);
        if ((status = look_at_lease(queue, lease, worked)))
            return status;
    }
    return may_begin ? hang_late(queue, worked) : MPM_OK;
}

bool lease_queue_has_begun(const struct lease_queue *queue)
{
    return queue->has_begun;
}

bool lease_queue_waits_to_begin(const struct lease_queue *queue)
{
    return !queue->has_begun && queue->late;
}

void lease_queue_give_up(struct lease_queue *queue)
{
    while (queue->late)
        drop_late(queue, &queue->late);
}

void lease_queue_stop(struct lease_queue *queue)
{
    if (queue->held)
        node_job_stop(queue->held);
}

void lease_queue_forget(struct lease_queue *queue)
{
    if (!queue)
        return;
    lease_queue_give_up(queue);
    free(queue->copy);
    free(queue);
}

bool lease_queue_close(struct lease_queue *queue)
{
    if (queue->held && !node_job_close(queue->held))
        return false;
    lease_queue_forget(queue);
    return true;
}

uint64_t lease_queue_items_done(const struct lease_queue *queue)
{
    return queue->held ? node_job_items_done(queue->held) : 0;
}

uint64_t lease_queue_longest_claim_ns(const struct lease_queue *queue)
{
    return queue->held ? node_job_longest_claim_ns(queue->held) : 0;
}
