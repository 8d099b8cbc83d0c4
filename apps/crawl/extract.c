/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker parses one page at a time by Gumbo. All memory of a page's tree comes from blocks that are used again for
 * the next page: freeing a tree node by node would take a third of the time. Trees are walked with a stack of their
 * own, so a page that nests deeply costs memory and no stack. */
#include "extract.h"

#include <gumbo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "decode.h"
#include "message.h"
#include "selector.h"
#include "url.h"

#define BLOCK_SIZE  (1u << 20)
#define MOST_BLOCKS 32          /* that are kept for the next page */
#define MOST_CELL   (64u << 10) /* bytes of a cell: longer texts are cut */
#define MOST_ROWS   100000u     /* of a page */

struct column {
    char *name;
    enum column_type type;
    char *attribute;           /* NULL: the text */
    struct selector *selector; /* NULL: the element of the row itself */
};

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(16) char bytes[];
};

struct walk_level {
    const GumboNode *node;
    unsigned next; /* child */
};

/* What a worker keeps from page to page. */
struct extraction {
    struct selector *each; /* NULL: a row is a page */
    struct column *columns;
    size_t column_count;
    struct block *blocks, *current;
    struct buffer utf8, message, cell;
    struct url_base base; /* of the page */
};

/* A walk over the elements and texts below a node, in the order of the document. */
struct walk {
    struct walk_level *levels;
    size_t depth, room;
};

static const char *const type_names[] = {"text", "f64", "i64", "bool", "url", "count", "list"};

const char *column_read(const char *specification, char **name, enum column_type *type, const char **error)
{
    size_t length = strcspn(specification, ":=");
    const char *equals = strchr(specification, '='), *word = specification + length + 1;

    *type = COLUMN_TEXT;
    if (!length || !equals) {
        *error = "it must be NAME=SELECTOR or NAME:TYPE=SELECTOR";
        return NULL;
    }
    if (specification[length] == ':') {
        size_t size = (size_t)(equals - word), i = 0;

        while (i < sizeof type_names / sizeof type_names[0] &&
               (strlen(type_names[i]) != size || memcmp(type_names[i], word, size)))
            i++;
        if (i == sizeof type_names / sizeof type_names[0]) {
            *error = "its type must be text, f64, i64, bool, url, count or list";
            return NULL;
        }
        *type = (enum column_type)i;
    }
    *name = must_copy(specification, length);
    return equals + 1;
}

/* The @ that an attribute stands behind: the last one outside of brackets. */
static const char *find_at_sign(const char *text)
{
    const char *found = NULL;
    int inside = 0;

    for (; *text; text++) {
        inside += (*text == '[') - (*text == ']');
        if (*text == '@' && !inside)
            found = text;
    }
    return found;
}

static bool read_column(const char *specification, struct column *column, const char **error)
{
    const char *rest, *sign;
    size_t length;

    *column = (struct column){0};
    if (!(rest = column_read(specification, &column->name, &column->type, error)))
        return false;
    sign = find_at_sign(rest);
    length = sign ? (size_t)(sign - rest) : strlen(rest);
    if (sign)
        column->attribute = must_copy(sign + 1, strlen(sign + 1));
    while (length && rest[length - 1] == ' ')
        length--;
    if (!length)
        return true;
    return (column->selector = selector_parse(rest, length, error));
}

static void free_column(struct column *column)
{
    free(column->name);
    free(column->attribute);
    selector_free(column->selector);
}

int extract_check(const char *each, const struct text_list *columns)
{
    const char *error = NULL;
    struct selector *selector = each ? selector_parse(each, strlen(each), &error) : NULL;

    selector_free(selector);
    if (each && !selector)
        return usage_error("", "--each '%s': %s", each, error);
    for (size_t i = 0; i < columns->count; i++) {
        struct column column;
        bool is_good = read_column(columns->texts[i], &column, &error);

        free_column(&column);
        if (!is_good)
            return usage_error("", "--select '%s': %s", columns->texts[i], error);
    }
    return 0;
}

