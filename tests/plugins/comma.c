/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin that brings a locale with it, as a program does that calls setlocale() for its users. */
#include <locale.h>
#include <mpmap.h>

MPM_API const mpm_task_description scale_description = {
    .result = "f64", .row = "f64", .parameters = "{f64 factor = 1.5, f64 offset}"};

struct parameters {
    double factor, offset;
};

__attribute__((constructor)) static void take_locale(void)
{
    setlocale(LC_ALL, "");
}

MPM_API int scale(mpm_call *call, const void *item, void *result)
{
    const struct parameters *given = mpm_call_context(call);
    const double *number = item;
    double *scaled = result;

    if (*localeconv()->decimal_point != ',')
        return mpm_fail(call, "this locale has no comma");
    if (*number < 0)
        return mpm_fail(call, "%g is negative", *number);
    *scaled = *number * given->factor + given->offset;
    return 0;
}
