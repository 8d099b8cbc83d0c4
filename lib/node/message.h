/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about nodes and their ranks. See net/message.h. For node/ and run/messages.c. */
#ifndef NODE_MESSAGE_H
#define NODE_MESSAGE_H

#include <stdint.h>

enum node_message {
    /* From main */
    MESSAGE_LOG_LEVEL = 8, /* uint32_t: enum mpm_log_level */
    /* To main */
    MESSAGE_FORKSERVER_LOST, /* struct message_forkserver_lost */
    /* To main, and from main to all */
    MESSAGE_DRAIN, /* a byte: a drain has begun, of that cause */
};

struct message_forkserver_lost {
    uint32_t rank;
    int32_t wait_status; /* of its fork server, as waitpid gives it */
};

#endif
