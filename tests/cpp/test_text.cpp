/*
 * Text through lckv.hpp: tokens and back, token by token, buffers of every size, conversations.
 */
#include "check.hpp"
#include "folder.hpp"

static void tokens_and_back()
{
    const lckv::model &model = bundled();
    const std::vector<lckv_token> tokens = model.tokenize("Once upon a time");
    CHECK(!tokens.empty() && model.detokenize(tokens) == "Once upon a time");
    CHECK(model.tokenize("", LCKV_TOKENIZE_NO_BOS).empty());
    CHECK(model.tokenize({}, LCKV_TOKENIZE_NO_BOS).empty());
    CHECK(model.detokenize({}).empty());
    /* Characters that take several tokens each, so that the first buffer is too small. */
    std::string long_text;
    for (int i = 0; i < 500; i++)
        long_text += "\xE2\x82\xAC\xF0\x9F\x98\x80";
    CHECK(model.detokenize(model.tokenize(long_text)) == long_text);
    /* Text may hold any byte. */
    const std::string bytes("a\0b\xFF", 4);
    CHECK(model.tokenize(bytes).size() > model.tokenize("a").size());
    const lckv_token beyond[] = {1 << 20};
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", model.detokenize(beyond));
}

static void token_by_token()
{
    const lckv::model &model = bundled();
    const std::string text = "caf\xC3\xA9 \xF0\x9F\x98\x80!";
    lckv::detokenizer detokenizer(model);
    lckv::detokenizer second = detokenizer.share();
    std::string joined;
    for (const lckv_token token : model.tokenize(text))
        joined += second.push(token);
    joined += detokenizer.flush();
    CHECK(joined == text);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", detokenizer.push(-5));
}

static void single_tokens()
{
    const lckv::model &model = bundled();
    const lckv_token end = model.special_token(LCKV_SPECIAL_EOS);
    CHECK(end >= 0 && model.is_end_token(end) && model.token(end).type == LCKV_TOKEN_CONTROL);
    const lckv_token word = model.tokenize("time", LCKV_TOKENIZE_NO_BOS).back();
    CHECK(!model.is_end_token(word) && !model.token(word).text.empty());
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", model.token(-1));
}

static void conversations()
{
    const folder folder;
    folder.write("tokenizer.json",
                 R"({"model":{"type":"BPE","vocab":{"<s>":0,"</s>":1,"<turn>":2,"a":3,"b":4,"c":5},
                 "merges":[]},"added_tokens":[
                 {"id":0,"content":"<s>","special":true,"normalized":false},
                 {"id":1,"content":"</s>","special":true,"normalized":false},
                 {"id":2,"content":"<turn>","special":true,"normalized":false}],
                 "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})");
    folder.write("tokenizer_config.json", R"({"bos_token":"<s>"})");
    folder.write("chat_template.jinja",
                 "{% for m in messages %}<s>{{ m.role }}<turn>{{ m.content }}</s>{% endfor %}"
                 "{% if add_generation_prompt %}<s>a<turn>{% endif %}\n");
    lckv::model_options options;
    options.weights = LCKV_WEIGHTS_NONE;
    const lckv::model model(folder.path(), options);
    using list = std::vector<lckv_token>;
    CHECK(model.chat_tokenize({{"a", "b"}, {"c", "</s>"}}, 0) == (list{0, 3, 2, 4, 1, 0, 5, 2, 1}));
    CHECK(model.chat_tokenize({{"a", "b"}}, LCKV_CHAT_ANSWER) == (list{0, 3, 2, 4, 1, 0, 3, 2}));
    CHECK(model.chat_format({{"a", "b"}}, 0) == "<s>a<turn>b</s>");
    /* Conversations that are longer than the first buffer. */
    const std::string content(5000, 'b');
    std::vector<lckv::message> many(3, {"c", content});
    CHECK(model.chat_tokenize(many, 0).size() == 3 * 5004);
    CHECK(model.chat_format(many, LCKV_CHAT_ANSWER).size() > 15000);
    CHECK_FAILS(LCKV_INVALID_ARGUMENT, "", model.chat_tokenize({{"a</s>", "b"}}, 0));
    CHECK_FAILS(LCKV_UNSUPPORTED, "", bundled().chat_tokenize({{"a", "b"}}, 0));
    CHECK_FAILS(LCKV_UNSUPPORTED, "", lckv::cache(model));
}

int main()
{
    return run({tokens_and_back, token_by_token, single_tokens, conversations});
}
