/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of JSON that printing needs. */
#ifndef MPMAP_JSON_H
#define MPMAP_JSON_H

/* Prints text to stdout in quotes; bytes that JSON does not take as they are go out escaped. */
void json_print_string(const char *text);
/* Prints a number to stdout; null for what is no finite number. */
void json_print_number(double number);

#endif
