/*
 * Prints texts that others wrote (in files, by models, on the command line) for people: nothing in
 * them may control the terminal or look like a line of ours.
 *
 * Control characters, bidirectional overrides and bytes that are no UTF-8 are written as escapes:
 * \n, \x1b, \u202e, \xff. Everything else stays as it is, backslashes too.
 */
#ifndef TOOLS_SHOW_H
#define TOOLS_SHOW_H

#include <stddef.h>
#include <stdio.h>

/* Prints a name or a message, which stays on one line. */
void show_line(FILE *file, const char *text, size_t length);

/* The same as a string for printf. A long text is cut and ends with "...". */
struct shown {
    char text[256];
};
struct shown shown(const char *text);

/*
 * Prints a text that the user asked for to standard output. A file or a pipe gets its bytes; a
 * terminal gets escapes, except for newlines and tabs.
 */
void show_text(const char *text, size_t length);

/* Whether standard output is a terminal. */
int shows_on_terminal(void);

#endif
