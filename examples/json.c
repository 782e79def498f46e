/*
 * Answers that are JSON, whatever the model would like to say: a logits callback lets only those
 * tokens pass whose bytes go on with a JSON text. A small pushdown checker knows which do, and how
 * many bytes the text still needs, so that it is complete before max_tokens are used up.
 *
 *     cc json.c $(pkg-config --cflags --libs lckv) -lm -o json && ./json MODEL [SEED]
 */
#include <lckv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_TOKENS = 80 };

/* ---- The checker --------------------------------------------------------------------------- */

/* What may come next. */
enum state {
    START,       /* the outermost {: an answer is an object */
    FIRST_KEY,   /* a key, or } */
    KEY,         /* a key */
    COLON,       /* : */
    FIRST_VALUE, /* a value, or ] */
    VALUE,       /* a value */
    AFTER_VALUE, /* a comma, or the end of the object or array */
    STRING,      /* in a string: any character, or its end */
    ESCAPE,      /* after a backslash */
    HEX,         /* `n_left` hexadecimal digits of an escape */
    UTF8,        /* `n_left` bytes of a character, the next one from `low` to `high` */
    MINUS,       /* after a minus sign */
    ZERO,        /* after a leading 0 */
    INTEGER,     /* in digits */
    POINT,       /* after the decimal point */
    FRACTION,    /* in digits after it */
    EXPONENT,    /* after e */
    SIGN,        /* after e and its sign */
    POWER,       /* in the digits of the exponent */
    WORD,        /* in true, false or null; `word` is what is left of it */
    DONE         /* nothing: the outermost object is complete */
};

struct json {
    enum state state;
    char ends[MAX_DEPTH]; /* the stack: } or ], for each object and array that is open */
    int depth;
    int is_key;   /* the string is a key */
    int is_blank; /* the last byte was a space between tokens of JSON; a second may not follow */
    int n_left;
    unsigned char low, high;
    const char *word;
};

static int is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static int open_nest(struct json *json, char end, enum state next)
{
    if (json->depth == MAX_DEPTH)
        return 0;
    json->ends[json->depth++] = end;
    json->state = next;
    return 1;
}

static int close_nest(struct json *json, unsigned char c)
{
    if (c != (unsigned char)json->ends[json->depth - 1])
        return 0;
    json->state = --json->depth > 0 ? AFTER_VALUE : DONE;
    return 1;
}

static int begin_string(struct json *json, int is_key)
{
    json->state = STRING;
    json->is_key = is_key;
    return 1;
}

static int begin_value(struct json *json, unsigned char c)
{
    static const char *const words[] = {"true", "false", "null"};
    if (c == '{')
        return open_nest(json, '}', FIRST_KEY);
    if (c == '[')
        return open_nest(json, ']', FIRST_VALUE);
    if (c == '"')
        return begin_string(json, 0);
    if (c == '-' || is_digit(c)) {
        json->state = c == '-' ? MINUS : c == '0' ? ZERO : INTEGER;
        return 1;
    }
    for (int i = 0; i < 3; i++)
        if (c == (unsigned char)words[i][0]) {
            json->state = WORD;
            json->word = words[i] + 1;
            return 1;
        }
    return 0;
}

/* The first byte of a character tells how many follow, and which second ones are UTF-8. */
static int begin_character(struct json *json, unsigned char c)
{
    if (c < 0xc2 || c > 0xf4)
        return 0;
    json->n_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    json->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    json->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    json->state = UTF8;
    return 1;
}

static int in_string(struct json *json, unsigned char c)
{
    if (c == '"')
        json->state = json->is_key ? COLON : AFTER_VALUE;
    else if (c == '\\')
        json->state = ESCAPE;
    else if (c >= 0x80)
        return begin_character(json, c);
    return c >= 0x20; /* control characters must be escaped */
}

static int count_down(struct json *json)
{
    if (--json->n_left == 0)
        json->state = STRING;
    return 1;
}

static int in_escape(struct json *json, unsigned char c)
{
    json->state = c == 'u' ? HEX : STRING;
    json->n_left = 4;
    return c != '\0' && strchr("\"\\/bfnrtu", c) != NULL;
}

static int after_value(struct json *json, unsigned char c)
{
    if (c != ',')
        return close_nest(json, c);
    json->state = json->ends[json->depth - 1] == '}' ? KEY : VALUE;
    return 1;
}

/* What may follow a digit: another one, `.`, `e`, or what follows the whole number. */
static int in_number(struct json *json, unsigned char c)
{
    const enum state state = json->state;
    if (is_digit(c) && state != ZERO)
        return 1;
    if (c == '.' && (state == ZERO || state == INTEGER))
        json->state = POINT;
    else if ((c == 'e' || c == 'E') && state != POWER)
        json->state = EXPONENT;
    else
        return after_value(json, c);
    return 1;
}

/* The first digit of a number or of a part of one. */
static int first_digit(struct json *json, unsigned char c, enum state next)
{
    json->state = next;
    return is_digit(c);
}

static int in_word(struct json *json, unsigned char c)
{
    if (c != (unsigned char)*json->word++)
        return 0;
    if (*json->word == '\0')
        json->state = AFTER_VALUE;
    return 1;
}

