/* SPDX-License-Identifier: BSD-3-Clause */
/** @file message.h  Messages that change hands where they stand, in place of being copied.
 *
 * mpm_queue_put() copies a message into the queue, and mpm_queue_get() copies it out: the caller's memory is its own
 * again at once. Long messages may do without: their memory is made where it can be shared, filled there, put, and used
 * by who gets it where it is.
 *
 *     mpm_message image;
 *
 *     status = mpm_message_create(size, &image);
 *     if (!status && read_image(image.bytes, image.size))
 *         status = mpm_queue_put_message(queue, &image, MPM_FOREVER); // image.bytes is NULL now
 *
 *     status = mpm_queue_get_message(queue, MPM_FOREVER, &image);
 *     if (!status) {
 *         sharpen(image.bytes, image.size);
 *         mpm_message_destroy(&image);
 *     }
 *
 * Either side may do so without the other: what was put by mpm_queue_put() can be got as a message, and the other way
 * round. A message of at most 16 KiB is copied all the same. One that goes to another node is sent out of its memory,
 * and received into that of its getter. */
#ifndef MPMAP_MESSAGE_H
#define MPMAP_MESSAGE_H

#include <stddef.h>

#include "api.h"

MPM_BEGIN

/** A message in the shared memory of the caller's node. It belongs to one process, which alone may touch it, and is
 * freed when that ends, however it ends, and with the run. The struct may be copied, but only one copy may be put or
 * destroyed. Zero is no message. */
typedef struct mpm_message {
    void *bytes; /**< where it stands in this process, aligned to 64; NULL: nowhere */
    size_t size; /**< its bytes; may be made smaller before it is put */
} mpm_message;

/** Makes memory for a message, which is not zeroed. Does not block. Any process, any thread.
 * @param size     bytes; may be 0
 * @param message  out: the message, the caller's until it is put or destroyed
 * @return 0; MPM_ENOMEM if the node's shared memory is full; MPM_EINVAL if `message` is NULL; MPM_ESTATE without a
 *         run. */
MPM_API MPM_CHECKED int mpm_message_create(size_t size, mpm_message *message);

/** Frees a message. Does not block. The process whose message it is, any thread.
 * @param message  the message, which is none then; NULL, or one that is none already, is fine */
MPM_API void mpm_message_destroy(mpm_message *message);

MPM_END

#endif
