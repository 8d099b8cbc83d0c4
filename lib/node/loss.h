/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork servers that have died before the end of the run, which costs the slots of their ranks and no more. Each leader
 * looks at those of its own node, and tells main of them. For node/ and the layers above it. */
#ifndef NODE_LOSS_H
#define NODE_LOSS_H

#include <stdbool.h>

/* Makes what a rank knows of losses. MPM_ENOMEM. */
int loss_table_create(void);
void loss_table_free(void);
/* In every leader, before its courier starts. */
void loss_announce(void);

/* Says in the log that the calling rank has lost its fork server, and what that costs. */
void loss_say(void);
/* Whether the fork server of a rank is lost: of any rank in main, of one of the own node in any process. */
bool loss_is(unsigned rank);
/* In main: MPM_EFORKSERVER if any fork server was lost in this run. */
int loss_check(void);

#endif
