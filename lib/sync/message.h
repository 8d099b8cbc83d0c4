/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages in place: a block of the arena that is its process's (shm/ring.h). For sync/. */
#ifndef SYNC_MESSAGE_H
#define SYNC_MESSAGE_H

#include "mpmap/message.h"

#include "shm/ring.h"

/* For whoever gives a message by that call: MPM_ESTATE without a run, MPM_EINVAL if there is no place to tell it. */
int message_check_place(const char *call, const mpm_message *message);
/* A block of this process for a message of so many bytes. MPM_ENOMEM. */
int message_make_block(size_t size, struct ring_block *block);
/* What stands in a block that is this process's, which may be longer. */
mpm_message message_of(const struct ring_block *block);
/* The block of a message that this process may put. MPM_EINVAL for what is none. `call`: who asks. */
int message_find_block(const char *call, const mpm_message *message, struct ring_block *block);

#endif
