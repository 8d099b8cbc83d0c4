/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of JSON that printing needs. */
#ifndef MPMAP_SUPPORT_JSON_H
#define MPMAP_SUPPORT_JSON_H

#include <stdio.h>

/* Writes text in quotes; bytes that JSON does not take as they are go out escaped, and what is not UTF-8 as if it were
 * Latin-1. */
void json_write_string(FILE *file, const char *text);
/* The same to stdout. */
void json_print_string(const char *text);
/* Prints a number to stdout; null for what is no finite number. */
void json_print_number(double number);

#endif
