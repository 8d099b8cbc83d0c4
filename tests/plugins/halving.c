/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin that can be put in the place of the other one: its task has the same name and does something else.
 */
#include <mpmap.h>

MPM_API int work_on_number(mpm_call *call, const void *item, void *result)
{
    const long *number = item;
    long *half = result;

    if (*number % 2)
        return mpm_fail(call, "%ld is odd", *number);
    *half = *number / 2;
    return 0;
}
