/*
 * The values of chat templates, and the values that names have.
 */
#ifndef LCKV_TEXT_TEMPLATE_VALUE_H
#define LCKV_TEXT_TEMPLATE_VALUE_H

#include "base/checked.h"
#include "text/template.h"

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_ABSENT, /* None for some programs, undefined for others, and false for all of them */
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_TEXT,
    VALUE_MESSAGES, /* the messages from index `number` on */
    VALUE_MESSAGE,  /* the message at index `number` */
    VALUE_LOOP
};

struct piece {
    struct text text;
    bool is_message;
};

struct value {
    enum value_kind kind;
    int64_t number;
    const struct piece *pieces; /* of a text; they are never changed */
    size_t n_pieces;
};

struct variable {
    struct text name;
    struct value value;
};

#define TEMPLATE_MAX_VARIABLES 64 /* each name looks at all of them */
#define TEMPLATE_MAX_PIECES 1024  /* of one text */
#define TEMPLATE_MAX_INTEGER 1000000000

struct scope {
    const struct template_input *input;
    struct arena arena; /* of one call */
    size_t n_made;      /* pieces made so far; their limit bounds the memory of one call */
    size_t bytes_left;  /* how many may yet be written or compared, which bounds its time */
    struct variable variables[TEMPLATE_MAX_VARIABLES]; /* the last one with a name counts */
    size_t n_variables;
    bool in_loop;
    size_t loop_index, loop_count;
};

/*
 * The first sets how many bytes a call may write and compare; the second takes some of them, and
 * fails with LCKV_UNSUPPORTED if fewer are left.
 */
void scope_allow(struct scope *scope, size_t template_length);
CHECKED lckv_status scope_spend(struct scope *scope, size_t bytes);

struct value value_bool(bool value);
struct value value_integer(int64_t value);

/* Makes a text of one piece. */
CHECKED lckv_status value_text(struct scope *scope, struct text text, bool is_message,
                               struct value *value);

CHECKED bool value_is_true(const struct scope *scope, const struct value *value);
size_t value_count(const struct scope *scope, const struct value *messages);

CHECKED lckv_status value_equals(struct scope *scope, const struct value *a, const struct value *b,
                                 bool *equal);

/* Joins two texts. */
CHECKED lckv_status value_join(struct scope *scope, const struct value *a, const struct value *b,
                               struct value *joined);

/* Count the bytes of white space, as Python defines it, at the start or the end of a text. */
size_t template_space_at_start(struct text text);
size_t template_space_at_end(struct text text);

/* Removes the white space from both ends of a text. */
CHECKED lckv_status value_trim(struct scope *scope, struct value *value);

/* The value of a name. */
CHECKED lckv_status value_of_name(struct scope *scope, struct text name, struct value *value);

/* The role or the content of a message. Other members are undefined. */
CHECKED lckv_status value_of_member(struct scope *scope, const struct value *message,
                                    struct text name, struct value *value);

#endif
