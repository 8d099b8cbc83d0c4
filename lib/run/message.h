/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about the run as a whole. See net/message.h. For run/. */
#ifndef RUN_MESSAGE_H
#define RUN_MESSAGE_H

#include <stdint.h>

#include "net/message.h"

enum run_message {
    /* From main */
    MESSAGE_END = 58,  /* struct message_end: the run is over */
    MESSAGE_NODE_GONE, /* struct message_node_gone: the run goes on without a node */
    /* To main */
    MESSAGE_NODE_FAILED, /* struct message_node_failed: something is gone that the run needs */
    MESSAGE_NODE_SILENT, /* struct message_node_gone: the sender does not hear from a node, or is at its end itself */
};

struct message_node_gone {
    uint64_t node;
    char text[MESSAGE_TEXT_SIZE]; /* why */
};

struct message_end {
    uint64_t is_lost; /* 1: a node is lost, so that the end is not agreed on */
};

struct message_node_failed {
    int64_t status;
    char text[MESSAGE_TEXT_SIZE];
};

#endif
