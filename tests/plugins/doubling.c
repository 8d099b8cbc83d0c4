/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin with one task, which calls back into the library: the result is twice the item, plus its index. */
#include <mpmap.h>

MPM_API int work_on_number(mpm_call *call, const void *item, void *result)
{
    const long *number = item;
    long *twice = result;

    *twice = 2 * *number + (long)mpm_call_index(call);
    return 0;
}
