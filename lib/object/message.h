/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about objects: calls, and what is posted. See net/message.h. For object/ and the layers above it. */
#ifndef OBJECT_MESSAGE_H
#define OBJECT_MESSAGE_H

#include <stdint.h>

#include "mpmap/handle.h"

#include "net/message.h"

enum object_message {
    /* Between any two */
    MESSAGE_CALL = 16,   /* struct message_call, then what the method takes */
    MESSAGE_CANCEL,      /* struct message_call of a call whose caller has died, or takes it back; then the
                            * beginning of what the method takes, of one that is taken back */
    MESSAGE_DOUBTED,     /* struct message_call: whether it is wanted still; its numbers only */
    MESSAGE_WANTED,      /* the same: the reply, if it is */
    MESSAGE_ARRIVED,     /* struct message_call: the reply to it has arrived; its numbers only */
    MESSAGE_REPLY,       /* struct message_reply, then what the method gives */
    MESSAGE_POSTED,      /* struct message_posted, then the operations: see object/post.c */
    MESSAGE_POSTED_DONE, /* struct message_posted_done: the reply */
    MESSAGE_DELEGATION,  /* struct message_delegation: the receiver may post to the object */
    MESSAGE_RECALL_DELEGATION, /* struct message_delegation: it may not any more, and is to say so */
    MESSAGE_DELEGATION_BACK,   /* struct message_delegation: the reply */
};

struct message_call {
    uint32_t request;  /* of the caller, on its node */
    uint32_t serial;   /* of the call in that request */
    uint32_t method;   /* method_code() */
    uint32_t is_timed; /* 1: its caller may take it back; of a cancel: it does */
    double timeout_s;
    uint64_t handle[2]; /* an mpm_handle */
};

struct message_reply {
    uint32_t request, serial;
    int32_t status;
    uint32_t asks; /* 1: the home wants to be told when it has arrived */
    char text[MESSAGE_TEXT_SIZE];
};

struct message_posted {
    uint64_t bytes; /* that it takes of the sender's send buffer */
};

/* Like operations, of which `count` things of `size` bytes follow, padded to 8. */
struct message_posted_group {
    mpm_handle handle;
    uint32_t is_delegation; /* 1: nothing but a delegation, which has come back: at the home only */
    uint32_t size;
    uint64_t count;
    uint64_t cost; /* bytes of the send buffer */
};

struct message_posted_done {
    uint64_t arrived, done; /* bytes as above: of one message, and of what is done or given up */
};

struct message_delegation {
    mpm_handle handle;
    uint64_t limit; /* of indices */
};

#endif
