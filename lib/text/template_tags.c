/*
 * Reads tags, and follows Jinja's rules for the white space around them. See template_tags.h.
 */
#include "text/template_tags.h"

#include "base/status.h"

#include <string.h>

/* The next {{, {% or {#; the end of the source if there is none. */
static size_t find_tag(const struct template_reader *reader)
{
    const char *bytes = reader->source.bytes;
    for (size_t at = reader->place.at; at + 1 < reader->source.length; at++) {
        char c = bytes[at + 1];
        if (bytes[at] == '{' && (c == '{' || c == '%' || c == '#'))
            return at;
    }
    return reader->source.length;
}

/* Whether a tag ends at `at`: with `end`, which is "}}", "%}" or "#}", or with a sign before it. */
static bool is_end(struct text source, size_t at, const char *end)
{
    char c = source.bytes[at];
    if (c == '-' || (c == '+' && end[0] != '}'))
        at++;
    return source.length - at >= 2 && memcmp(source.bytes + at, end, 2) == 0;
}

/* Moves over the inside of a tag. Strings and brackets in it may hold what looks like its end. */
static bool find_end(struct text source, size_t *at, const char *end)
{
    bool is_comment = end[0] == '#';
    size_t depth = 0;
    for (; *at < source.length; (*at)++) {
        char c = source.bytes[*at];
        if (depth == 0 && is_end(source, *at, end))
            return true;
        if (is_comment)
            continue;
        if (c == '\'' || c == '"') {
            while (++*at < source.length && source.bytes[*at] != c)
                *at += source.bytes[*at] == '\\';
        } else if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if ((c == ')' || c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* The text before a tag, without the white space that the tags around it remove. */
static struct text trimmed(const struct template_reader *reader, struct text text,
                           enum tag_kind kind, char sign)
{
    bool at_line_start = reader->place.at_line_start;
    if (reader->place.strips_space) {
        size_t space = template_space_at_start(text);
        at_line_start = space > 0 && text.bytes[space - 1] == '\n';
        text.bytes += space;
        text.length -= space;
    } else if (reader->place.strips_newline && text.length > 0 && text.bytes[0] == '\n') {
        at_line_start = true;
        text.bytes++;
        text.length--;
    }
    if (sign == '-') {
        text.length -= template_space_at_end(text);
    } else if (sign != '+' && (kind == TAG_BLOCK || kind == TAG_COMMENT)) {
        size_t line = text.length;
        while (line > 0 && text.bytes[line - 1] != '\n')
            line--;
        const struct text last = {text.bytes + line, text.length - line};
        if ((line > 0 || at_line_start) && template_space_at_start(last) == last.length)
            text.length = line;
    }
    return text;
}

lckv_status template_refuse(struct template_reader *reader, size_t at, const char *what)
{
    size_t length = reader->source.length - at;
    reader->has_refused = true;
    return fail(LCKV_UNSUPPORTED, "the chat template at byte %zu, %s: %s", at,
                quoted(reader->source.bytes + at, length < 40 ? length : 40).text, what);
}

lckv_status template_next_tag(struct template_reader *reader, bool active, struct tag *tag)
{
    static const char *const ends[] = {
        [TAG_OUTPUT] = "}}", [TAG_BLOCK] = "%}", [TAG_COMMENT] = "#}"};
    const char *bytes = reader->source.bytes;
    size_t begin = find_tag(reader);
    char sign = '\0';
    *tag = (struct tag){.kind = TAG_END, .begin = begin};
    if (begin < reader->source.length) {
        char c = bytes[begin + 1];
        tag->kind = c == '{' ? TAG_OUTPUT : c == '%' ? TAG_BLOCK : TAG_COMMENT;
        sign = begin + 2 < reader->source.length ? bytes[begin + 2] : '\0';
        sign = sign == '-' || sign == '+' ? sign : '\0';
    }
    struct text text = {bytes + reader->place.at, begin - reader->place.at};
    text = trimmed(reader, text, tag->kind, sign);
    if (active && text.length > 0) {
        lckv_status status = reader->sink(reader->context, text, false);
        if (status != LCKV_OK)
            return status;
    }
    if (tag->kind == TAG_END) {
        reader->place.at = reader->source.length;
        return LCKV_OK;
    }
    size_t inside = begin + 2 + (sign != '\0'), end = inside;
    if (!find_end(reader->source, &end, ends[tag->kind]))
        return template_refuse(reader, begin, "it does not end");
    tag->inside = (struct text){bytes + inside, end - inside};
    reader->place.strips_space = bytes[end] == '-';
    reader->place.strips_newline = bytes[end] == '%' || bytes[end] == '#';
    reader->place.at_line_start = false;
    reader->place.at = end + 2 + (bytes[end] == '-' || bytes[end] == '+');
    return LCKV_OK;
}
