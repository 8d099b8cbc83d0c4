/* SPDX-License-Identifier: BSD-3-Clause */
/* CSS selectors: types, *, .class, #id, [attribute] with =, ~=, |=, ^=, $=, *=, :first-child, :last-child,
 * :nth-child(N); descendants, children (>), siblings (+ and ~); lists with commas. */
#ifndef MPMAP_CRAWL_SELECTOR_H
#define MPMAP_CRAWL_SELECTOR_H

#include <gumbo.h>
#include <stdbool.h>
#include <stddef.h>

struct selector;

/* Reads a selector. NULL if it cannot be read: `error` says why. */
struct selector *selector_parse(const char *text, size_t length, const char **error);
/* Whether an element is what the selector means. */
bool selector_matches(const struct selector *selector, const GumboNode *node);
void selector_free(struct selector *selector);

#endif
