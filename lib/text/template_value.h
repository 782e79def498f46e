/*
 * The values of chat templates, and the values that names have.
 */
#ifndef LCKV_TEXT_TEMPLATE_VALUE_H
#define LCKV_TEXT_TEMPLATE_VALUE_H

#include "base/checked.h"
#include "text/template.h"

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_TEXT,
    VALUE_MESSAGES, /* the messages from index `number` on */
    VALUE_MESSAGE,  /* the message at index `number` */
    VALUE_LOOP,
    VALUE_NAMESPACE,
    VALUE_LIST,  /* of `number` values */
    VALUE_RANGE, /* `n_pieces` numbers from `number` up, or down if it is reversed */
    VALUE_MACRO,
    VALUE_PARTS,  /* of a text, as split() gives them: at most `number` splits, if it is not 0 */
    VALUE_CLOCK,  /* strftime_now, which is called for the date */
    VALUE_UNKNOWN /* what lckv does not compute: whatever depends on it is refused */
};

struct macro;
struct run;

struct piece {
    struct text text;
    bool is_message;
};

struct value {
    enum value_kind kind;
    int64_t number;
    const struct piece *pieces; /* of a text; they are never changed */
    size_t n_pieces;
    bool is_reversed;          /* messages, from the last one back to `number` */
    struct text separator;     /* of parts */
    struct namespace *members; /* of a namespace */
    struct value *elements;    /* of a list */
    const struct macro *macro;
};

struct variable {
    struct text name;
    struct value value;
};

/* The innermost loop. */
struct loop {
    bool is_running;
    size_t index, count;
    struct value sequence;
};

/* A namespace: variables that can be set from within a loop. */
#define TEMPLATE_MAX_MEMBERS 12
struct namespace
{
    struct variable members[TEMPLATE_MAX_MEMBERS];
    size_t n_members;
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
    size_t first_local;              /* variables from here on belong to the outermost loop */
    size_t hidden_begin, hidden_end; /* variables that a macro does not see: its caller's */
    struct loop loop;
    struct run *run;
};

/*
 * The first sets how many bytes a call may write and compare; the second takes some of them, and
 * fails with LCKV_UNSUPPORTED if fewer are left.
 */
void scope_allow(struct scope *scope, size_t template_length);
CHECKED lckv_status scope_spend(struct scope *scope, size_t bytes);

/* Gives a name a value. */
CHECKED lckv_status scope_set(struct scope *scope, struct text name, const struct value *value);

struct value value_bool(bool value);
struct value value_integer(int64_t value);

/* Makes a text of one piece. */
CHECKED lckv_status value_text(struct scope *scope, struct text text, bool is_message,
                               struct value *value);

/* Whether the value is true for `if`. */
CHECKED lckv_status value_truth(const struct scope *scope, const struct value *value, bool *holds);

/* How many messages there are, and the one at an index, which is undefined if it is out of range. */
size_t value_count(const struct scope *scope, const struct value *messages);
struct value value_element(const struct scope *scope, const struct value *messages, int64_t index);

CHECKED lckv_status value_equals(struct scope *scope, const struct value *a, const struct value *b,
                                 bool *equal);

/* Joins two texts. */
CHECKED lckv_status value_join(struct scope *scope, const struct value *a, const struct value *b,
                               struct value *joined);

/* Count the bytes of white space, as Python defines it, at the start or the end of a text. */
size_t template_space_at_start(struct text text);
size_t template_space_at_end(struct text text);

/* Removes the white space from the start and the end of a text, or from one of them. */
CHECKED lckv_status value_trim(struct scope *scope, struct value *value, bool start, bool end);

/* The bytes of a text in one piece, if all of them come from messages, or none. */
CHECKED lckv_status value_flat(struct scope *scope, const struct value *value, struct piece *flat);

/* The same for a text that is searched for, which is at most TEMPLATE_MAX_PART bytes long. */
#define TEMPLATE_MAX_PART 256
CHECKED lckv_status value_part(struct scope *scope, const struct value *value, struct text *part);

/* The offset of `part` in `whole`, looked for from an offset on; SIZE_MAX if it is not there. */
CHECKED size_t template_find(struct text whole, struct text part, size_t from);

CHECKED lckv_status value_namespace(struct scope *scope, struct value *value);
CHECKED lckv_status namespace_set(struct namespace *members, struct text name,
                                  const struct value *value);

/* The value of a name. */
CHECKED lckv_status value_of_name(struct scope *scope, struct text name, struct value *value);

/* A member of a message, which has a role and a content, or of a namespace; or undefined. */
CHECKED lckv_status value_of_member(struct scope *scope, const struct value *owner,
                                    struct text name, struct value *value);

#endif
