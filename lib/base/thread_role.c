/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/thread_role.h"

static _Thread_local enum thread_role own_role = THREAD_OF_PROGRAM;

void thread_become(enum thread_role role)
{
    own_role = role;
}

bool thread_is(unsigned roles)
{
    return own_role & roles;
}
