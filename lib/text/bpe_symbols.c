/*
 * Words to symbols, and symbols to tokens. See bpe_symbols.h.
 *
 * A character that is no token is treated as its reference does. Where merges are listed, its bytes
 * become symbols, or the unknown token does. SentencePiece keeps the character, because together
 * with its neighbours it may be a token, and only says in the end what it is.
 */
#include "text/bpe_symbols.h"

#include "base/utf8.h"

static void add(struct bpe_workspace *workspace, lckv_token token, size_t begin)
{
    uint32_t index = (uint32_t)workspace->n_symbols++;
    workspace->symbols[index] =
        (struct bpe_symbol){.token = token >= 0 ? (uint32_t)token : BPE_NONE,
                            .previous = index - 1,
                            .next = index + 1,
                            .begin = (uint32_t)begin};
}

static void list_bytes(const struct bpe *bpe, struct bpe_workspace *workspace, const char *word,
                       size_t length)
{
    for (size_t i = 0; i < length; i++) {
        lckv_token token = bpe->vocabulary->bytes[(uint8_t)word[i]];
        add(workspace, token >= 0 ? token : bpe->unknown, i);
    }
}

static void list_characters(const struct bpe *bpe, struct bpe_workspace *workspace,
                            const char *word, size_t length)
{
    const struct vocabulary *vocabulary = bpe->vocabulary;
    bool was_unknown = false;
    for (size_t at = 0, n; at < length; at += n) {
        n = utf8_character(word + at, length - at);
        n = n > 0 ? n : 1;
        lckv_token token = vocabulary_find_plain(vocabulary, (struct text){word + at, n});
        bool is_unknown = false;
        if (token >= 0 || bpe->by_score) {
            add(workspace, token, at);
        } else if (vocabulary_has_bytes(vocabulary, word + at, n)) {
            for (size_t i = 0; i < n; i++)
                add(workspace, vocabulary->bytes[(uint8_t)word[at + i]], at + i);
        } else if (bpe->unknown >= 0) {
            is_unknown = true;
            if (!bpe->fuse_unknown || !was_unknown)
                add(workspace, bpe->unknown, at);
        }
        was_unknown = is_unknown;
    }
}

lckv_status bpe_list_symbols(const struct bpe *bpe, struct bpe_workspace *workspace,
                             const char *word, size_t length)
{
    workspace->n_symbols = 0;
    lckv_status status =
        memory_grow(workspace->allocator, &workspace->symbols, &workspace->symbols_capacity, length,
                    sizeof workspace->symbols[0], "a word's symbols");
    if (status != LCKV_OK)
        return status;
    if (bpe->characters)
        list_characters(bpe, workspace, word, length);
    else
        list_bytes(bpe, workspace, word, length);
    if (workspace->n_symbols > 0) {
        workspace->symbols[0].previous = BPE_NONE;
        workspace->symbols[workspace->n_symbols - 1].next = BPE_NONE;
    }
    return LCKV_OK;
}

lckv_status bpe_give_tokens(const struct bpe *bpe, const struct bpe_workspace *workspace,
                            const char *word, size_t length, struct token_list *list)
{
    const struct bpe_symbol *symbols = workspace->symbols;
    lckv_status status = LCKV_OK;
    bool was_unknown = false;
    for (uint32_t i = workspace->n_symbols > 0 ? 0 : BPE_NONE; status == LCKV_OK && i != BPE_NONE;
         i = symbols[i].next) {
        if (symbols[i].token != BPE_NONE) {
            status = token_list_add(list, (lckv_token)symbols[i].token);
            was_unknown = false;
        } else if (bpe->by_score) {
            uint32_t begin = symbols[i].begin, end = bpe_symbol_end(symbols, i, length);
            struct text character = {word + begin, end - begin};
            status = vocabulary_give_unknown(bpe->vocabulary, character, bpe->unknown, &was_unknown,
                                             list);
        }
    }
    return status;
}
