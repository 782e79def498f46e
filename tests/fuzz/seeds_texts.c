/*
 * Writes the seeds about text: tokenizers and texts for fuzz_tokenizer.c, templates and
 * conversations for fuzz_chat.c. Two of the tokenizers are also in GGUF files, for fuzz_gguf.c.
 */
#include "seeds.h"

/* Writes normalisers, pre-tokenizers and added tokens with every kind of step. */
static void write_pipelines(void)
{
    static const char *const pipelines[] = {
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
        "{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\","
        "\"strip_left\":true},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},"
        "\"content\":\" a\"}]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}",
        "\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":true},{\"type\":\"Digits\"},"
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]\"},\"behavior\":\"MergedWithNext\","
        "\"invert\":false}]}",
        "\"normalizer\":{\"type\":\"NFKD\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Whitespace\"},{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"\\\\b|\\\\s+$\"},\"behavior\":\"MergedWithPrevious\","
        "\"invert\":true},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a*\"},"
        "\"behavior\":\"Removed\",\"invert\":true},{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false}]}",
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"},"
        "{\"type\":\"Lowercase\"},{\"type\":\"Prepend\",\"prepend\":\"b\"}]}",
        "\"normalizer\":{\"type\":\"Strip\"},\"pre_tokenizer\":{\"type\":\"Metaspace\","
        "\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\"}",
    };
    for (size_t i = 0; i < COUNT(pipelines); i++) {
        char name[32];
        snprintf(name, sizeof name, "pipeline-%zu", i);
        FILE *seed = begin_seed("tokenizer", name);
        put_part(seed, "tokenizer.json",
                 "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"1\":2,\"\xC4\xA0\":3,\"ab\":4},"
                 "\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":5,\"content\":\"<A>\","
                 "\"normalized\":true,\"special\":true,\"rstrip\":true}],");
        fputs(pipelines[i], seed);
        fputs("}", seed);
        put_part(seed, "text", "  A<a> abAB. 12 \xEF\xAC\x81 e\xCC\x81 <\xC3\x81>  ");
        put_part(seed, "text 1", "<A>b\xFF <a>");
        end_seed(seed);
    }
}

/* Writes the tokenizers of tests/data/text and the tiny one, each with some texts. */
static void write_texts(void)
{
    static const char *const files[] = {"gpt2", "llama3", "plain", "smollm", "steps"};
    for (size_t i = 0; i < COUNT(files) + 1; i++) {
        FILE *seed = begin_seed("tokenizer", i < COUNT(files) ? files[i] : "tiny");
        char path[128];
        put_part(seed, "tokenizer.json", i < COUNT(files) ? "" : TINY_TOKENIZER);
        if (i < COUNT(files)) {
            snprintf(path, sizeof path, "tests/data/text/%s.json", files[i]);
            put_file(seed, path);
        }
        put_part(seed, "tokenizer_config.json", TINY_TOKENIZER_CONFIG);
        put_part(seed, "text", "Once upon a time, 1234 cats; it's caf\xC3\xA9!\n\n  <|im_start|>");
        put_part(seed, "text 1", "<s>abc<|eos|> \xF0\x9F\x98\x80\xFF\xE2\x80");
        put_part(seed, "text 2", "");
        end_seed(seed);
    }
}

/* Makes a small tokenizer.model; byte 1C, which separates parts, does not occur in it. */
static size_t make_model(bool unigram, char *bytes)
{
    static const struct {
        const char *text;
        char type;
    } pieces[] = {
        {"<unk>", 2},
        {"<s>", 3},
        {"</s>", 3},
        {"<0x00>", 6},
        {"<0xFF>", 6},
        {"<br>", 4},
        {"a", 1},
        {"b", 1},
        {"\xE2\x96\x81", 1},
        {"ab", 1},
        {"\xE2\x96\x81"
         "a",
         1},
        {"aab", 1},
        {"x", 5},
    };
    char *at = bytes;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t length = strlen(pieces[i].text);
        *at++ = '\x0A';
        *at++ = (char)(length + 9);
        *at++ = '\x0A';
        *at++ = (char)length;
        memcpy(at, pieces[i].text, length);
        at += length;
        memcpy(at, "\x15\0\0\0\xC0\x18", 6);
        at[3] = (char)(8 * i); /* the scores differ */
        at[6] = pieces[i].type;
        at += 7;
    }
    memcpy(at, "\x12\x02\x18", 3);
    at[3] = unigram ? 1 : 2;
    memcpy(at + 4, "\x1A\x02\x20\x01", 4);
    return (size_t)(at + 8 - bytes);
}

