/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of pieces. The thread fills those from `filled` on, the reader empties those from `taken` on; both numbers
 * change under the lock, and a piece belongs to the thread or to the reader by them alone. The last piece is shorter
 * than a whole one, or an error; behind it the thread has ended, and the reader stays at it. */
#include "ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "source.h"

#define PIECES     8
#define PIECE_SIZE 262144

struct ahead {
    ahead_read_on *read_on;
    void *source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned filled, taken;
    bool is_stopped;       /* the reader wants no more */
    size_t at;             /* the reader's place in its piece */
    ssize_t sizes[PIECES]; /* -1: an error */
    char error[SOURCE_ERROR];
    char bytes[PIECES][PIECE_SIZE];
};

/* Waits for a piece to fill. False if none is wanted. */
static bool wait_for_room(struct ahead *ahead)
{
    bool is_wanted;

    pthread_mutex_lock(&ahead->lock);
    while (ahead->filled - ahead->taken == PIECES && !ahead->is_stopped)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    is_wanted = !ahead->is_stopped;
    pthread_mutex_unlock(&ahead->lock);
    return is_wanted;
}

static void *fill_pieces(void *argument)
{
    struct ahead *ahead = argument;
    ssize_t size = PIECE_SIZE;

    while (size == PIECE_SIZE && wait_for_room(ahead)) {
        unsigned piece = ahead->filled % PIECES; /* nobody else changes it */

        size = ahead->read_on(ahead->source, ahead->bytes[piece], PIECE_SIZE, ahead->error);
        ahead->sizes[piece] = size;
        pthread_mutex_lock(&ahead->lock);
        ahead->filled++;
        pthread_cond_signal(&ahead->changed);
        pthread_mutex_unlock(&ahead->lock);
    }
    return NULL;
}

struct ahead *ahead_begin(ahead_read_on *read_on, void *source)
{
    struct ahead *ahead = malloc(sizeof *ahead);

    if (!ahead)
        return NULL;
    ahead->read_on = read_on;
    ahead->source = source;
    ahead->filled = ahead->taken = 0;
    ahead->is_stopped = false;
    ahead->at = 0;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    if (!pthread_create(&ahead->thread, NULL, fill_pieces, ahead))
        return ahead;
    free(ahead);
    return NULL;
}

static unsigned wait_for_piece(struct ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    while (ahead->filled == ahead->taken)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
    return ahead->taken % PIECES;
}

static void end_piece(struct ahead *ahead)
{
    ahead->at = 0;
    pthread_mutex_lock(&ahead->lock);
    ahead->taken++;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

ssize_t ahead_read(struct ahead *ahead, char *bytes, size_t size, char *error)
{
    size_t have = 0;

    while (have < size) {
        unsigned piece = wait_for_piece(ahead);
        size_t left, wanted = size - have;

        if (ahead->sizes[piece] < 0) {
            memcpy(error, ahead->error, SOURCE_ERROR);
            return -1;
        }
        left = (size_t)ahead->sizes[piece] - ahead->at;
        wanted = wanted < left ? wanted : left;
        memcpy(bytes + have, ahead->bytes[piece] + ahead->at, wanted);
        have += wanted;
        ahead->at += wanted;
        if (ahead->at < PIECE_SIZE && !(left - wanted))
            break; /* the last one */
        if (ahead->at == PIECE_SIZE)
            end_piece(ahead);
    }
    return (ssize_t)have;
}

void ahead_end(struct ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->is_stopped = true;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->changed);
    free(ahead);
}
