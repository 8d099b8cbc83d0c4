/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts of any length. */
#ifndef MPMAP_SUPPORT_TEXT_H
#define MPMAP_SUPPORT_TEXT_H

#include <mpmap.h>

/* What printf() would print, in memory that the caller frees with free(); NULL without memory. */
char *text_format(const char *format, ...) MPM_FORMAT(1, 2);

#endif
