/* SPDX-License-Identifier: BSD-3-Clause */
/* A library that library_test loads late. */
#include <mpmap.h>

MPM_API int late_number = 40;

MPM_API int late_sum(int addend)
{
    return late_number + addend;
}
