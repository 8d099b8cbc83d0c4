/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns the transport.
 *
 * A thread that gives it up makes what it did there known to the one that takes it next. */
#include "net/transport.h"

#include <assert.h>
#include <stdatomic.h>

static _Atomic bool has_owner;
static _Thread_local bool is_mine;

void transport_take(void)
{
    bool had_owner = atomic_exchange(&has_owner, true);

    assert(!had_owner);
    is_mine = true;
}

void transport_give_up(void)
{
    assert(is_mine);
    is_mine = false;
    atomic_store(&has_owner, false);
}

bool transport_is_mine(void)
{
    return is_mine;
}
