/* SPDX-License-Identifier: BSD-3-Clause */
/** @file handle.h  Names of objects: plain values that mean the same in every process on every node. */
#ifndef MPMAP_HANDLE_H
#define MPMAP_HANDLE_H

#include <stdint.h>

#include "api.h"

MPM_BEGIN

/** What every handle is: copy it into arguments, into messages, into arrays. Zero is none. Its fields are the
 * library's. A handle of an object that was destroyed gives MPM_ESTALE, never another object. */
typedef struct mpm_handle {
    uint16_t kind;       /**< what kind of object */
    uint16_t home;       /**< the node where it lives */
    uint32_t generation; /**< of the place where it stands */
    uint64_t place;      /**< there */
} mpm_handle;

/** Wait without end: a timeout of any call that waits. 0 does not wait at all; negative is as 0. */
#define MPM_FOREVER (1e300)

MPM_END

#endif