int extract_initializer(mpm_call *call, const void *argument, size_t argument_size, void **state)
{
    struct reader reader = {argument, (const char *)argument + argument_size, false};
    struct extraction *extraction = must_realloc(NULL, sizeof *extraction);
    const char *each = reader_text(&reader, NULL), *error = NULL;

    *extraction = (struct extraction){0};
    if (*each && !(extraction->each = selector_parse(each, strlen(each), &error)))
        return mpm_fail(call, "--each '%s': %s", each, error);
    while (reader.at < reader.end && !reader.is_bad) {
        const char *specification = reader_text(&reader, NULL);

        extraction->columns = must_realloc(extraction->columns,
                                           (extraction->column_count + 1) * sizeof *extraction->columns);
        if (!read_column(specification, &extraction->columns[extraction->column_count++], &error))
            return mpm_fail(call, "--select '%s': %s", specification, error);
    }
    *state = extraction;
    return 0;
}

/* A new block, behind the current one. */
static struct block *add_block(struct extraction *extraction, size_t size)
{
    struct block *block = must_realloc(NULL, sizeof *block + size);
    struct block **at = extraction->current ? &extraction->current->next : &extraction->blocks;

    *block = (struct block){*at, size, 0};
    *at = block;
    return block;
}

/* Gumbo's memory: the next bytes of a block. What takes more than a small part of one leaves the current block so. */
static void *take_memory(void *argument, size_t size)
{
    struct extraction *extraction = argument;
    struct block *block = extraction->current;

    size = (size + 15) & ~(size_t)15;
    while (block && block->size - block->used < size)
        block = block->next;
    if (!block)
        block = add_block(extraction, size > BLOCK_SIZE ? size : BLOCK_SIZE);
    if (size <= BLOCK_SIZE / 16)
        extraction->current = block;
    block->used += size;
    return block->bytes + block->used - size;
}

static void keep_memory(void *argument, void *memory)
{
    (void)argument, (void)memory;
}

/* All blocks are free again, in their order, so that the next page gets those that the caches have. Large ones, and
 * more than a few, go back. */
static void reset_memory(struct extraction *extraction)
{
    struct block **at = &extraction->blocks, *block;
    size_t count = 0;

    while ((block = *at)) {
        if (block->size > BLOCK_SIZE || count >= MOST_BLOCKS) {
            *at = block->next;
            free(block);
        } else {
            block->used = 0;
            at = &block->next;
            count++;
        }
    }
    extraction->current = extraction->blocks;
}

static void walk_push(struct walk *walk, const GumboNode *node)
{
    if (walk->depth == walk->room) {
        walk->room = walk->room ? walk->room * 2 : 64;
        walk->levels = must_realloc(walk->levels, walk->room * sizeof *walk->levels);
    }
    walk->levels[walk->depth++] = (struct walk_level){node, 0};
}

static const GumboVector *children_of(const GumboNode *node)
{
    static const GumboVector none = {NULL, 0, 0};

    return node->type == GUMBO_NODE_ELEMENT || node->type == GUMBO_NODE_TEMPLATE ? &node->v.element.children
                                                                                 : &none;
}

/* The next node below the one that the walk has begun with; NULL at the end. */
static const GumboNode *walk_next(struct walk *walk)
{
    while (walk->depth) {
        struct walk_level *level = &walk->levels[walk->depth - 1];
        const GumboVector *children = children_of(level->node);

        if (level->next < children->length) {
            const GumboNode *child = children->data[level->next++];

            walk_push(walk, child);
            return child;
        }
        walk->depth--;
    }
    return NULL;
}

/* Does not go into the children of the node that came last. */
static void walk_skip(struct walk *walk)
{
    walk->depth--;
}

static bool is_silent(const GumboNode *node)
{
    return node->type == GUMBO_NODE_ELEMENT &&
           (node->v.element.tag == GUMBO_TAG_SCRIPT || node->v.element.tag == GUMBO_TAG_STYLE);
}

/* Appends text with white space as browsers show it: one blank, and none at the ends. */
static void add_words(struct buffer *cell, size_t begin, const char *text, bool *has_gap)
{
    for (; *text && cell->size - begin < MOST_CELL; text++) {
        bool is_space = strchr(" \t\n\r\f", *text);

        if (is_space) {
            *has_gap = true;
            continue;
        }
        if (*has_gap && cell->size > begin)
            buffer_add(cell, " ", 1);
        *has_gap = false;
        buffer_add(cell, text, 1);
    }
}