/* Takes the next byte of a text. Returns 0 if no JSON text goes on like this. */
static int take_byte(struct json *json, unsigned char c)
{
    const int was_blank = json->is_blank;
    json->is_blank = c == ' ' && (json->state == KEY || json->state == VALUE);
    if (json->is_blank) /* a model that has lost its thread would write blanks for ever */
        return !was_blank;
    switch (json->state) {
    case START:
        return c == '{' && begin_value(json, c);
    case FIRST_KEY:
        return c == '"' ? begin_string(json, 1) : close_nest(json, c);
    case KEY:
        return c == '"' && begin_string(json, 1);
    case COLON:
        json->state = VALUE;
        return c == ':';
    case FIRST_VALUE:
        return c == ']' ? close_nest(json, c) : begin_value(json, c);
    case VALUE:
        return begin_value(json, c);
    case AFTER_VALUE:
        return after_value(json, c);
    case STRING:
        return in_string(json, c);
    case ESCAPE:
        return in_escape(json, c);
    case HEX:
        return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL && count_down(json);
    case UTF8:
        if (c < json->low || c > json->high)
            return 0;
        json->low = 0x80, json->high = 0xbf;
        return count_down(json);
    case MINUS:
        return first_digit(json, c, c == '0' ? ZERO : INTEGER);
    case POINT:
        return first_digit(json, c, FRACTION);
    case EXPONENT:
        if (c != '+' && c != '-')
            return first_digit(json, c, POWER);
        json->state = SIGN;
        return 1;
    case SIGN:
        return first_digit(json, c, POWER);
    case ZERO:
    case INTEGER:
    case FRACTION:
    case POWER:
        return in_number(json, c);
    case WORD:
        return in_word(json, c);
    case DONE:
        break;
    }
    return 0;
}

/* The fewest bytes that make the text complete. */
static int bytes_needed(const struct json *json)
{
    const int string = 1 + (json->is_key ? 2 : 0); /* ", and for a key :0 */
    switch (json->state) {
    case START:
        return 2; /* {} */
    case KEY:
        return json->depth + 4; /* "":0 */
    case COLON:
        return json->depth + 2; /* :0 */
    case VALUE:
        return json->depth + 1; /* 0 */
    case STRING:
        return json->depth + string;
    case ESCAPE:
        return json->depth + 1 + string;
    case HEX:
    case UTF8:
        return json->depth + json->n_left + string;
    case MINUS:
    case POINT:
    case EXPONENT:
    case SIGN:
        return json->depth + 1; /* a digit */
    case WORD:
        return json->depth + (int)strlen(json->word);
    default:
        return json->depth; /* only what closes the objects and arrays */
    }
}

/* ---- The callbacks ------------------------------------------------------------------------- */

struct answer {
    const lckv_model *model;
    struct json json; /* after the tokens so far */
    int n_left;       /* tokens that may follow */
};

/* Takes the bytes of a token. Returns 0 if it may not follow, and then `json` is of no use. */
static int take_token(const struct answer *answer, struct json *json, lckv_token token)
{
    const char *text;
    size_t length;
    lckv_token_type type;
    if (lckv_model_token(answer->model, token, &text, &length, &type) != LCKV_OK || length == 0)
        return 0;
    /* The text of a control token, "<|im_end|>" say, is not what it would add to the answer. */
    if (type != LCKV_TOKEN_NORMAL && type != LCKV_TOKEN_USER_DEFINED && type != LCKV_TOKEN_BYTE)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (!take_byte(json, (unsigned char)text[i]))
            return 0;
    return 1;
}

/*
 * Bans every token that does not go on with the JSON text, or that leaves too few tokens to
 * complete it. Each byte that is needed has a token of its own, so one token always remains.
 */
static int32_t constrain(void *user, float *logits, size_t n_vocab)
{
    const struct answer *answer = user;
    for (size_t i = 0; i < n_vocab; i++) {
        struct json json = answer->json;
        if (!take_token(answer, &json, (lckv_token)i) || bytes_needed(&json) > answer->n_left - 1)
            logits[i] = -INFINITY;
    }
    return 0;
}

/* Prints the token that was chosen, and stops when the text is complete. */
static int32_t print(void *user, lckv_token token, const char *text, size_t length)
{
    struct answer *answer = user;
    fwrite(text, 1, length, stdout);
    if (token < 0)
        return 0;
    answer->n_left--;
    take_token(answer, &answer->json, token);
    return answer->json.state == DONE;
}

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    const char *prompt = "Tom had a little dog. He wrote about it: ";
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_sampler *sampler = NULL;
    lckv_token tokens[64];
    size_t n = 0;
    struct answer answer = {.n_left = MAX_TOKENS};
    lckv_sampler_options sampling = {.size = sizeof sampling,
                                     .temperature = 0.8f,
                                     .seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
                                     .callback = constrain,
                                     .callback_user = &answer};
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = MAX_TOKENS,
                                     .callback = print,
                                     .callback_user = &answer};
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_tokenize(model, prompt, strlen(prompt), 0, tokens, 64, &n)) ||
                 check(lckv_cache_create(model, NULL, &cache)) ||
                 check(lckv_session_create(cache, &session)) ||
                 check(lckv_sampler_create(&sampling, &sampler));
    answer.model = model;
    failed = failed || check(lckv_generate(session, sampler, tokens, n, &options, NULL));
    putchar('\n');
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
