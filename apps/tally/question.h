/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options ask for, made a plan. */
#ifndef TALLY_QUESTION_H
#define TALLY_QUESTION_H

#include "input.h"

struct question {
    const char *by;         /* "id1,id2", or NULL */
    const char *show;       /* "count,mean(v1)", or NULL: the usual */
    struct text_list where; /* "v1 > 3" */
    struct text_list types; /* "v1=text" */
};

/* 0, or the exit status after saying what is wrong. */
int question_plan(const struct question *question, const struct input *input, struct plan *plan);

#endif
