/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run begins with in this layer. For run/layers.c. */
#ifndef SYNC_LAYER_H
#define SYNC_LAYER_H

/* In every rank, before it forks anything: what all processes of the run must know. */
void queue_begin(void);
void pipe_begin(void);
void event_begin(void);

/* In every leader, before its courier starts. */
void queue_announce(void);
void pipe_announce(void);
void pipe_far_announce(void);
void numbers_announce(void);
void array_announce(void);
void bytes_announce(void);
void ask_announce(void);
void lock_announce(void);
void semaphore_announce(void);
void condition_announce(void);
void event_announce(void);
void barrier_announce(void);
void own_lock_announce(void);

#endif
