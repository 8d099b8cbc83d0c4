/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of lane.h. A kind that is not named here waits for all. */
#include "net/lane.h"

#define BIT(lane) (1u << (lane))
#define ALL_LANES (BIT(LANES) - 1)

enum lane lane_of(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_CALL:
    case MESSAGE_PROCESS_ENDED:
        return LANE_CALLS;
    case MESSAGE_CANCEL:
        return LANE_CANCELS;
    case MESSAGE_REPLY:
        return LANE_REPLIES;
    case MESSAGE_POOL_OPEN:
    case MESSAGE_POOL_CLOSE:
    case MESSAGE_JOB_OPEN:
    case MESSAGE_JOB_CLOSE:
    case MESSAGE_LEASE:
    case MESSAGE_RECALL:
    case MESSAGE_POOL_ASKED:
    case MESSAGE_IDLE_ASKED:
    case MESSAGE_POOL_TALLY:
    case MESSAGE_IDLE:
    case MESSAGE_HOST_LOST:
    case MESSAGE_POOL_STATE:
    case MESSAGE_POOL_CLOSED:
    case MESSAGE_JOB_FAILED:
    case MESSAGE_CLAIMED:
    case MESSAGE_RETURNED:
    case MESSAGE_RESULTS:
        return LANE_POOLS;
    default:
        return LANE_NONE;
    }
}

unsigned lanes_before(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_CALL:
        return BIT(LANE_CANCELS);
    case MESSAGE_REPLY:
    case MESSAGE_DOUBTED:
    case MESSAGE_WANTED:
    case MESSAGE_ARRIVED:
    case MESSAGE_POSTED:
    case MESSAGE_POSTED_DONE:
    case MESSAGE_CREDIT:
    case MESSAGE_RECALL_CREDIT:
    case MESSAGE_CREDIT_BACK:
    case MESSAGE_LOG_LEVEL:
    case MESSAGE_NODE_FAILED:
    case MESSAGE_PROCESS_ASKED:
        return 0;
    case MESSAGE_CANCEL:
    case MESSAGE_PROCESS_ENDED:
        return BIT(LANE_CALLS) | BIT(LANE_CANCELS);
    default:
        return lane_of(kind) == LANE_POOLS ? BIT(LANE_POOLS) : ALL_LANES;
    }
}
