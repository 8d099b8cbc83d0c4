/* SPDX-License-Identifier: BSD-3-Clause */
/** @file version.h  The version that a program was compiled against, and the one that it runs with. */
#ifndef MPMAP_VERSION_H
#define MPMAP_VERSION_H

#include "api.h"

#define MPM_VERSION_MAJOR 0 /**< changes when programs have to change */
#define MPM_VERSION_MINOR \
    1 /**< changes when something was added; before 1.0 also when programs have to change */
#define MPM_VERSION_PATCH 0       /**< changes when something was mended */
#define MPM_VERSION       "0.1.0" /**< all three as a text */

MPM_BEGIN

/** The version of the library that is running. Compare it with MPM_VERSION, which a program was compiled against.
 * May be called at any time, from any thread; never blocks.
 * @return a constant: "major.minor.patch". */
MPM_API const char *mpm_version(void);

MPM_END

#endif
