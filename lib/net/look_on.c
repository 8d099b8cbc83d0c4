/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking on; see the header. */
#include "net/look_on.h"

void look_on_begin(struct look_on *look, bool is_lively)
{
    look->is_long = is_lively && (look->long_looks || look->looks++ % LOOK_TRIAL == 0);
}

uint64_t look_on_time_ns(const struct look_on *look, bool is_busy)
{
    if (is_busy)
        return LOOK_BUSY_NS;
    return look->is_long ? LOOK_LONG_NS : LOOK_SHORT_NS;
}

/* What a short look would have found as well says nothing. */
void look_on_found(struct look_on *look, uint64_t took_ns)
{
    if (look->is_long && took_ns > LOOK_SHORT_NS && took_ns <= LOOK_LONG_NS)
        look->long_looks = LOOK_LONG_LOOKS;
}

void look_on_missed(struct look_on *look)
{
    if (look->is_long && look->long_looks)
        look->long_looks--;
    look->is_long = false;
}
