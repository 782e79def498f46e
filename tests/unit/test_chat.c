/*
 * Chat formatting: ChatML, the system message that a template brings along, and templates that are
 * something else.
 */
#include "text/chat.h"

#include "text_support.h"

#define LOOP \
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"

/* The tokenizer's template is `template`, a JSON string without its quotes. */
static struct tokenizer *tokenizer_with(const char *template)
{
    char config[2048];
    snprintf(config, sizeof config, "{\"chat_template\": \"%s\"}", template);
    return tokenizer_of_json(SMALL_JSON(""), config);
}

static lckv_message message(const char *role, const char *content)
{
    return (lckv_message){role, strlen(role), content, strlen(content)};
}

/* Fails unless the conversation is formatted so, in a buffer that just holds it. */
static void check_format(const struct tokenizer *tokenizer, const lckv_message *messages,
                         size_t n_messages, uint32_t flags, const char *expected)
{
    size_t length = 0, needed = strlen(expected);
    char *buffer = malloc(needed + 1);
    ck_assert_ptr_nonnull(buffer);
    buffer[needed] = '!';
    if (needed > 0) {
        buffer[0] = '?';
        ck_assert_status(chat_format(tokenizer, messages, sizeof *messages, n_messages, flags,
                                     buffer, needed - 1, &length),
                         LCKV_BUFFER_TOO_SMALL);
        ck_assert_uint_eq(length, needed);
        ck_assert_int_eq(buffer[0], '?');
    }
    ck_assert_ok(chat_format(tokenizer, messages, sizeof *messages, n_messages, flags, buffer,
                             needed, &length));
    ck_assert_uint_eq(length, needed);
    ck_assert_mem_eq(buffer, expected, needed);
    ck_assert_int_eq(buffer[needed], '!');
    free(buffer);
}

START_TEST(messages_are_written_as_chatml)
{
    struct tokenizer *tokenizer =
        tokenizer_with("{% for message in messages %}" LOOP "{% endfor %}");
    const lckv_message messages[] = {message("user", "Hi\n"), message("assistant", "")};
    check_format(tokenizer, messages, 0, 0, "");
    check_format(tokenizer, messages, 0, LCKV_CHAT_ANSWER, "<|im_start|>assistant\n");
    check_format(tokenizer, messages, 2, LCKV_CHAT_ANSWER,
                 "<|im_start|>user\nHi\n<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
                 "<|im_start|>assistant\n");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(stride_may_be_longer_than_a_message)
{
    struct tokenizer *tokenizer = tokenizer_with(LOOP);
    struct {
        lckv_message message;
        uint64_t more;
    } messages[] = {{message("a", "b"), 7}, {message("c", "d"), 7}};
    char buffer[128];
    size_t length = 0;
    ck_assert_ok(chat_format(tokenizer, &messages[0].message, sizeof messages[0], 2, 0, buffer,
                             sizeof buffer, &length));
    ck_assert_uint_eq(length, 52);
    ck_assert_mem_eq(buffer, "<|im_start|>a\nb<|im_end|>\n<|im_start|>c\nd<|im_end|>\n", 52);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(default_system_messages_are_found)
{
    static const struct {
        const char *template, *system;
    } cases[] = {
        /* SmolLM2: line breaks in the source, then escapes */
        {"{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n"
         "You are SmolLM<|im_end|>\\n' }}{% endif %}" LOOP,
         "You are SmolLM"},
        {"{% if messages[0].role != \\\"system\\\" %}{{ \\\"<|im_start|>system\\\\nIt\\\\'s\\\\nme"
         "<|im_end|>\\\" }}{% endif %}",
         "It's\nme"},
        /* Qwen2.5 */
        {"{%- if tools %}{{- '<|im_start|>system\\\\n' }}{%- else %}{%- if messages[0]['role'] == "
         "'system' %}{{- '<|im_start|>system\\\\n' + messages[0]['content'] + '<|im_end|>\\\\n' }}"
         "{%- else %}{{- '<|im_start|>system\\\\nYou are Qwen<|im_end|>\\\\n' }}{%- endif %}",
         "You are Qwen"},
        /* none: not under a condition, under another one, not one string, no line break */
        {"{{ '<|im_start|>system\\\\nAlways<|im_end|>' }}", NULL},
        {"{% if tools %}{{ '<|im_start|>system\\\\nTools<|im_end|>' }}{% endif %}", NULL},
        {"{% if role != 'system' %}{{ '<|im_start|>system\\\\n' + x + '<|im_end|>' }}", NULL},
        {"{% if role != 'system' %}{{ '<|im_start|>systematic<|im_end|>' }}", NULL},
        {"{% if role != 'system' %}{{ '<|im_start|>system\\\\nopen <|im_end|>", NULL},
        {"<|im_start|>system<|im_end|>", NULL},
    };
    const lckv_message user = message("user", "Hi"), system = message("system", "Be");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tokenizer *tokenizer = tokenizer_with(cases[i].template);
        char expected[256] = "";
        if (cases[i].system != NULL)
            snprintf(expected, sizeof expected, "<|im_start|>system\n%s<|im_end|>\n",
                     cases[i].system);
        strcat(expected, "<|im_start|>user\nHi<|im_end|>\n");
        check_format(tokenizer, &user, 1, 0, expected);
        check_format(tokenizer, &system, 1, 0, "<|im_start|>system\nBe<|im_end|>\n");
        check_format(tokenizer, &user, 0, 0, "");
        tokenizer_release(tokenizer);
    }
}
END_TEST

START_TEST(named_templates_use_the_default)
{
    struct tokenizer *tokenizer = tokenizer_of_json(
        SMALL_JSON(""), "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"x\"}, "
                        "{\"name\": \"default\", \"template\": \"" LOOP "\"}]}");
    const lckv_message user = message("user", "Hi");
    check_format(tokenizer, &user, 1, 0, "<|im_start|>user\nHi<|im_end|>\n");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(other_templates_are_refused)
{
    static const struct {
        const char *template, *message;
    } cases[] = {{"", "no chat template"},
                 {"[INST] {{ content }} [/INST]", "\"[INST]"},
                 {"<|im_start|>", "not ChatML"},
                 {"<|im_end|>", "not ChatML"}};
    const lckv_message user = message("user", "Hi");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tokenizer *tokenizer = tokenizer_with(cases[i].template);
        size_t length = 77;
        ck_assert_status(chat_format(tokenizer, &user, sizeof user, 1, 0, NULL, 0, &length),
                         LCKV_UNSUPPORTED);
        ck_assert_error_has(cases[i].message);
        ck_assert_uint_eq(length, 77);
        tokenizer_release(tokenizer);
    }
}
END_TEST

static void add_chat(Suite *suite)
{
    TCase *tcase = tcase_create("chat");
    tcase_add_test(tcase, messages_are_written_as_chatml);
    tcase_add_test(tcase, stride_may_be_longer_than_a_message);
    tcase_add_test(tcase, default_system_messages_are_found);
    tcase_add_test(tcase, named_templates_use_the_default);
    tcase_add_test(tcase, other_templates_are_refused);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("chat", add_chat)
