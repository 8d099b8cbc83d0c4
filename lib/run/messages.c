/* SPDX-License-Identifier: BSD-3-Clause */
/* All kinds of messages, and the rules of messages.h. */
#include "run/messages.h"

#include <stddef.h>

#include "node/message.h"
#include "object/message.h"
#include "pool/shared/message.h"
#include "process/message.h"
#include "run/message.h"

enum lane { OTHERS, CALLS, CANCELS, REPLIES, POOLS };

#define BIT(lane)  (1u << (lane))
#define NOTHING    0u
#define EVERYTHING ~0u

/* Two kinds of one number are two cases of one number, which does not compile. */
#define RULE(kind, own_lane, before)                                                          \
    case kind: {                                                                              \
        _Static_assert((kind) < MESSAGE_KINDS && (own_lane) < MESSAGE_LANES, #kind);          \
        static const struct message_rule rule = {.lane = (own_lane),                          \
                                                 .waits_for = (before),                       \
                                                 .is_never_large = (uint32_t)(kind) ==        \
                                                                   (uint32_t)MESSAGE_POSTED}; \
        return &rule;                                                                         \
    }

const struct message_rule *messages_rule_of(uint32_t kind)
{
    switch (kind) {
        /* net: what couriers say themselves knows no rules */
    case MESSAGE_BEAT:
    case MESSAGE_LEAVING:
    case MESSAGE_LARGE:
    case MESSAGE_EXPELLED:
        return NULL;
        /* node */
        RULE(MESSAGE_LOG_LEVEL, OTHERS, NOTHING)
        RULE(MESSAGE_FORKSERVER_LOST, POOLS, BIT(POOLS))
        RULE(MESSAGE_DRAIN, OTHERS, NOTHING)
        /* object */
        RULE(MESSAGE_CALL, CALLS, BIT(CANCELS))
        RULE(MESSAGE_CANCEL, CANCELS, BIT(CALLS) | BIT(CANCELS))
        RULE(MESSAGE_DOUBTED, OTHERS, NOTHING)
        RULE(MESSAGE_WANTED, OTHERS, NOTHING)
        RULE(MESSAGE_ARRIVED, OTHERS, NOTHING)
        RULE(MESSAGE_REPLY, REPLIES, NOTHING)
        RULE(MESSAGE_POSTED, OTHERS, NOTHING)
        RULE(MESSAGE_POSTED_DONE, OTHERS, NOTHING)
        RULE(MESSAGE_DELEGATION, OTHERS, NOTHING)
        RULE(MESSAGE_RECALL_DELEGATION, OTHERS, NOTHING)
        RULE(MESSAGE_DELEGATION_BACK, OTHERS, NOTHING)
        /* process */
        RULE(MESSAGE_PROCESS_ENDED, CALLS, BIT(CALLS) | BIT(CANCELS))
        RULE(MESSAGE_PROCESS_ASKED, OTHERS, NOTHING)
        /* pool */
        RULE(MESSAGE_POOL_OPEN, POOLS, BIT(POOLS))
        RULE(MESSAGE_POOL_CLOSE, POOLS, BIT(POOLS))
        RULE(MESSAGE_JOB_OPEN, POOLS, BIT(POOLS))
        RULE(MESSAGE_JOB_CLOSE, POOLS, BIT(POOLS))
        RULE(MESSAGE_LEASE, POOLS, BIT(POOLS))
        RULE(MESSAGE_RECALL, POOLS, BIT(POOLS))
        RULE(MESSAGE_POOL_ASKED, POOLS, BIT(POOLS))
        RULE(MESSAGE_IDLE_ASKED, POOLS, BIT(POOLS))
        RULE(MESSAGE_POOL_STATS, POOLS, BIT(POOLS))
        RULE(MESSAGE_IDLE, POOLS, BIT(POOLS))
        RULE(MESSAGE_POOL_STATE, POOLS, BIT(POOLS))
        RULE(MESSAGE_POOL_CLOSED, POOLS, BIT(POOLS))
        RULE(MESSAGE_JOB_FAILED, POOLS, BIT(POOLS))
        RULE(MESSAGE_JOB_CLOSED, POOLS, BIT(POOLS))
        RULE(MESSAGE_CLAIMED, POOLS, BIT(POOLS))
        RULE(MESSAGE_RETURNED, POOLS, BIT(POOLS))
        RULE(MESSAGE_RESULTS, POOLS, BIT(POOLS))
        /* run */
        RULE(MESSAGE_END, OTHERS, EVERYTHING)
        RULE(MESSAGE_NODE_GONE, OTHERS, NOTHING)
        RULE(MESSAGE_NODE_FAILED, OTHERS, NOTHING)
        RULE(MESSAGE_NODE_SILENT, OTHERS, NOTHING)
    default:
        return NULL;
    }
}
