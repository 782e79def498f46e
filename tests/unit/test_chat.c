/*
 * Chat templates: what they write, what is refused, and that the text of a message never becomes
 * the structure of the conversation.
 */
#include "text/chat.h"

#include "text/template.h"
#include "text/template_date.h"

#include "text_support.h"

#include <time.h>

#define LOOP \
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
#define CHATML                                                                        \
    "{% for message in messages %}" LOOP "{% endfor %}{% if add_generation_prompt %}" \
    "{{ '<|im_start|>assistant\\n' }}{% endif %}"

static struct tokenizer *tokenizer_from(const char *json, const char *config, const char *template)
{
    struct checkpoint checkpoint = checkpoint_of_json(json, config);
    struct tokenizer *tokenizer = NULL;
    checkpoint.chat_template = (struct text){template, strlen(template)};
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_nonnull(tokenizer);
    return tokenizer;
}

static struct tokenizer *tokenizer_with(const char *template)
{
    return tokenizer_from(SMALL_JSON(""), "{\"bos_token\":\"<s>\"}", template);
}

static lckv_message message(const char *role, const char *content)
{
    return (lckv_message){role, strlen(role), content, strlen(content)};
}

/* Fails unless the conversation is formatted as expected, in a buffer that just holds it. */
static void check_format(const struct tokenizer *tokenizer, const lckv_message *messages,
                         size_t n_messages, uint32_t flags, const char *expected)
{
    const struct chat chat = {messages, sizeof *messages, n_messages, flags};
    size_t length = 0, needed = strlen(expected);
    char *buffer = malloc(needed + 1);
    ck_assert_ptr_nonnull(buffer);
    buffer[needed] = '!';
    if (needed > 0) {
        buffer[0] = '?';
        ck_assert_status(chat_format(tokenizer, &chat, buffer, needed - 1, &length),
                         LCKV_BUFFER_TOO_SMALL);
        ck_assert_uint_eq(length, needed);
        ck_assert_int_eq(buffer[0], '?');
    }
    lckv_status status = chat_format(tokenizer, &chat, buffer, needed, &length);
    ck_assert_ok(status);
    buffer[length] = '\0';
    ck_assert_str_eq(buffer, expected);
    free(buffer);
}

static void check_refused(const struct tokenizer *tokenizer, const lckv_message *messages,
                          size_t n_messages, lckv_status status, const char *reason)
{
    const struct chat chat = {messages, sizeof *messages, n_messages, LCKV_CHAT_ANSWER};
    char buffer[512];
    size_t length = 77;
    ck_assert_status(chat_format(tokenizer, &chat, buffer, sizeof buffer, &length), status);
    ck_assert_error_has(reason);
    ck_assert_uint_eq(length, 77);
}

