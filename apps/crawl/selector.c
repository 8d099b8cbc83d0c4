/* SPDX-License-Identifier: BSD-3-Clause */
/* A selector is matched from its last part to its first, as browsers do: most elements fail at once. */
#include "selector.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"

#define MOST_PARTS   16 /* of a selector between its combinators */
#define MOST_TESTS   16 /* of a part */
#define MOST_CHOICES 16 /* between commas */

enum test_kind {
    TEST_CLASS,
    TEST_HAS,        /* [name] */
    TEST_EQUALS,     /* [name=value], #value */
    TEST_HAS_WORD,   /* ~= */
    TEST_HAS_PREFIX, /* |=: the value, or the value and a dash */
    TEST_BEGINS,     /* ^= */
    TEST_ENDS,       /* $= */
    TEST_CONTAINS,   /* *= */
    TEST_NTH,        /* the N-th of its siblings, from 1 */
    TEST_LAST,
};

struct test {
    enum test_kind kind;
    char *name, *value;
    unsigned long number;
};

struct part {
    char *tag; /* NULL: any */
    GumboTag tag_number;
    struct test tests[MOST_TESTS];
    size_t test_count;
    char combinator; /* between this part and the one before */
};

struct choice {
    struct part parts[MOST_PARTS];
    size_t count;
};

struct selector {
    struct choice choices[MOST_CHOICES];
    size_t count;
};

/* What is read, and where. */
struct reading {
    const char *at, *end;
    const char *error;
};

static bool is_name_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '-' || byte == '_' || (unsigned char)byte >= 0x80;
}

static char peek(const struct reading *reading)
{
    return reading->at < reading->end ? *reading->at : 0;
}

static bool pass_space(struct reading *reading)
{
    const char *at = reading->at;

    while (isspace((unsigned char)peek(reading)))
        reading->at++;
    return reading->at != at;
}

/* A name; NULL, and the error, if there is none. */
static char *read_name(struct reading *reading, const char *error)
{
    const char *at = reading->at;

    while (is_name_byte(peek(reading)))
        reading->at++;
    if (reading->at == at) {
        reading->error = error;
        return NULL;
    }
    return must_copy(at, (size_t)(reading->at - at));
}

static char *read_value(struct reading *reading)
{
    char quote = peek(reading);
    const char *at, *close;

    if (quote != '"' && quote != '\'')
        return read_name(reading, "a value is missing behind =");
    at = reading->at + 1;
    if (!(close = memchr(at, quote, (size_t)(reading->end - at)))) {
        reading->error = "a quote is not closed";
        return NULL;
    }
    reading->at = close + 1;
    return must_copy(at, (size_t)(close - at));
}

static void add_test(struct reading *reading, struct part *part, struct test test)
{
    if (part->test_count < MOST_TESTS) {
        part->tests[part->test_count++] = test;
        return;
    }
    reading->error = "it has too many conditions";
    free(test.name);
    free(test.value);
}

static void read_attribute(struct reading *reading, struct part *part)
{
    static const char operators[] = "~|^$*";
    static const enum test_kind kinds[] = {TEST_HAS_WORD, TEST_HAS_PREFIX, TEST_BEGINS, TEST_ENDS,
                                           TEST_CONTAINS};
    struct test test = {.kind = TEST_HAS};
    const char *found;

    pass_space(reading);
    test.name = read_name(reading, "an attribute's name is missing behind [");
    pass_space(reading);
    if (peek(reading) && (found = strchr(operators, peek(reading)))) {
        test.kind = kinds[found - operators];
        reading->at++;
        if (peek(reading) != '=')
            reading->error = "= is missing in [ ]";
    } else if (peek(reading) == '=') {
        test.kind = TEST_EQUALS;
    }
    if (test.kind != TEST_HAS && !reading->error) {
        reading->at++;
        pass_space(reading);
        test.value = read_value(reading);
        pass_space(reading);
    }
    if (!reading->error && peek(reading) != ']')
        reading->error = "] is missing";
    reading->at += !reading->error;
    add_test(reading, part, test);
}

