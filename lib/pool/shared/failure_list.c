/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool/shared/failure_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define FIRST_ENTRIES 8u
#define FIRST_TEXTS   512u

/* Grows an array to a room of `count` or more. */
static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    size_t wanted = *room * 2 > count ? *room * 2 : count;
    void *grown;

    if (count <= *room)
        return true;
    if (!(grown = realloc(*array, wanted * size)))
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

/* The text as the list may have it: `cut` has room for a short one. */
static const char *text_within_limit(struct failure_list *list, const char *text, char *cut)
{
    size_t size = strlen(text) + 1;

    if (size <= FAILURE_SHORT_SIZE)
        return text;
    if (list->long_limit && list->long_size + size > list->long_limit) {
        text_copy(cut, FAILURE_SHORT_SIZE, text, FAILURE_BUDGET_MARK);
        return cut;
    }
    list->long_size += size;
    return text;
}

bool failure_list_add(struct failure_list *list, const mpm_failure *failure)
{
    char cut[FAILURE_SHORT_SIZE];
    const char *text = text_within_limit(list, failure->text, cut);
    size_t size = strlen(text) + 1;

    if (!grow((void **)&list->entries, &list->capacity,
              list->count < FIRST_ENTRIES ? FIRST_ENTRIES : list->count + 1, sizeof *list->entries) ||
        !grow((void **)&list->texts, &list->text_capacity,
              list->text_size + size < FIRST_TEXTS ? FIRST_TEXTS : list->text_size + size, 1))
        return false;
    memcpy(list->texts + list->text_size, text, size);
    list->entries[list->count++] = (struct failure_entry){.index = failure->index,
                                                          .cause = failure->cause,
                                                          .code = failure->code,
                                                          .attempts = failure->attempts,
                                                          .node = failure->node,
                                                          .text = list->text_size};
    list->text_size += size;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = ((const struct failure_entry *)a)->index,
             right = ((const struct failure_entry *)b)->index;

    return (left > right) - (left < right);
}

void failure_list_sort(struct failure_list *list)
{
    if (list->count)
        qsort(list->entries, list->count, sizeof *list->entries, compare);
}

bool failure_list_give(struct failure_list *list, mpm_failure **failures)
{
    char *texts;

    *failures = NULL;
    if (!list->count)
        return true;
    if (!(*failures = malloc(list->count * sizeof **failures + list->text_size)))
        return false;
    texts = memcpy(*failures + list->count, list->texts, list->text_size);
    for (size_t i = 0; i < list->count; i++)
        (*failures)[i] = failure_of_entry(&list->entries[i], texts);
    failure_list_free(list);
    return true;
}

void failure_list_free(struct failure_list *list)
{
    free(list->entries);
    free(list->texts);
    *list = (struct failure_list){.long_limit = list->long_limit};
}

bool failure_entries_are_sound(const struct failure_entry *entries, size_t count, const char *texts,
                               size_t text_size)
{
    if (count && (!text_size || texts[text_size - 1]))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].text >= text_size)
            return false;
    }
    return true;
}
