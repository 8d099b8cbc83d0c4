/* SPDX-License-Identifier: BSD-3-Clause */
/** @file api.h  Marks that the other public headers use: what the library exports, and results that must be looked
 * at. */
#ifndef MPMAP_API_H
#define MPMAP_API_H

/** @def MPM_BEGIN
 * Begins the declarations of a header: they have C linkage in C++, too. */
/** @def MPM_END
 * Ends what MPM_BEGIN has begun. */
#ifdef __cplusplus
#define MPM_BEGIN extern "C" {
#define MPM_END   }
#else
#define MPM_BEGIN
#define MPM_END
#endif

/** A symbol that the library exports. */
#define MPM_API __attribute__((visibility("default")))
/** A result that must be looked at: the compiler warns of a call that ignores it. */
#define MPM_CHECKED __attribute__((warn_unused_result))
/** Arguments that follow a printf format: the compiler checks them. */
#define MPM_FORMAT(text, first) __attribute__((format(printf, text, first)))

#endif
