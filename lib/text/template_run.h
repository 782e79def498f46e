/*
 * The statements of chat templates. template.c has output, if and set; template_loop.c for;
 * template_macro.c macros.
 */
#ifndef LCKV_TEXT_TEMPLATE_RUN_H
#define LCKV_TEXT_TEMPLATE_RUN_H

#include "base/checked.h"
#include "text/template_expression.h"
#include "text/template_tags.h"

struct run {
    struct template_reader reader;
    struct scope scope;
    int nesting; /* of if, for and macro */
    int n_calls; /* of macros, one within the other */
};

/* The block tag that ended a body. Its keyword has been read. */
struct ending {
    struct tag tag;
    struct expression expression;
};

/* Where the body of a macro is, and the inside of the tag before it. */
struct macro {
    struct place body;
    struct text inside;
};

/* Runs a body up to the tag that ends it, or the whole template up to the end of its source. */
CHECKED lckv_status template_run_body(struct run *run, bool active, struct ending *ending);

/* Run the tags of for and macro, whose first word has been read, with their bodies. */
CHECKED lckv_status template_run_for(struct run *run, struct expression *expression, bool active);
CHECKED lckv_status template_define_macro(struct run *run, struct expression *expression,
                                          bool active);

/* Pays for reading a body that begins at `begin` and ends where the reader is. */
CHECKED lckv_status template_pay_for_body(struct run *run, size_t begin);

#endif
