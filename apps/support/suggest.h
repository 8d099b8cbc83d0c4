/* SPDX-License-Identifier: BSD-3-Clause */
/* What somebody who mistyped a word may have meant. */
#ifndef MPMAP_SUPPORT_SUGGEST_H
#define MPMAP_SUPPORT_SUGGEST_H

#include <stddef.h>

/* The name that is nearest to the word, by characters to insert, delete, change or swap with their
 * neighbour; NULL if none is near. */
const char *suggest(const char *word, const char *const *names, size_t count);

#endif