static void add_text_of(struct buffer *cell, const GumboNode *node)
{
    struct walk walk = {0};
    size_t begin = cell->size;
    bool has_gap = false;

    walk_push(&walk, node);
    for (const GumboNode *below; (below = walk_next(&walk));) {
        if (is_silent(below))
            walk_skip(&walk);
        else if (below->type == GUMBO_NODE_TEXT || below->type == GUMBO_NODE_CDATA ||
                 below->type == GUMBO_NODE_WHITESPACE)
            add_words(cell, begin, below->v.text.text, &has_gap);
    }
    free(walk.levels);
}

/* Returns false if the element has no such attribute. */
static bool add_value(struct extraction *extraction, const struct column *column, const GumboNode *node)
{
    const GumboAttribute *attribute;
    bool has_gap = false;

    if (!column->attribute) {
        add_text_of(&extraction->cell, node);
        return true;
    }
    if (!(attribute = gumbo_get_attribute(&node->v.element.attributes, column->attribute)))
        return false;
    add_words(&extraction->cell, extraction->cell.size, attribute->value, &has_gap);
    return true;
}

/* The first number of a text, as people write it: "EUR 1,234.50". Returns false if there is none. */
static bool read_amount(const char *text, double *amount)
{
    char digits[64];
    size_t size = 0;
    const char *at = text + strcspn(text, "0123456789");

    if (!*at)
        return false;
    if (at > text && at[-1] == '.')
        digits[size++] = '.', at -= at > text + 1 && at[-2] == '-';
    if (at > text && at[-1] == '-' && (at == text + 1 || strchr(" \xa0(", at[-2]) || at[-2] == at[-1]))
        digits[size++] = '-';
    for (; *at && size + 1 < sizeof digits; at++) {
        bool is_group = *at == ',' && strspn(at + 1, "0123456789") == 3; /* 1,234 */

        if (strchr("0123456789.", *at) || (strchr("eE", *at) && strchr("+-0123456789", at[1]) && at[1]) ||
            (strchr("+-", *at) && strchr("eE", at[-1])))
            digits[size++] = *at;
        else if (!is_group)
            break;
    }
    digits[size] = 0;
    *amount = strtod(digits, NULL);
    return true;
}

/* Makes of the text in the cell what the type wants. Returns false if there is nothing of it. */
static bool convert(struct extraction *extraction, enum column_type type)
{
    struct buffer *cell = &extraction->cell;
    char url[URL_ROOM];
    double amount;
    size_t length;

    buffer_add(cell, "", 1);
    cell->size--;
    if (type == COLUMN_URL) {
        if (!(length = url_resolve(&extraction->base, cell->bytes, cell->size, url)))
            return false;
        cell->size = 0;
        buffer_add(cell, url, length);
    } else if (type == COLUMN_F64 || type == COLUMN_I64) {
        if (!read_amount(cell->bytes, &amount))
            return false;
        cell->size = 0;
        if (type == COLUMN_F64)
            buffer_print(cell, "%.17g", amount);
        else
            buffer_print(cell, "%lld", (long long)amount);
    }
    return true;
}

/* Fills the cell with what the column finds below a row's element. Returns false if there is nothing. */
static bool find_cell(struct extraction *extraction, const struct column *column, const GumboNode *row)
{
    struct walk walk = {0};
    size_t count = 0;
    bool wants_all = column->type == COLUMN_COUNT || column->type == COLUMN_LIST;

    extraction->cell.size = 0;
    if (!column->selector)
        return row->type == GUMBO_NODE_ELEMENT && add_value(extraction, column, row) &&
               convert(extraction, column->type);
    walk_push(&walk, row);
    for (const GumboNode *node; (node = walk_next(&walk)) && (wants_all || !count);) {
        if (!selector_matches(column->selector, node))
            continue;
        if (column->type == COLUMN_LIST && count && extraction->cell.size < MOST_CELL)
            buffer_add(&extraction->cell, &(char){CELL_SEPARATOR}, 1);
        if (column->type == COLUMN_COUNT || column->type == COLUMN_BOOL ||
            (extraction->cell.size < MOST_CELL && add_value(extraction, column, node)))
            count++;
    }
    free(walk.levels);
    if (column->type == COLUMN_COUNT || column->type == COLUMN_BOOL) {
        extraction->cell.size = 0;
        buffer_print(&extraction->cell, "%zu", count);
        return true;
    }
    return count && convert(extraction, column->type);
}

