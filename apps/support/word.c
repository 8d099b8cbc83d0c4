/* SPDX-License-Identifier: BSD-3-Clause */
#include "word.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"

const char *word_last_colon(const char *word)
{
    return strrchr(word, ':');
}

static bool is_file(const char *word, const char *end)
{
    char *name = strndup(word, (size_t)(end - word));
    struct stat status;
    bool is = name && stat(name, &status) == 0 && !S_ISDIR(status.st_mode);

    free(name);
    return is;
}

const char *word_dataset_colon(const char *word)
{
    const char *found = NULL;

    for (const char *colon = strchr(word, ':'); colon; colon = strchr(colon + 1, ':')) {
        if (is_file(word, colon))
            found = colon;
    }
    if (!found)
        found = strstr(word, ":/");
    return found ? found : word_last_colon(word);
}

int word_cut(const struct word_form *form, const char *word, char **head, char **tail)
{
    const char *colon = form->colon(word);

    *head = strdup(word);
    if (!*head)
        return failure("out of memory");
    if (!colon || colon == word || !colon[1])
        return usage_error(form->command, "'%s' must be %s", word, form->right);
    *tail = *head + (colon - word);
    *(*tail)++ = '\0';
    return 0;
}
