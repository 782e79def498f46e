/*
 * See show.h.
 */
#include "show.h"

#include "utf8.h"

#include <string.h>
#include <unistd.h>

enum { MAX_PIECE = 12 }; /* enough for "\u2069" and a NUL */

/* Writes the next character to `piece`, as a string; returns how many bytes of `text` it took. */
static size_t next_piece(const char *text, size_t length, const char *kept, char piece[MAX_PIECE])
{
    uint32_t code = 0;
    size_t taken = utf8_decode(text, length, &code);
    if (taken == 0) {
        snprintf(piece, MAX_PIECE, "\\x%02x", (unsigned char)*text);
        return 1;
    }
    bool is_kept = code != 0 && code < 0x80 && strchr(kept, (int)code) != NULL;
    if (is_kept || !utf8_is_control(code)) {
        memcpy(piece, text, taken);
        piece[taken] = '\0';
    } else if (code == '\n' || code == '\r' || code == '\t') {
        snprintf(piece, MAX_PIECE, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
    } else {
        snprintf(piece, MAX_PIECE, code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code);
    }
    return taken;
}

static void show(FILE *file, const char *text, size_t length, const char *kept)
{
    char piece[MAX_PIECE];
    for (size_t at = 0; at < length;) {
        at += next_piece(text + at, length - at, kept, piece);
        fputs(piece, file);
    }
}

void show_line(FILE *file, const char *text, size_t length)
{
    show(file, text, length, "");
}

struct shown shown(const char *text)
{
    static const char dots[] = "...";
    struct shown result;
    char piece[MAX_PIECE];
    size_t length = strlen(text), used = 0, cut = 0; /* `cut`: the last place with room for dots */
    for (size_t at = 0; at < length;) {
        at += next_piece(text + at, length - at, "", piece);
        if (used + strlen(piece) >= sizeof result.text) {
            memcpy(result.text + cut, dots, sizeof dots);
            return result;
        }
        memcpy(result.text + used, piece, strlen(piece));
        used += strlen(piece);
        if (used + sizeof dots <= sizeof result.text)
            cut = used;
    }
    result.text[used] = '\0';
    return result;
}

int shows_on_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void show_text(const char *text, size_t length)
{
    if (shows_on_terminal())
        show(stdout, text, length, "\n\t");
    else
        fwrite(text, 1, length, stdout);
}
