/* SPDX-License-Identifier: BSD-3-Clause */
/** @file version.h  The version that a program was compiled against, and the one that it runs with. */
#ifndef MPMAP_VERSION_H
#define MPMAP_VERSION_H

#include "api.h"

#define MPM_VERSION_MAJOR 0
#define MPM_VERSION_MINOR 1
#define MPM_VERSION_PATCH 0
#define MPM_VERSION       "0.1.0"

MPM_BEGIN

/** The version of the library that is running, "major.minor.patch": compare it with MPM_VERSION.
 * A constant; may be called at any time, from anywhere. */
MPM_API const char *mpm_version(void);

MPM_END

#endif
