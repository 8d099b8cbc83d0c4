/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of variable length in structs that were read: HDF5 puts a pointer there, or a length with a pointer, and
 * tasks get an mpm_span in its place, whatever HDF5 had. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/element.h"

#define ALIGNMENT 16

_Static_assert(sizeof(hvl_t) <= sizeof(mpm_span) && sizeof(char *) <= sizeof(mpm_span),
               "a span takes the place of what HDF5 puts there");

int spans_add(struct span_fields *spans, size_t offset, struct variable_type type)
{
    struct span_field *grown = realloc(spans->field, (spans->count + 1) * sizeof *grown);

    if (!grown)
        return error_set(MPM_ENOMEM, "no memory for the fields of a struct");
    grown[spans->count++] = (struct span_field){offset, type};
    spans->field = grown;
    return 0;
}

void spans_end(struct span_fields *spans)
{
    free(spans->field);
    *spans = (struct span_fields){0};
}

mpm_span span_of(struct variable_type type, const void *raw)
{
    static const _Alignas(ALIGNMENT) unsigned char nothing[ALIGNMENT];
    mpm_span span;

    if (type.is_text) {
        const char *text;

        memcpy(&text, raw, sizeof text);
        span = (mpm_span){text, text ? strlen(text) : 0};
    } else {
        hvl_t array;

        memcpy(&array, raw, sizeof array);
        span = (mpm_span){array.p, array.p ? array.len * type.element_size : 0};
    }
    if (!span.size)
        span.at = nothing;
    return span;
}

void spans_settle(const struct span_fields *spans, size_t count, void *structs)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < spans->count; k++) {
            unsigned char *at = (unsigned char *)structs + i * spans->size + spans->field[k].offset;
            const mpm_span span = span_of(spans->field[k].type, at);

            memcpy(at, &span, sizeof span);
        }
    }
}