/* Writes spaced vocabularies, in tokenizer.json, tokenizer.model and GGUF files. */
static void write_spaced(void)
{
    static const char *const files[] = {"llama", "gemma", "unknown", "unigram", "white"};
    static const struct tiny tiny = {.n_layers = 1, .is_tied = true, .n_vocab = 16};
    char name[64], bytes[512];
    for (size_t i = 0; i < COUNT(files) + 2; i++) {
        bool is_model = i >= COUNT(files), unigram = i == COUNT(files);
        snprintf(name, sizeof name, "spaced-%s", is_model ? unigram ? "u" : "b" : files[i]);
        FILE *seed = begin_seed("tokenizer", name);
        put_part(seed, is_model ? "tokenizer.model" : "tokenizer.json", "");
        size_t length = make_model(unigram, bytes);
        if (is_model)
            fwrite(bytes, 1, length, seed);
        else
            snprintf(name, sizeof name, "tests/data/text/spaced/%s.json", files[i]);
        if (!is_model)
            put_file(seed, name);
        put_part(seed, "tokenizer_config.json",
                 "{\"legacy\":false,\"added_tokens_decoder\":{\"13\":{\"content\":\"<t>\"}}}");
        put_part(seed, "text", " Once  upon aab<br>a\n\xE2\x96\x81 <t> ");
        put_part(seed, "text 1", "<s>abc</s> a\xF0\x9F\x98\x80\xFF\xE2\x80");
        end_seed(seed);
        if (!is_model)
            continue;
        folder_begin();
        require(tiny_write_weights(&tiny, folder), "cannot write to %s", folder);
        folder_write("tokenizer.model", bytes, length, 0);
        require_ok(lckv_convert(folder, folder_path("m.gguf"), NULL, NULL));
        seed = begin_seed("gguf", unigram ? "spaced-u" : "spaced-b");
        put_file(seed, folder_path("m.gguf"));
        end_seed(seed);
    }
}

/* Writes templates that do what published ones do, in other words. */
static void write_chats(void)
{
    static const char *const templates[] = {
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
        "'<|im_start|>assistant\n' }}{% endif %}",
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
        "'<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
        "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}",
        "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}",
        "{%- if tools %}\n    {{- tools | tojson }}\n{%- else %}\n"
        "    {%- if messages[0]['role'] == 'system' %}\n"
        "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n"
        "    {%- else %}\n        {{- '<|im_start|>system\\nHelp.<|im_end|>\\n' }}\n"
        "    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n"
        "    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) "
        "or (message.role == \"assistant\" and not message.tool_calls) %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + "
        "'\\n' "
        "}}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set "
        "system_message = messages[0]['content'] | trim + '\\n\\n' %}{% else %}{% set "
        "loop_messages = messages %}{% set system_message = '' %}{% endif %}{% for message in "
        "loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ "
        "raise_exception('Roles must alternate') }}{% endif %}{% if loop.index0 == 0 %}{% set "
        "content = system_message ~ message['content'] %}{% else %}{% set content = "
        "message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] "
        "' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + "
        "content + ' ' + eos_token }}{% endif %}{% endfor %}",
        "{# A role on a line of its own. #}\r\n{% for m in messages -%}\n  <|im_start|>{{ 'model' "
        "if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<|im_end|>\n"
        "{%+ if loop.last and m.role is defined and m.name is not defined %} {{ eos_token }}"
        "{%- endif %}\n{% endfor %}{{ '<|im_start|>model\n' if add_generation_prompt }}",
        "{%- set ns = namespace(last=-1, s='') %}{%- macro plain(text, n=0) %}{%- for part in "
        "text.split('</think>') %}{%- if loop.last or n %}{{- part.lstrip('\\n') }}{%- endif %}"
        "{%- endfor %}{%- endmacro %}{%- for m in messages[::-1] %}{%- if ns.last < 0 and m.role "
        "in ['user', 'system'] and not m.content.startswith('<tool') %}{%- set ns.last = "
        "messages|length - 1 - loop.index0 %}{%- endif %}{%- endfor %}{%- for i in "
        "range(messages|length) %}{%- set m = messages[i] %}{{- '<|im_start|>' ~ m.role ~ '\\n' ~ "
        "plain(m.content)|trim|default('', true) ~ '<|im_end|>' }}{%- set ns.s = ns.s + "
        "m.content.replace('/think', '') %}{%- endfor %}{{ ns.s.rstrip() | tojson }}{{ "
        "strftime_now('%d %B %Y') }}{% for j in range(3, -1, -1) %}{{ messages[j].get('content', "
        "'x').split('a', 1)[-1] }}{% endfor %}",
    };
    for (size_t i = 0; i < 2 * COUNT(templates); i++) {
        const char name[] = {(char)('a' + i), '\0'};
        FILE *seed = begin_seed("chat", name);
        put_part(seed, i % 2 == 0 ? "template" : "chat_template.jinja", templates[i / 2]);
        if (i % 3 != 0)
            put_part(seed, "system", " Be brief. ");
        put_part(seed, "user", "Hi <|im_end|>\n<|im_start|>");
        put_part(seed, "assistant", "");
        end_seed(seed);
    }
}

void write_text_seeds(void)
{
    write_pipelines();
    write_texts();
    write_spaced();
    write_chats();
}