static void read_pseudo(struct reading *reading, struct part *part)
{
    char *name = read_name(reading, "a name is missing behind :");
    struct test test = {.kind = TEST_NTH, .number = 1};
    char *end;

    if (!name)
        return;
    if (!strcasecmp(name, "last-child")) {
        test.kind = TEST_LAST;
    } else if (!strcasecmp(name, "nth-child") && peek(reading) == '(') {
        test.number = strtoul(reading->at + 1, &end, 10);
        if (!test.number || end >= reading->end || *end != ')')
            reading->error = ":nth-child() needs a number from 1";
        else
            reading->at = end + 1;
    } else if (strcasecmp(name, "first-child")) {
        reading->error = "of what begins with : only first-child, last-child and nth-child(N) are known";
    }
    free(name);
    add_test(reading, part, test);
}

static void read_part(struct reading *reading, struct part *part)
{
    const char *begin = reading->at;

    if (peek(reading) == '*') {
        reading->at++;
    } else if (is_name_byte(peek(reading))) {
        part->tag = read_name(reading, "");
        part->tag_number = gumbo_tag_enum(part->tag);
    }
    while (!reading->error) {
        char byte = peek(reading);

        if (!byte || !strchr(".#[:", byte))
            break;
        reading->at++;
        if (byte == '.')
            add_test(reading, part,
                     (struct test){.kind = TEST_CLASS, .value = read_name(reading, "a class is missing")});
        else if (byte == '#')
            add_test(reading, part,
                     (struct test){.kind = TEST_EQUALS,
                                   .name = must_copy("id", 2),
                                   .value = read_name(reading, "an id is missing")});
        else if (byte == '[')
            read_attribute(reading, part);
        else
            read_pseudo(reading, part);
    }
    if (!reading->error && reading->at == begin)
        reading->error = "an element is missing";
}

/* One choice, up to a comma or the end. */
static void read_choice(struct reading *reading, struct choice *choice)
{
    char combinator = ' ';

    pass_space(reading);
    for (;;) {
        if (choice->count == MOST_PARTS) {
            reading->error = "it has too many parts";
            return;
        }
        struct part *part = &choice->parts[choice->count++];

        part->combinator = combinator;
        read_part(reading, part);
        bool has_space = pass_space(reading);
        char next = peek(reading);

        if (reading->error || !next || next == ',')
            return;
        combinator = ' ';
        if (strchr(">+~", next)) {
            combinator = next;
            reading->at++;
            pass_space(reading);
        } else if (!has_space) {
            reading->error = "it has a character that means nothing there";
            return;
        }
    }
}

struct selector *selector_parse(const char *text, size_t length, const char **error)
{
    struct reading reading = {text, text + length, NULL};
    struct selector *selector = must_realloc(NULL, sizeof *selector);

    memset(selector, 0, sizeof *selector);
    do {
        if (selector->count == MOST_CHOICES)
            reading.error = "it has too many commas";
        else
            read_choice(&reading, &selector->choices[selector->count++]);
    } while (!reading.error && peek(&reading) == ',' && reading.at++);
    if (!reading.error)
        return selector;
    *error = reading.error;
    selector_free(selector);
    return NULL;
}

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    for (size_t i = 0; i < selector->count; i++) {
        for (size_t k = 0; k < selector->choices[i].count; k++) {
            struct part *part = &selector->choices[i].parts[k];

            free(part->tag);
            for (size_t m = 0; m < part->test_count; m++) {
                free(part->tests[m].name);
                free(part->tests[m].value);
            }
        }
    }
    free(selector);
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = text; *at;) {
        size_t size = strcspn(at, " \t\n\r\f");

        if (size == length && length && !memcmp(at, word, length))
            return true;
        at += size;
        at += strspn(at, " \t\n\r\f");
    }
    return false;
}

