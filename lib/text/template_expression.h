/*
 * The expressions of chat templates. template_lexer.c reads their tokens, template_primary.c names,
 * strings and calls, template_operand.c what is written behind them, and template_expression.c the
 * operators. template_method.c computes methods and filters.
 */
#ifndef LCKV_TEXT_TEMPLATE_EXPRESSION_H
#define LCKV_TEXT_TEMPLATE_EXPRESSION_H

#include "base/checked.h"
#include "text/template_value.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_INTEGER, TOKEN_STRING, TOKEN_OPERATOR };

/* Reads the inside of a tag, one token after the other. */
struct expression {
    struct scope *scope;
    struct text source;
    size_t at;    /* the offset behind the token */
    int skipping; /* above 0: what is read has no effect, as behind a false operand of `and` */
    enum token_kind kind;
    struct text token; /* a string without its quotes */
};

/* Reads the first token. */
CHECKED lckv_status expression_begin(struct expression *expression, struct scope *scope,
                                     struct text source);

/* Reads the next token. */
CHECKED lckv_status expression_next(struct expression *expression);

/* Whether the token is this name or operator. */
CHECKED bool expression_is(const struct expression *expression, const char *word);

/* LCKV_UNSUPPORTED; the message names the token. */
CHECKED lckv_status expression_refuse(const struct expression *expression);

/* Reads the next token if this one is that word, and refuses it otherwise. */
CHECKED lckv_status expression_expect(struct expression *expression, const char *word);

/* Reads a name, a string, a number, a call or an expression in parentheses. */
CHECKED lckv_status expression_primary(struct expression *expression, struct value *value);

/* Reads an operand, with the members, filters and tests behind it. */
CHECKED lckv_status expression_operand(struct expression *expression, struct value *value);

/*
 * Read an expression and give its value. The second does not take `a if b else c`, which Jinja does
 * not allow in the tags of if and for.
 */
CHECKED lckv_status expression_value(struct expression *expression, struct value *value);
CHECKED lckv_status expression_unconditional(struct expression *expression, struct value *value);

/*
 * Reads (a, b) behind a name and gives the values. More than TEMPLATE_MAX_ARGUMENTS of them are
 * refused.
 */
#define TEMPLATE_MAX_ARGUMENTS 3
struct arguments {
    struct value values[TEMPLATE_MAX_ARGUMENTS];
    size_t count;
};
CHECKED lckv_status expression_arguments(struct expression *expression,
                                         struct arguments *arguments);

/* Calls a method of a text or a message, or applies a filter to a value. */
CHECKED lckv_status expression_method(struct expression *expression, struct text name,
                                      const struct arguments *arguments, struct value *value);
CHECKED lckv_status expression_filter(struct expression *expression, struct text name,
                                      const struct arguments *arguments, struct value *value);

/* Gives what a macro writes. */
CHECKED lckv_status template_call(struct run *run, const struct macro *macro,
                                  const struct arguments *arguments, struct value *value);

/* Gives the part of a text that was split, as [index] behind split() does. */
CHECKED lckv_status expression_part_at(struct expression *expression, int64_t index,
                                       struct value *value);

/* LCKV_UNSUPPORTED unless everything has been read. */
CHECKED lckv_status expression_end(const struct expression *expression);

#endif