static void add_row(struct extraction *extraction, const GumboNode *row)
{
    for (size_t i = 0; i < extraction->column_count; i++) {
        bool is_there = find_cell(extraction, &extraction->columns[i], row);

        buffer_add_number(&extraction->message, is_there);
        buffer_add_text(&extraction->message, extraction->cell.bytes, is_there ? extraction->cell.size : 0);
    }
}

/* The page's own <base>. */
static void find_base(struct extraction *extraction, const GumboNode *root)
{
    struct walk walk = {0};
    char url[URL_ROOM];
    size_t length;

    walk_push(&walk, root);
    for (const GumboNode *node; (node = walk_next(&walk));) {
        const GumboAttribute *href;

        if (node->type != GUMBO_NODE_ELEMENT)
            continue;
        if (node->v.element.tag == GUMBO_TAG_BODY)
            break;
        if (node->v.element.tag == GUMBO_TAG_BASE &&
            (href = gumbo_get_attribute(&node->v.element.attributes, "href")) &&
            (length = url_resolve(&extraction->base, href->value, strlen(href->value), url)))
            url_base_set(&extraction->base, url, length);
    }
    free(walk.levels);
}

/* The rows, as one text within the message: their number, and their cells. */
static void add_rows(struct extraction *extraction, const GumboNode *root)
{
    struct walk walk = {0};
    size_t length_at = extraction->message.size, count_at;
    uint64_t count = 0, length;

    buffer_add_number(&extraction->message, 0);
    count_at = extraction->message.size;
    buffer_add_number(&extraction->message, 0);
    walk_push(&walk, root);
    if (!extraction->each) {
        add_row(extraction, root);
        count = 1;
    }
    for (const GumboNode *node; extraction->each && count < MOST_ROWS && (node = walk_next(&walk));) {
        if (selector_matches(extraction->each, node)) {
            add_row(extraction, node);
            count++;
        }
    }
    free(walk.levels);
    length = extraction->message.size - count_at;
    memcpy(extraction->message.bytes + length_at, &length, sizeof length);
    memcpy(extraction->message.bytes + count_at, &count, sizeof count);
    buffer_add(&extraction->message, "", 1);
}

static void parse(struct extraction *extraction, const char *text, size_t size)
{
    GumboOptions options = kGumboDefaultOptions;
    GumboOutput *output;

    options.allocator = take_memory;
    options.deallocator = keep_memory;
    options.userdata = extraction;
    options.max_errors = 0;
    output = gumbo_parse_with_options(&options, text, size);
    find_base(extraction, output->root);
    add_rows(extraction, output->root);
}

int extract_task(mpm_call *call, const void *item, void *result)
{
    const struct extract_item *page = item;
    struct extraction *extraction = mpm_call_state(call);
    const char *texts = mpm_call_context(call);
    struct reader reader = {texts + page->begin, texts + page->end, false};
    const char *url = reader_text(&reader, NULL), *type = reader_text(&reader, NULL);
    const char *text = reader.at;
    size_t size = (size_t)(reader.end - text);
    char charset[32];

    (void)result;
    url_base_set(&extraction->base, url, strlen(url));
    decode_charset(text, size, type, charset);
    if (decode_to_utf8(text, size, charset, &extraction->utf8)) {
        text = extraction->utf8.bytes;
        size = extraction->utf8.size;
    }
    extraction->message.size = 0;
    buffer_add_number(&extraction->message, INBOX_ROWS);
    buffer_add_number(&extraction->message, page->ticket);
    parse(extraction, text, size);
    reset_memory(extraction);
    buffer_add_text(&extraction->message, "", 0);
    if (mpm_queue_put(page->inbox, extraction->message.bytes, extraction->message.size, MPM_FOREVER))
        return mpm_fail(call, "%s", mpm_error());
    return 0;
}
