/* SPDX-License-Identifier: BSD-3-Clause */
/* What ends a run before its time, and the messages that say so. For run/. */
#ifndef RUN_TROUBLE_H
#define RUN_TROUBLE_H

/* In every leader, before its courier starts. */
void trouble_announce(void);
/* How long a node may be silent: 0 is without end. */
double trouble_node_timeout_s(void);

#endif
