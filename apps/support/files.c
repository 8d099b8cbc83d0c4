/* SPDX-License-Identifier: BSD-3-Clause */
#include "files.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* Takes over the name. */
static int put(struct file_list *list, char *name)
{
    /* Room is doubled where the count is a power of two. */
    if (name && !(list->count & (list->count + 1))) {
        char **grown = realloc(list->names, (2 * list->count + 2) * sizeof *grown);

        if (!grown) {
            free(name);
            return failure("out of memory");
        }
        list->names = grown;
    }
    if (!name)
        return failure("out of memory");
    list->names[list->count++] = name;
    list->names[list->count] = NULL;
    return 0;
}

static int match(const char *pattern, struct file_list *list)
{
    glob_t found;
    int exit_status = 0, status = glob(pattern, 0, NULL, &found);

    if (status == GLOB_NOMATCH)
        return failure("no file matches '%s'", pattern);
    if (status)
        return failure("files that match '%s' cannot be searched for: %s", pattern, strerror(errno));
    for (size_t i = 0; i < found.gl_pathc && !exit_status; i++)
        exit_status = put(list, strdup(found.gl_pathv[i]));
    globfree(&found);
    return exit_status;
}

static int read_list(const char *path, struct file_list *list)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    int exit_status = 0;

    if (!file)
        return failure("the list of files '%s' cannot be opened: %s", path, strerror(errno));
    for (ssize_t length; !exit_status && (length = getline(&line, &room, file)) >= 0;) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (length > 0)
            exit_status = put(list, strdup(line));
    }
    free(line);
    if (!exit_status && ferror(file))
        exit_status = failure("the list of files '%s' cannot be read: %s", path, strerror(errno));
    fclose(file);
    return exit_status || list->count ? exit_status : failure("the list of files '%s' is empty", path);
}

int files_expand(const char *word, struct file_list *list)
{
    int exit_status = 0;

    *list = (struct file_list){NULL, 0};
    if (!access(word, F_OK))
        return 0;
    if (word[0] == '@')
        exit_status = read_list(word + 1, list);
    else if (strpbrk(word, "*?["))
        exit_status = match(word, list);
    if (exit_status)
        files_free(list);
    return exit_status;
}

void files_free(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct file_list){NULL, 0};
}
