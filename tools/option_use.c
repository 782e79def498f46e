/*
 * See option_use.h.
 */
#include "option_use.h"

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char option_letter(const struct option *option)
{
    return option->spelling[1] != '-' ? option->spelling[1] : '\0';
}

const char *option_name(const struct option *option, int *length)
{
    const char *name = strstr(option->spelling, "--") + 2;
    *length = (int)strcspn(name, " ");
    return name;
}

struct option_text option_text(const struct option *option)
{
    struct option_text result;
    int length;
    const char *name = option_name(option, &length);
    snprintf(result.text, sizeof result.text, "--%.*s", length, name);
    return result;
}

static int fail_value(const struct option_use *use, const char *expected)
{
    return fail_usage(use->command, "%s: expected %s, got '%s'", option_text(use->option).text,
                      expected, use->value);
}

static int store_number(const struct option_use *use)
{
    const struct option *option = use->option;
    uint64_t number;
    if (!parse_number(use->value, &number) || number < option->least || number > option->most) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from %" PRIu64 " to %" PRIu64,
                 option->least, option->most);
        return fail_value(use, expected);
    }
    *option->to.number = number;
    return EXIT_SUCCESS;
}

static int store_numbers(const struct option_use *use)
{
    const struct option *option = use->option;
    struct number_list list = {0};
    if (!parse_numbers(use->value, &list))
        return errno == ENOMEM ? fail_memory() : fail_value(use, "a list such as 1,2,4");
    bool ok = list.count > 0;
    for (size_t i = 0; i < list.count; i++)
        ok = ok && list.items[i] >= option->least && list.items[i] <= option->most;
    if (!ok) {
        free(list.items);
        char expected[80];
        snprintf(expected, sizeof expected, "whole numbers from %" PRIu64 " to %" PRIu64,
                 option->least, option->most);
        return fail_value(use, expected);
    }
    free(option->to.numbers->items);
    *option->to.numbers = list;
    return EXIT_SUCCESS;
}

static int store_real(const struct option_use *use)
{
    const struct option *option = use->option;
    double number;
    if (!parse_real(use->value, &number) || number < 0 || number > option->most_real) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number from 0 to %g", option->most_real);
        return fail_value(use, expected);
    }
    *option->to.real = number;
    return EXIT_SUCCESS;
}

static int store_text(const struct option_use *use)
{
    struct string_list *list = use->option->to.texts;
    lckv_string *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL)
        return fail_memory();
    items[list->count] = (lckv_string){use->value, strlen(use->value)};
    *list = (struct string_list){items, list->count + 1};
    return EXIT_SUCCESS;
}

static int store_choice(const struct option_use *use)
{
    for (const struct choice *choice = use->option->choices; choice->name != NULL; choice++) {
        if (strcasecmp(choice->name, use->value) == 0) {
            *use->option->to.choice = choice->value;
            return EXIT_SUCCESS;
        }
    }
    char expected[160] = "one of";
    for (const struct choice *choice = use->option->choices; choice->name != NULL; choice++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, " %s%s", choice->name,
                 choice[1].name != NULL ? "," : "");
    }
    return fail_value(use, expected);
}

static int store_tokens(const struct option_use *use)
{
    static const char expected[] = "token ids such as 1,2,3, or @FILE";
    struct token_list *tokens = use->option->to.tokens;
    if (use->value[0] != '@') {
        if (parse_tokens(use->value, strlen(use->value), tokens))
            return EXIT_SUCCESS;
        return errno == ENOMEM ? fail_memory() : fail_value(use, expected);
    }
    const char *path = use->value + 1;
    struct bytes text;
    if (!read_whole(path, &text)) {
        complain("cannot read %s: %s", path, strerror(errno));
        return EXIT_FAILURE;
    }
    int status = EXIT_SUCCESS;
    if (!parse_tokens(text.data, text.length, tokens)) {
        status = EXIT_FAILURE;
        if (errno == ENOMEM)
            fail_memory();
        else
            complain("%s: expected token ids with commas or blanks between them", path);
    }
    free(text.data);
    return status;
}

int option_store(const struct option_use *use)
{
    const struct option *option = use->option;
    switch (option->kind) {
    case OPTION_FLAG:
        *option->to.flag = true;
        return EXIT_SUCCESS;
    case OPTION_TEXT:
        *option->to.text = use->value;
        return EXIT_SUCCESS;
    case OPTION_TEXTS:
        return store_text(use);
    case OPTION_NUMBER:
        return store_number(use);
    case OPTION_NUMBERS:
        return store_numbers(use);
    case OPTION_SIZE:
        return parse_size(use->value, option->to.number)
                   ? EXIT_SUCCESS
                   : fail_value(use, "a size such as 512MiB or 8GiB");
    case OPTION_REAL:
        return store_real(use);
    case OPTION_CHOICE:
        return store_choice(use);
    case OPTION_KV_TYPES:
        return parse_kv_types(use->value, option->to.kv_types)
                   ? EXIT_SUCCESS
                   : fail_value(use,
                                "f32, f16, bf16, q8_0 or q4_0, or keys,values such as q8_0,q4_0");
    case OPTION_PREFILL:
        return parse_prefill(use->value, option->to.prefill)
                   ? EXIT_SUCCESS
                   : fail_value(use, "auto, exact, model, iterated or iterated:M+B");
    case OPTION_TOKENS:
        return store_tokens(use);
    }
    return EXIT_USAGE;
}