START_TEST(messages_are_written_as_chatml)
{
    struct tokenizer *tokenizer = tokenizer_with(CHATML);
    const lckv_message messages[] = {message("user", "Hi\n"), message("assistant", "")};
    check_format(tokenizer, messages, 0, 0, "");
    check_format(tokenizer, messages, 0, LCKV_CHAT_ANSWER, "<|im_start|>assistant\n");
    check_format(tokenizer, messages, 2, LCKV_CHAT_ANSWER,
                 "<|im_start|>user\nHi\n<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
                 "<|im_start|>assistant\n");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(templates_write_the_tokens_that_the_tokenizer_names)
{
    struct tokenizer *tokenizer = tokenizer_from(
        SMALL_JSON(""), "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"pad_token\":\"<user>\"}",
        "{{ bos_token }}, {{ eos_token }}, {{ pad_token }}");
    const lckv_message user = message("user", "Hi");
    check_format(tokenizer, &user, 1, 0, "<s>, </s>, <user>");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(stride_may_be_longer_than_a_message)
{
    struct tokenizer *tokenizer = tokenizer_with(CHATML);
    struct {
        lckv_message message;
        uint64_t more;
    } messages[] = {{message("a", "b"), 7}, {message("c", "d"), 7}};
    const struct chat chat = {&messages[0].message, sizeof messages[0], 2, 0};
    char buffer[128];
    size_t length = 0;
    ck_assert_ok(chat_format(tokenizer, &chat, buffer, sizeof buffer, &length));
    ck_assert_uint_eq(length, 52);
    ck_assert_mem_eq(buffer, "<|im_start|>a\nb<|im_end|>\n<|im_start|>c\nd<|im_end|>\n", 52);
    tokenizer_release(tokenizer);
}
END_TEST

/*
 * Templates, and what Jinja writes with them for a user who says " Hi " and gets an answer.
 * Python's jinja2 with trim_blocks and lstrip_blocks gave the expected texts.
 */
static const struct {
    const char *template, *expected;
} written[] = {
    {"{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + "
     "message['content'] + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ "
     "'<|im_start|>assistant<|im_sep|>' }}{% endif %}",
     "<|im_start|>user<|im_sep|> Hi <|im_end|><|im_start|>assistant<|im_sep|>"},
    {"{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
     "message['content'] + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ "
     "'<|im_start|>assistant\\n' }}{% endif %}",
     "<|im_start|>user\n Hi <|im_end|><|im_start|>assistant\n"},
    {"{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
     "message['content'] | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ "
     "'<|im_start|>assistant\\n<think>\\n' }}{% endif %}",
     "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n"},
    {"{# not <|im_start|>role ... <|im_end|> any more #}{% for message in messages %}{{ '[' + "
     "message['role'] + '] ' + message['content'] + '\\n' }}{% endfor %}{% if "
     "add_generation_prompt %}{{ '[assistant] ' }}{% endif %}",
     "[user]  Hi \n[assistant] "},
    {"{% for m in messages %}{{ m.role }}{% endfor %}|{% for m in messages %}{{ m.content }}"
     "{% endfor %}{% if loop is defined or m is defined %}!{% endif %}",
     "user| Hi "},
    {"{% if messages[1] is defined or messages[-2] is defined %}!{% endif %}"
     "{{ messages[-1].role }}",
     "user"},
    {"{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system "
     "= messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system = 'Be "
     "kind.' %}{% endif %}{{ '[' + system + ']' }}{% for m in loop_messages %}{{ m.content }}{% "
     "endfor %}",
     "[Be kind.] Hi "},
    {"{% for m in messages %}\n  {% if m.role == 'user' %}\n    [U] {{ m.content }}\n  {%+ elif "
     "m.role == 'x' -%}\n    [A]\n  {% else %}\n X\n  {% endif %}\n{% endfor %}\n\nend {{ "
     "undefined_name }}\n",
     "    [U]  Hi \n  \nend "},
    {"  {%- if true -%}  x  {%- endif %}  y  {% if false %}n{% endif %}\n  {{ 'k' }}  \n{% if 1 == "
     "1 %}\n\n z{% endif %}\n\n",
     "x  y    k  \n\n z"},
    {"{{ ((((((((((((((('a'))))))))))))))) }}", "a"},
    {"[{{ (' ' + messages[0].content + '\\n').strip() }}][{{ (' ' ~ '\\t')|trim }}]", "[Hi][]"},
    {"a\x1F{%- if true -%} \x1C b{% endif -%}\x1D \x1E c", "abc"},
    {"{{ \"it's \\\"q\\\" \\\\ \\t.\" }}{{ '%}' }}{% if '%}' == '%' ~ '}' %}eq{% endif %}",
     "it's \"q\" \\ \t.%}eq"},
    {"{{ 'a' if add_generation_prompt else 'b' }}{{ 'c' if not messages else 'd' ~ 'e' + 'f' }}{{ "
     "'g' if false }}",
     "adef"},
    {"{% for m in messages %}{% if m.content is string and m.name is not defined and 'content' in "
     "m and 'x' not in m %}{{ m.content or 'empty' }}{% endif %}{% if loop.last and loop.first and "
     "loop.index == 1 and loop.index0 % 2 == 0 %}!{% endif %}{% endfor %}{% if messages|length > 2 "
     "or messages[-1].role != 'user' %}long{% endif %}{{ messages[5] or (messages and "
     "messages[0].content.strip()) }}",
     " Hi !Hi"},
    {"{% if false %}{% elif else %}q{% else %}r{% endif %}", "r"},
    {"{{ bos_token }}{{- '  ' -}}\n  a {#- c -#} b {%- set x = 'q' %}\n{{ x }}{% if none is none "
     "and x is not none and y is undefined %}n{% endif %}",
     "<s>  abqn"},
    {"{% macro f(x) %}{% if x %}{{ f(none) }}{% endif %}{% endmacro %}{% if f is defined and tools "
     "is "
     "none and documents is none and tools is defined %}{{ other | default('d') }}{{ '' | "
     "default('e', true) }}{% endif %}",
     "de"},
    {"{% set g = 'g' %}{% macro f(x, y='d') -%}\n  {% set z = 'z' %}{{ x ~ y ~ g ~ z }}{% if h is "
     "defined or loop is defined or m is defined %}!{% endif %}\n{%- endmacro %}{% for m in "
     "messages "
     "%}{% set h = 1 %}[{{ f(m.content) }}{{ f('a', f('b', 'c') | trim) }}]{% if loop.index == 1 "
     "%}1{% endif %}{% "
     "endfor "
     "%}{{ f('') }}{% if z is not defined %}n{% endif %}",
     "[ Hi dgzabcgzgz]1dgzn"},
    {"{% for i in range(3) %}{% for j in range(i, -1, -1) %}{{ 'ij' if i == j else '.' }}{% if "
     "loop.last %}{{ messages[j].content }}{% endif %}{% endfor %}{% if loop.last %}!{% endif %}{% "
     "endfor %}{% for p in 'a,b,,c'.split(',') %}({{ p }}){% if loop.last %}{{ 'e' }}{% endif %}{% "
     "endfor %}{% for w in ['x', 'y'] %}{{ w }}{% endfor %}{% for u in nothing %}u{% endfor %}",
     "ij Hi ij. Hi ij.. Hi !(a)(b)()(c)exy"},
    {"{% set ns = namespace(a='x', n=0) %}{% for m in messages %}{% set ns.a = ns.a + m.content %}"
     "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.a }}{% if ns.n == 1 and ns.b is not defined %}!{% "
     "endif %}",
     "x Hi !"},
    {"{% if ' H' in messages[0].content and 'h' not in messages[0].content and messages[0].role in "
     "['a', 'user'] and messages[0].role not in [] and 'x' not in controls %}{{ "
     "messages[0].content.startswith(' H') and messages[0].content.endswith('i ') and 'y' }}{% "
     "endif %}",
     "y"},
    {"[{{ messages[0].content.lstrip() }}][{{ messages[0].content.rstrip(' i') }}][{{ "
     "messages[0].content.strip('x') }}][{{ (' ' ~ messages[0].content).rstrip() }}]",
     "[Hi ][ H][ Hi ][  Hi]"},
    {"{% set x = 'a,b,,c' %}[{{ x.split(',')[0] }}][{{ x.split(',')[-1] }}][{{ x.split(',')[2] "
     "}}][{{ x.split(',', 1)[1] }}][{{ x.split(',', 1)[-1] }}][{{ x.split(';')[-1] }}][{{ "
     "x.split(',')[9] }}][{{ x.replace(',', '') }}]",
     "[a][c][][b,,c][b,,c][a,b,,c][][abc]"},
    {"{{ messages[0].get('content') }}{{ messages[0].get('name', 'n') }}{% if "
     "messages[0].get('name') is none %}!{% endif %}{% if messages[0].content is iterable and "
     "messages[0].content is not mapping and messages[0] is mapping and messages is sequence %}s{% "
     "endif %}{% if messages[0].content.content is not defined and messages[0].content|length == 4 "
     "%}4{% endif %}",
     " Hi n!s4"},
    {"{{ 'a\"\\\\b\\n\\t' | tojson }}{{ messages[0].content | string | tojson }}",
     "\"a\\\"\\\\b\\n\\t\"\" Hi \""},
    {"{% if 3 < 3 %}a{% endif %}{% if 3 <= 3 %}b{% endif %}{% if 3 > 3 %}c{% endif %}{% if 3 >= 3 "
     "%}d{% endif %}{% if 2 < 3 %}e{% endif %}{% if 2 > 3 %}f{% endif %}{% if 4 <= 3 %}g{% endif "
     "%}{% if 2 >= 3 %}h{% endif %}{% if 3 > 2 %}i{% endif %}",
     "bdei"},
    {"{% for m in messages[::-1] %}{% if loop.previtem is not defined and loop.nextitem is not "
     "defined %}{{ m.content }}{% endif %}{% endfor %}{% set us = messages | selectattr('role', "
     "'equalto', 'user') | list %}{% if tools and us[-1] == 1 %}x{% endif %}",
     " Hi "},
};

START_TEST(templates_write_what_jinja_writes)
{
    struct tokenizer *tokenizer = tokenizer_with(written[_i].template);
    const lckv_message user = message("user", " Hi ");
    check_format(tokenizer, &user, 1, LCKV_CHAT_ANSWER, written[_i].expected);
    tokenizer_release(tokenizer);
}
END_TEST

/* What a loop knows of itself, and of the messages beside the present one. */
START_TEST(loops_know_where_they_are)
{
    struct tokenizer *tokenizer = tokenizer_with(
        "{% for m in messages %}{% if loop.first %}[{% endif %}{% if loop.index == 2 %}2{% endif %}"
        "{% if loop.index0 == 2 %}3{% endif %}{% if loop.length == 4 %}.{% endif %}"
        "{% if loop.previtem is defined %}{{ loop.previtem.content }}>{% endif %}{{ m.content }}"
        "{% if loop.nextitem is defined %}<{{ loop.nextitem.content }}{% endif %}"
        "{% if loop.last %}]{% else %}|{% endif %}{% endfor %}");
    const lckv_message messages[] = {message("user", "a"), message("assistant", "b"),
                                     message("user", "c"), message("assistant", "d")};
    check_format(tokenizer, messages, 4, 0, "[.a<b|2.a>b<c|3.b>c<d|.c>d]");
    tokenizer_release(tokenizer);
}
END_TEST

/* Templates that join texts without end are stopped: 65,536 texts and 256 for each message. */
START_TEST(how_many_texts_are_joined_is_limited)
{
#define FIVE_MORE "~ m.content ~ m.content ~ m.content ~ m.content ~ m.content "
    enum { FEW = 50, MANY = 500 };
    static lckv_message messages[MANY];
    struct tokenizer *tokenizer =
        tokenizer_with("{% for m in messages %}{% set x = '' " FIVE_MORE FIVE_MORE FIVE_MORE
                           FIVE_MORE FIVE_MORE FIVE_MORE FIVE_MORE FIVE_MORE " %}{% endfor %}x");
#undef FIVE_MORE
    size_t length;
    for (size_t i = 0; i < MANY; i++)
        messages[i] = message("user", "a");
    check_format(tokenizer, messages, FEW, 0, "x");
    const struct chat chat = {messages, sizeof *messages, MANY, 0};
    ck_assert_status(chat_format(tokenizer, &chat, NULL, 0, &length), LCKV_UNSUPPORTED);
    ck_assert_error_has("joins too many texts");
    tokenizer_release(tokenizer);
}
END_TEST

/* Qwen2.5 has one branch for a given system message, and another one for the default message. */
START_TEST(a_default_system_message_gives_way_to_another)
{
    struct tokenizer *tokenizer = tokenizer_with(
        "{%- if tools %}{{ tools | tojson }}{%- elif messages[0]['role'] == 'system' %}{{- "
        "messages[0]['content'] + '|' }}{%- else %}{{- 'default|' }}{%- endif %}\n"
        "{%- for m in messages %}{%- if m.role == 'user' or (m.role == 'system' and not "
        "loop.first) %}{{- m.content }}{%- endif %}{%- endfor %}");
    const lckv_message messages[] = {message("system", "Be"), message("user", "Hi"),
                                     message("system", "So")};
    check_format(tokenizer, messages, 3, 0, "Be|HiSo");
    check_format(tokenizer, messages + 1, 2, 0, "default|HiSo");
    tokenizer_release(tokenizer);
}
END_TEST

/* Templates of models that think leave the thoughts of earlier answers out. */
START_TEST(thoughts_before_the_last_question_are_left_out)
{
    struct tokenizer *tokenizer = tokenizer_with(
        "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% if ns.last < 0 and "
        "m.role "
        "== 'user' %}{% set ns.last = messages|length - 1 - loop.index0 %}{% endif %}{% endfor "
        "%}{% "
        "for m in messages %}[{% if '</think>' in m.content and loop.index0 < ns.last %}{{ "
        "m.content.split('</think>')[-1].lstrip('\\n') }}{% else %}{{ m.content }}{% endif %}]{% "
        "endfor %}");
    const lckv_message messages[] = {
        message("user", "Q"), message("assistant", "<think>\nhm\n</think>\n\nA"),
        message("user", "R"), message("assistant", "<think>\nhm\n</think>\n\nB")};
    check_format(tokenizer, messages, 4, 0, "[Q][A][R][<think>\nhm\n</think>\n\nB]");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(dates_are_written_as_strftime_writes_them)
{
    static const struct {
        struct template_date date;
        const char *format, *expected;
    } dates[] = {{{2026, 2, 9}, "%d %b %Y", "09 Feb 2026"},
                 {{2024, 12, 31}, "%B %d, %Y (%m%%)", "December 31, 2024 (12%)"},
                 {{987, 5, 1}, "%Y", "0987"}};
    char buffer[TEMPLATE_MAX_DATE];
    size_t length;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        const struct text format = {dates[i].format, strlen(dates[i].format)};
        ck_assert_ok(template_format_date(&dates[i].date, format, buffer, &length));
        ck_assert_uint_eq(length, strlen(dates[i].expected));
        ck_assert_mem_eq(buffer, dates[i].expected, length);
    }
    ck_assert_status(template_format_date(&dates[0].date, (struct text){"%", 1}, buffer, &length),
                     LCKV_UNSUPPORTED);
}
END_TEST

START_TEST(templates_have_a_largest_length)
{
    const size_t most = TEMPLATE_MAX_LENGTH;
    const struct chat chat = {NULL, sizeof(lckv_message), 0, 0};
    char *template = malloc(most + 2), *buffer = malloc(most);
    size_t length = 0;
    ck_assert(template != NULL && buffer != NULL);
    memset(template, 'x', most + 1);
    for (int more = 0; more < 2; more++) {
        template[most + (size_t)more] = '\0';
        struct tokenizer *tokenizer = tokenizer_with(template);
        const lckv_status status = chat_format(tokenizer, &chat, buffer, most, &length);
        ck_assert_int_eq(status, more == 0 ? LCKV_OK : LCKV_UNSUPPORTED);
        ck_assert_uint_eq(length, most);
        template[most] = 'x';
        tokenizer_release(tokenizer);
    }
    ck_assert_error_has("a chat template of 1048577 bytes, expected at most 1048576");
    free(template);
    free(buffer);
}
END_TEST

START_TEST(today_is_the_date_of_the_system)
{
    struct tokenizer *tokenizer = tokenizer_with("{{ strftime_now('%Y-%m-%d') }}");
    const struct chat chat = {NULL, sizeof(lckv_message), 0, 0};
    char buffer[16], before[16], after[16];
    size_t length = 0;
    time_t now = time(NULL);
    strftime(before, sizeof before, "%Y-%m-%d", gmtime(&now));
    ck_assert_ok(chat_format(tokenizer, &chat, buffer, sizeof buffer, &length));
    now = time(NULL);
    strftime(after, sizeof after, "%Y-%m-%d", gmtime(&now));
    ck_assert_uint_eq(length, 10);
    ck_assert(memcmp(buffer, before, 10) == 0 || memcmp(buffer, after, 10) == 0);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(refusals_say_what_to_do_instead)
{
    struct tokenizer *tokenizer = tokenizer_with("{{ 7 }}");
    const lckv_message user = message("user", "Hi");
    check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, "pass its text to lckv_tokenize");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(variables_of_a_loop_end_with_its_turn)
{
    struct tokenizer *tokenizer = tokenizer_with(
        "{% set x = 'a' %}{% for m in messages[1:] %}{{ x }}{% set x = m.role %}{{ x }}"
        "{{ loop.index }}{% endfor %}{{ x }}");
    const lckv_message messages[] = {message("q", ""), message("r", ""), message("s", "")};
    check_refused(tokenizer, messages, 3, LCKV_UNSUPPORTED, "{{ loop.index }}");
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_with("{% set x = 'a' %}{% for m in messages[1:] %}{{ x }}"
                               "{% set x = m.role %}{{ x }}{% endfor %}{{ x }}");
    check_format(tokenizer, messages, 3, 0, "arasa");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(named_templates_use_the_default)
{
    struct tokenizer *tokenizer = tokenizer_of_json(
        SMALL_JSON(""), "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"x\"}, "
                        "{\"name\": \"default\", \"template\": \"[{{ messages[0].content "
                        "}}]\"}]}");
    const lckv_message user = message("user", "Hi");
    check_format(tokenizer, &user, 1, 0, "[Hi]");
    tokenizer_release(tokenizer);
}
END_TEST

/* What is not understood is named with its place. Nothing is written that Jinja would not write. */
static const struct {
    const char *template, *reason;
} refused[] = {
    {"", "no chat template"},
    {"a{{ messages | tojson }}", "at byte 1, \"{{ messages | tojson }}\": \"tojson\""},
    {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 4 deep"},
    {"{% macro f() %}{{ (((((f()))))) }}{% endmacro %}{{ f() }}", "nested more than 16 deep"},
    {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "more than its 1 arguments"},
    {"{% for m in messages %}{% macro f() %}{% endmacro %}{% endfor %}", "a macro within"},
    {"{% for i in 'abc' %}{% endfor %}", "a loop over this value"},
    {"{{ raise_exception(range(3)) }}", "raise_exception takes a text"},
    {"{% for i in range(0, 4, 2) %}{% endfor %}", "this kind of range"},
    {"{% set x = 'a' %}{% set x.y = 1 %}", "setting a member"},
    {"{{ strftime_now('%H') }}", "the date format \"%H\""},
    {"{{ unk_token }}", "unk_token"},
    {"{% set x %}a{% endset %}", "this kind of set"},
    {"{% for a, b in messages %}{% endfor %}", "this kind of for"},
    {"{% for m in messages if m.role %}{% endfor %}", "\"if\""},
    {"{{ messages[0].items() }}", "\"items\""},
    {"{{ messages[0].content | upper }}", "\"upper\""},
    {"{{ messages[0].content[0] }}", "this subscript"},
    {"{{ messages[0].content.split() }}", "\"split\""},
    {"{{ messages[0].content.replace('a', 'b') }}", "this kind of replace"},
    {"{{ (messages[0].content ~ 'a').lstrip('a') }}", "joined from a message"},
    {"{{ messages[0].content.strip('\xc3\xa4') }}", "beyond ASCII"},
    {"{{ messages[::2] }}", "this subscript"},
    {"{% if messages | selectattr('role', 'equalto', 'user') | list %}{% endif %}", "a selection"},
    {"{{ [1, 2, 3, 4, 5, 6, 7, 8, 9] }}", "more than 8 values"},
    {"{{ 'a\\x41' }}", "escape"},
    {"{{ 7 }}", "output of a value that is not text"},
    {"{{ 'a' + 7 }}", "of these"},
    {"{{ 'a' + nothing }}", "of these"},
    {"{{ nothing.more }}", "\"more\""},
    {"{% if 1 if 2 else 3 %}{% endif %}", "\"if\""},
    {"{{ 'a' is defined is string }}", "\"is\""},
    {"{{ messages[0].content|trim.x }}", "\".\""},
    {"{{ messages|trim }}", "trimming this"},
    {"{% if 1000000000 + 1 > 0 %}{% endif %}", "a number above"},
    {"{% if -1000000000 - 1 < 0 %}{% endif %}", "a number above"},
    {"{% if loop is mapping %}{% endif %}", "this test"},
    {"{% if 1.5 %}{% endif %}", "number"},
    {"{% raw %}{{ x }}{% endraw %}", "this statement"},
    {"{% if false %}{% raw %}{% endraw %}{% endif %}", "this statement"},
    {"{% if true %}", "does not end"},
    {"{% if true %}{% endfor %}", "expected endif"},
    {"{% endif %}", "ends no if, for or macro"},
    {"{{ 'a ", "does not end"},
    {"{{ (((((((((((((((('a')))))))))))))))) }}", "nested"},
};

START_TEST(what_is_not_understood_is_refused_by_name)
{
    struct tokenizer *tokenizer = tokenizer_with(refused[_i].template);
    const lckv_message user = message("user", "Hi");
    check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, refused[_i].reason);
    tokenizer_release(tokenizer);
}
END_TEST

/* A message may have a member of this name, but messages[0].items is what Python calls a method. */
START_TEST(names_of_methods_are_no_members)
{
    static const char *const names[] = {"get",      "items",   "keys", "values",
                                        "pop",      "update",  "copy", "setdefault",
                                        "fromkeys", "popitem", "clear"};
    const lckv_message user = message("user", "Hi");
    for (size_t i = 0; i < COUNT(names); i++) {
        char template[128];
        snprintf(template, sizeof template, "{%% if messages[0].%s is defined %%}x{%% endif %%}",
                 names[i]);
        struct tokenizer *tokenizer = tokenizer_with(template);
        check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, names[i]);
        tokenizer_release(tokenizer);
        snprintf(template, sizeof template,
                 "{%% if messages[0]['%s'] is defined %%}x{%% endif %%}y", names[i]);
        tokenizer = tokenizer_with(template);
        check_format(tokenizer, &user, 1, 0, "y");
        tokenizer_release(tokenizer);
    }
}
END_TEST

START_TEST(a_template_may_refuse_messages)
{
    struct tokenizer *tokenizer = tokenizer_with(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}x");
    const lckv_message system = message("system", "Be"), user = message("user", "Hi");
    check_refused(tokenizer, &system, 1, LCKV_INVALID_ARGUMENT, "\"no system\"");
    check_format(tokenizer, &user, 1, 0, "x");
    tokenizer_release(tokenizer);
}
END_TEST

/* Doubling a text again and again is refused before it takes memory. */
START_TEST(texts_that_grow_without_end_are_refused)
{
    char template[2048] = "{% set x = messages[0].content %}";
    for (int i = 0; i < 40; i++)
        strcat(template, "{% set x = x + x %}");
    strcat(template, "{{ x }}");
    struct tokenizer *tokenizer = tokenizer_with(template);
    const lckv_message user = message("user", "Hi");
    check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, "too many texts");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(variables_are_limited)
{
    char template[2048] = "";
    for (int i = 0; i < 64; i++)
        strcat(template, "{% set x = 'a' %}");
    const lckv_message user = message("user", "Hi");
    struct tokenizer *tokenizer = tokenizer_with(template);
    check_format(tokenizer, &user, 1, 0, "");
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_with(strcat(template, "{% set y = 'a' %}"));
    check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, "more than 64 variables");
    tokenizer_release(tokenizer);
}
END_TEST

/* A template whose loop over one message writes or compares the same long texts again and again. */
START_TEST(texts_repeated_too_often_are_refused)
{
    static const char *const repeated[] = {"{{ x }}", "{% if x == x %}{% endif %}",
                                           "{% if x|trim %}{% endif %}",
                                           "{% for i in range(99999999) %}{% endfor %}"};
    static char content[30000], template[32768];
    memset(content, ' ', sizeof content - 1);
    for (size_t i = 0; i < sizeof repeated / sizeof repeated[0]; i++) {
        strcpy(template, "{% set x = messages[0].content %}");
        while (strlen(template) + strlen(repeated[i]) < sizeof template)
            strcat(template, repeated[i]);
        struct tokenizer *tokenizer = tokenizer_with(template);
        const lckv_message user = message("user", content);
        check_refused(tokenizer, &user, 1, LCKV_UNSUPPORTED, "repeats its texts too often");
        tokenizer_release(tokenizer);
    }
}
END_TEST

START_TEST(roles_are_names)
{
    static const char *const roles[] = {"user\nx", "a<s>", "\x7F", "<s>"};
    struct tokenizer *tokenizer = tokenizer_with(CHATML);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        const lckv_message bad[] = {message("user", "x"), message(roles[i], "x")};
        check_refused(tokenizer, bad, 2, LCKV_INVALID_ARGUMENT, "message 1: the role");
    }
    tokenizer_release(tokenizer);
}
END_TEST

/* Normalised tokens are looked for apart from the others. */
START_TEST(roles_have_no_normalized_tokens_either)
{
    struct tokenizer *tokenizer = tokenizer_from(
        "{\"model\":" SMALL_MODEL(
            "") ",\"added_tokens\":[{\"id\":0,\"content\":"
                "\"<s>\",\"special\":true},{\"id\":11,\"content\":\"<user>\","
                "\"special\":true,\"normalized\":true}],\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}",
        "{}", CHATML);
    const lckv_message bad = message("a<user>", "x"), good = message("user", "<user>");
    check_refused(tokenizer, &bad, 1, LCKV_INVALID_ARGUMENT, "has a special token in it");
    check_format(tokenizer, &good, 1, 0, "<|im_start|>user\n<user><|im_end|>\n");
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- Tokens ---- */

/* Fails unless the conversation has these tokens. */
static void check_tokens(const struct tokenizer *tokenizer, const lckv_message *messages,
                         size_t n_messages, const lckv_token *expected, size_t n_expected)
{
    const struct chat chat = {messages, sizeof *messages, n_messages, 0};
    lckv_token tokens[64];
    size_t n_tokens = 0;
    ck_assert_status(chat_tokenize(tokenizer, &chat, NULL, 0, &n_tokens), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n_tokens, n_expected);
    ck_assert_ok(chat_tokenize(tokenizer, &chat, tokens, 64, &n_tokens));
    ck_assert_uint_eq(n_tokens, n_expected);
    ck_assert_mem_eq(tokens, expected, n_expected * sizeof *tokens);
}

/* <s> has id 0, </s> 1, <user> (which is no control token) 11, "a" 2, "b" 3, "ab" 8. */
START_TEST(only_the_template_writes_special_tokens)
{
    struct tokenizer *tokenizer = tokenizer_with("{{ bos_token }}{{ messages[0].content }}</s>");
    const lckv_message plain = message("user", "ab"), marked = message("user", "</s>a<s>"),
                       user = message("user", "<user>a");
    check_tokens(tokenizer, &plain, 1, (lckv_token[]){0, 8, 1}, 3);
    /* The small vocabulary lacks letters of "</s>" and "<s>". */
    check_tokens(tokenizer, &marked, 1, (lckv_token[]){0, 2, 1}, 3);
    check_tokens(tokenizer, &user, 1, (lckv_token[]){0, 11, 2, 1}, 4);
    tokenizer_release(tokenizer);
}
END_TEST

/* Words are found in the whole text; only special tokens must lie within the template's part. */
START_TEST(words_cross_from_template_to_message)
{
    struct tokenizer *tokenizer = tokenizer_with("a{{ messages[0].content }}/s>");
    const lckv_message b = message("user", "b"), less = message("user", "<");
    check_tokens(tokenizer, &b, 1, (lckv_token[]){8}, 1);
    check_tokens(tokenizer, &less, 1, (lckv_token[]){2}, 1);
    tokenizer_release(tokenizer);
}
END_TEST

static void add_chat(Suite *suite)
{
    TCase *tcase = tcase_create("chat");
    tcase_add_test(tcase, messages_are_written_as_chatml);
    tcase_add_test(tcase, templates_write_the_tokens_that_the_tokenizer_names);
    tcase_add_test(tcase, stride_may_be_longer_than_a_message);
    tcase_add_loop_test(tcase, templates_write_what_jinja_writes, 0,
                        (int)(sizeof written / sizeof written[0]));
    tcase_add_test(tcase, loops_know_where_they_are);
    tcase_add_test(tcase, how_many_texts_are_joined_is_limited);
    tcase_add_test(tcase, a_default_system_message_gives_way_to_another);
    tcase_add_test(tcase, thoughts_before_the_last_question_are_left_out);
    tcase_add_test(tcase, dates_are_written_as_strftime_writes_them);
    tcase_add_test(tcase, templates_have_a_largest_length);
    tcase_add_test(tcase, today_is_the_date_of_the_system);
    tcase_add_test(tcase, refusals_say_what_to_do_instead);
    tcase_add_test(tcase, variables_of_a_loop_end_with_its_turn);
    tcase_add_test(tcase, named_templates_use_the_default);
    tcase_add_loop_test(tcase, what_is_not_understood_is_refused_by_name, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(tcase, variables_are_limited);
    tcase_add_test(tcase, texts_repeated_too_often_are_refused);
    tcase_add_test(tcase, names_of_methods_are_no_members);
    tcase_add_test(tcase, a_template_may_refuse_messages);
    tcase_add_test(tcase, texts_that_grow_without_end_are_refused);
    tcase_add_test(tcase, roles_are_names);
    tcase_add_test(tcase, roles_have_no_normalized_tokens_either);
    tcase_add_test(tcase, only_the_template_writes_special_tokens);
    tcase_add_test(tcase, words_cross_from_template_to_message);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("chat", add_chat)
