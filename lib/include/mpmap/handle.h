/* SPDX-License-Identifier: BSD-3-Clause */
/** @file handle.h  Handles: small structs that name an object, the same one in every process on every node. */
#ifndef MPMAP_HANDLE_H
#define MPMAP_HANDLE_H

#include <stdint.h>

#include "api.h"

MPM_BEGIN

/** What every handle consists of. Copy it into arguments, messages and arrays. A handle of zeros names nothing. The
 * fields are the library's own. A handle of an object that was destroyed gives MPM_ESTALE, and never names another
 * object. */
typedef struct mpm_handle {
    uint16_t kind;       /**< the kind of object */
    uint16_t home;       /**< the node where the object lives */
    uint32_t generation; /**< tells the object from others that were in the same place before */
    uint64_t place;      /**< where it is on that node */
} mpm_handle;

/** Wait without a limit: a timeout of any call that waits. 0 does not wait at all; a negative timeout is as 0. */
#define MPM_FOREVER (1e300)

MPM_END

#endif
