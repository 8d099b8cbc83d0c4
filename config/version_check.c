/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiles only if the version in version.h is that of the build, which passes it as PROJECT_…. */
#include "mpmap/version.h"

_Static_assert(MPM_VERSION_MAJOR == PROJECT_MAJOR && MPM_VERSION_MINOR == PROJECT_MINOR &&
                   MPM_VERSION_PATCH == PROJECT_PATCH,
               "the numbers in mpmap/version.h are not the version in CMakeLists.txt");
_Static_assert(__builtin_strcmp(MPM_VERSION, PROJECT_TEXT) == 0,
               "MPM_VERSION in mpmap/version.h is not the version in CMakeLists.txt");
