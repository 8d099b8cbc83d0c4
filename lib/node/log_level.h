/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said on stderr, on all nodes. For run/layers.c. */
#ifndef NODE_LOG_LEVEL_H
#define NODE_LOG_LEVEL_H

/* In every leader, before its courier starts. */
void log_level_announce(void);

#endif
