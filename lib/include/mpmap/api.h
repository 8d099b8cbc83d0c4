/* SPDX-License-Identifier: BSD-3-Clause */
/** @file api.h  Marks that the other public headers use: what the library exports, and results that count. */
#ifndef MPMAP_API_H
#define MPMAP_API_H

#ifdef __cplusplus
#define MPM_BEGIN extern "C" {
#define MPM_END   }
#else
#define MPM_BEGIN
#define MPM_END
#endif

/** A symbol that leaves the library. */
#define MPM_API __attribute__((visibility("default")))
/** A result that must be looked at. */
#define MPM_CHECKED __attribute__((warn_unused_result))
/** Arguments that follow a printf format. */
#define MPM_FORMAT(text, first) __attribute__((format(printf, text, first)))

#endif
