/*
 * The tags of a chat template and the text between them. template_expression.h reads what is inside
 * a tag.
 */
#ifndef LCKV_TEXT_TEMPLATE_TAGS_H
#define LCKV_TEXT_TEMPLATE_TAGS_H

#include "base/checked.h"
#include "text/template_value.h"

/* A place in the template, and what happens to the white space there. */
struct place {
    size_t at;
    bool strips_space;   /* the tag before ended with -%} */
    bool strips_newline; /* the tag before was a block or a comment */
    bool at_line_start;
};

struct template_reader {
    struct text source;
    struct place place;
    template_sink sink;
    void *context;
    bool has_refused; /* the message already says where in the template */
};

enum tag_kind { TAG_END, TAG_OUTPUT, TAG_BLOCK, TAG_COMMENT };

struct tag {
    enum tag_kind kind;
    size_t begin; /* in the source */
    struct text inside;
};

/* Reads the text up to the next tag, writes it if `active`, and reads the tag. */
CHECKED lckv_status template_next_tag(struct template_reader *reader, bool active, struct tag *tag);

/* LCKV_UNSUPPORTED; the message says where byte `at` is, and `what` is wrong there. */
CHECKED lckv_status template_refuse(struct template_reader *reader, size_t at, const char *what);

#endif
