/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about processes. See net/message.h. For process/ and run/messages.c. */
#ifndef PROCESS_MESSAGE_H
#define PROCESS_MESSAGE_H

#include <stdint.h>

enum process_message {
    MESSAGE_PROCESS_ENDED = 32, /* struct message_process_ended: one that may have daemons there */
    MESSAGE_PROCESS_ASKED,      /* nothing, to main: a process of this node has started a process somewhere */
};

/* Of the sender's processes in that place, up to that generation. */
struct message_process_ended {
    uint32_t place;
    uint32_t generation;
};

#endif
