/* SPDX-License-Identifier: BSD-3-Clause */
/* stdin, for workers, each of which reads a file at places of its own. */
#ifndef TALLY_SPOOL_H
#define TALLY_SPOOL_H

#define SPOOL_PLACE 64 /* bytes of a place, and its end */

/* Gives a file that has what comes from stdin: stdin itself if it is one, else a copy without a name, which is gone
 * with this process. `place` is where every process of this machine finds it. Returns -1 after saying what is wrong. */
int spool_stdin(char *place);

#endif