static bool compare(const struct test *test, const char *text)
{
    size_t length = test->value ? strlen(test->value) : 0, size = strlen(text);

    switch (test->kind) {
    case TEST_CLASS:
    case TEST_HAS_WORD:
        return has_word(text, test->value);
    case TEST_EQUALS:
        return !strcmp(text, test->value);
    case TEST_HAS_PREFIX:
        return !strncmp(text, test->value, length) && (!text[length] || text[length] == '-');
    case TEST_BEGINS:
        return length && !strncmp(text, test->value, length);
    case TEST_ENDS:
        return length && size >= length && !strcmp(text + size - length, test->value);
    case TEST_CONTAINS:
        return length && strstr(text, test->value);
    default:
        return true;
    }
}

static const GumboNode *sibling_before(const GumboNode *node)
{
    const GumboNode *before = NULL;

    if (!node->parent || node->parent->type != GUMBO_NODE_ELEMENT)
        return NULL;
    const GumboVector *children = &node->parent->v.element.children;

    for (unsigned i = 0; i < children->length && children->data[i] != node; i++) {
        const GumboNode *child = children->data[i];

        if (child->type == GUMBO_NODE_ELEMENT)
            before = child;
    }
    return before;
}

static bool is_nth(const GumboNode *node, unsigned long number)
{
    while (number > 1 && (node = sibling_before(node)))
        number--;
    return number == 1 && node && !sibling_before(node);
}

static bool is_last(const GumboNode *node)
{
    if (!node->parent || node->parent->type != GUMBO_NODE_ELEMENT)
        return true;
    const GumboVector *children = &node->parent->v.element.children;

    for (unsigned i = children->length; i-- > 0;) {
        const GumboNode *child = children->data[i];

        if (child->type == GUMBO_NODE_ELEMENT)
            return child == node;
    }
    return false;
}

static bool passes(const struct test *test, const GumboNode *node)
{
    const GumboAttribute *attribute;

    if (test->kind == TEST_NTH)
        return is_nth(node, test->number);
    if (test->kind == TEST_LAST)
        return is_last(node);
    attribute = gumbo_get_attribute(&node->v.element.attributes,
                                    test->kind == TEST_CLASS ? "class" : test->name);
    return attribute && compare(test, attribute->value);
}

static bool has_tag(const struct part *part, const GumboNode *node)
{
    if (!part->tag)
        return true;
    if (part->tag_number != GUMBO_TAG_UNKNOWN)
        return node->v.element.tag == part->tag_number;
    GumboStringPiece name = node->v.element.original_tag;

    gumbo_tag_from_original_text(&name);
    return name.length == strlen(part->tag) && !strncasecmp(name.data, part->tag, name.length);
}

static bool part_matches(const struct part *part, const GumboNode *node)
{
    if (!has_tag(part, node))
        return false;
    for (size_t i = 0; i < part->test_count; i++) {
        if (!passes(&part->tests[i], node))
            return false;
    }
    return true;
}

/* The next element to try for the part before, going away from `node` by the combinator. */
static const GumboNode *step(char combinator, const GumboNode *node)
{
    if (combinator == '+' || combinator == '~')
        return sibling_before(node);
    return node->parent && node->parent->type == GUMBO_NODE_ELEMENT ? node->parent : NULL;
}

/* Recursion as deep as the selector has parts. */
static bool choice_matches(const struct choice *choice, size_t part, const GumboNode *node)
{
    char combinator = choice->parts[part].combinator;

    if (!part_matches(&choice->parts[part], node))
        return false;
    if (!part)
        return true;
    while ((node = step(combinator, node))) {
        if (choice_matches(choice, part - 1, node))
            return true;
        if (combinator == '>' || combinator == '+')
            return false;
    }
    return false;
}

bool selector_matches(const struct selector *selector, const GumboNode *node)
{
    if (node->type != GUMBO_NODE_ELEMENT && node->type != GUMBO_NODE_TEMPLATE)
        return false;
    for (size_t i = 0; i < selector->count; i++) {
        if (choice_matches(&selector->choices[i], selector->choices[i].count - 1, node))
            return true;
    }
    return false;
}
