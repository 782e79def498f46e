/*
 * The use of one option: its names, and checking and storing its value.
 */
#ifndef TOOLS_OPTION_USE_H
#define TOOLS_OPTION_USE_H

#include "options.h"

/* The letter in the spelling, or 0. */
char option_letter(const struct option *option);

/* The long name in the spelling, without dashes; it ends after `length` bytes, not with a NUL. */
const char *option_name(const struct option *option, int *length);

/* "--NAME" for messages. */
struct option_text {
    char text[40];
};
struct option_text option_text(const struct option *option);

struct option_use {
    const char *command;
    const struct option *option;
    const char *value; /* NULL for a flag */
};

/* Stores the value. Complains and returns an exit status. */
int option_store(const struct option_use *use);

#endif
