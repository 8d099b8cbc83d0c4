/* SPDX-License-Identifier: BSD-3-Clause */
/* All numbers, then all texts. */
#include "facts.h"

#include <string.h>

enum { IS_NOINDEX = 1, IS_NOFOLLOW = 2, IS_CUT = 4, IS_HTML = 8 };

static void add_text(struct buffer *buffer, const char *text)
{
    buffer_add_text(buffer, text ? text : "", text ? strlen(text) : 0);
}

void facts_write(const struct facts *facts, struct buffer *buffer)
{
    const uint64_t numbers[] = {facts->outcome,
                                facts->status,
                                facts->size,
                                facts->duration_us,
                                facts->time_ms,
                                facts->file,
                                facts->warc_offset,
                                facts->warc_length,
                                facts->edges_end,
                                facts->link_count,
                                facts->retry_after_s,
                                (facts->is_noindex ? IS_NOINDEX : 0u) |
                                    (facts->is_nofollow ? IS_NOFOLLOW : 0u) | (facts->is_cut ? IS_CUT : 0u) |
                                    (facts->is_html ? IS_HTML : 0u)};
    const char *const texts[] = {facts->type,      facts->location, facts->etag, facts->modified,
                                 facts->canonical, facts->title,    facts->error};

    buffer_add(buffer, numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        add_text(buffer, texts[i]);
    buffer_add_text(buffer, facts->rows ? facts->rows : "", facts->rows ? facts->rows_length : 0);
}

static void read_numbers(struct facts *facts, struct reader *reader)
{
    uint64_t *const numbers[] = {&facts->size,      &facts->duration_us, &facts->time_ms,
                                 &facts->file,      &facts->warc_offset, &facts->warc_length,
                                 &facts->edges_end, &facts->link_count,  &facts->retry_after_s};
    uint64_t flags;

    facts->outcome = (enum outcome)reader_number(reader);
    facts->status = (unsigned)reader_number(reader);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = reader_number(reader);
    flags = reader_number(reader);
    facts->is_noindex = flags & IS_NOINDEX;
    facts->is_nofollow = flags & IS_NOFOLLOW;
    facts->is_cut = flags & IS_CUT;
    facts->is_html = flags & IS_HTML;
}

void facts_read(struct facts *facts, struct reader *reader)
{
    const char **const texts[] = {&facts->type,      &facts->location, &facts->etag, &facts->modified,
                                  &facts->canonical, &facts->title,    &facts->error};

    read_numbers(facts, reader);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = reader_text(reader, NULL);
    facts->rows = reader_text(reader, &facts->rows_length);
}
