/* SPDX-License-Identifier: BSD-3-Clause */
/* The drain of a run: see mpm_drain(). For run/ and data/. */
#ifndef NODE_DRAIN_H
#define NODE_DRAIN_H

/* Why a run drains: the first cause stays. */
enum drain_cause {
    DRAIN_NONE,
    DRAIN_ASKED, /* by the program, the end of its time, or a signal that wants it to go on later */
    DRAIN_STOP,  /* by a signal that wants it to end: SIGINT, SIGTERM */
};

/* Also in a signal handler. */
void drain_begin(enum drain_cause cause);
enum drain_cause drain_cause(void);
/* Before the courier starts: how nodes tell each other. */
void drain_announce(void);

#endif
