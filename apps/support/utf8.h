/* SPDX-License-Identifier: BSD-3-Clause */
/* Characters of UTF-8 in bytes of any kind. */
#ifndef MPMAP_SUPPORT_UTF8_H
#define MPMAP_SUPPORT_UTF8_H

/* How many bytes of a character of UTF-8 stand there; 0 if it is none. A null byte ends the text within it. */
int utf8_length(const unsigned char *byte);

#endif
