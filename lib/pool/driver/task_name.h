/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks that were called, named: naming takes longer than a call. For pool/driver/ and run/layers.c. */
#ifndef POOL_DRIVER_TASK_NAME_H
#define POOL_DRIVER_TASK_NAME_H

#include <stdint.h>

#include "node/function.h"

/* It holds for one pool, whose workers have found it by that name, as long as no module has been unloaded. */
struct named_task {
    uint64_t pool;
    function_pointer *pointer;
    unsigned long long unloads;
    uint64_t id; /* the same one stands for the same name in this process: workers compare it */
    struct function name;
};

/* Once, before the first task is named. */
void task_name_begin(void);
/* `pool`: its number. Valid until this thread has named a few others. Statuses as function_name(). */
int task_name_of(uint64_t pool, function_pointer *pointer, const struct named_task **named);

#endif
