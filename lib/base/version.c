/* SPDX-License-Identifier: BSD-3-Clause */
/* The version of the library that runs. */
#include "mpmap/version.h"

const char *mpm_version(void)
{
    return MPM_VERSION;
}
