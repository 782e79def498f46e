/*
 * The pre-tokenizers that GGUF files name. The patterns are those of the models' own tokenizers, or
 * ones that llama.cpp uses instead and that match the same.
 */
#include "text/pretokenizer.h"

#include <string.h>

#define DIGIT "\\p{N}"
#define DIGITS "\\p{N}+"
#define UP_TO_3_DIGITS "\\p{N}{1,3}"
#define THREE_DIGITS "[0-9][0-9][0-9]"
#define LINE_BREAK "[\r\n]"
#define SPACE_AT_END "\\s+$"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3                                                  \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| " \
                 "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define QWEN2 \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define QWEN35                                                    \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|" \
                 " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES
#define SEED_CODER \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES
#define BAILING                                                                                    \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|" \
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"

/* Words that begin with capital letters, or have none: WONDER, Wonder, wonder. */
#define CAPITALS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALLS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)                                                                          \
    "[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "*" SMALLS "+" end "|[^\\r\\n\\p{L}\\p{N}]?" CAPITALS \
    "+" SMALLS "*" end
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
#define TEKKEN CASED("") "|\\p{N}|" SIGNS SPACES
#define GPT4O CASED(CONTRACTIONS "?") "|\\p{N}{1,3}|" SIGNS SPACES

#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"

#define DEEPSEEK3_CJK "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEEPSEEK3                                                                   \
    "[!\"#$%&'()*+,\\-./"                                                           \
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" \
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK_CJK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
/* Letters that have cases. */
#define DEEPSEEK_WORDS                                                                           \
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-" \
    "\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}"        \
    "\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"       \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-"         \
    "\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"      \
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-"     \
    "\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-"       \
    "\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-"      \
    "\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}"      \
    "\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}"        \
    "\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-"      \
    "\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-"       \
    "\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"       \
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-"     \
    "\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}"  \
    "\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}"       \
    "\\x{1E900}-\\x{1E943}]+"

#define DEEPSEEK_SIGNS \
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+"

static const struct pretokenizer_kind kinds[] = {
    {.name = "gpt-2", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "smollm", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "llama-bpe", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "falcon3", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "falcon-h1", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "pixtral", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "midm-2.0", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "lfm2", .patterns = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .patterns = {QWEN2}},
    {.name = "qwen35", .patterns = {QWEN35}},
    {.name = "gpt-4o", .patterns = {GPT4O}},
    {.name = "llama4", .patterns = {GPT4O}},
    {.name = "kanana2", .patterns = {GPT4O}},
    {.name = "minimax-m2", .patterns = {GPT4O}},
    {.name = "tekken", .patterns = {TEKKEN}, .ignore_merges = true, .add_bos = true},
    {.name = "deepseek-v3", .patterns = {UP_TO_3_DIGITS, DEEPSEEK3_CJK, DEEPSEEK3}},
    {.name = "hunyuan-dense", .patterns = {UP_TO_3_DIGITS, DEEPSEEK3_CJK, DEEPSEEK3}},
    {.name = "joyai-llm", .patterns = {UP_TO_3_DIGITS, DEEPSEEK3_CJK, DEEPSEEK3}},
    {.name = "deepseek-llm",
     .patterns = {LINE_BREAK, DEEPSEEK_WORDS, DEEPSEEK_SIGNS, SPACE_AT_END, DEEPSEEK_CJK, DIGITS}},
    {.name = "deepseek-coder",
     .patterns = {LINE_BREAK, "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_CJK, DIGIT}},
    {.name = "falcon", .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", PRETOKENIZER_GPT2, THREE_DIGITS}},
    {.name = "starcoder", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "refact", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "command-r", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "codeshell", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "exaone", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "minerva-7b", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "mellum2", .patterns = {DIGIT, PRETOKENIZER_GPT2}},
    {.name = "mpt", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "olmo", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "phi-2", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "jais", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "trillion", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "granite-docling", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "exaone4", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "gigachat", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "a.x-4.0", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "mellum", .patterns = {PRETOKENIZER_GPT2}},
    {.name = "dbrx", .patterns = {LLAMA3}},
    {.name = "smaug-bpe", .patterns = {LLAMA3}},
    {.name = "chatglm-bpe", .patterns = {LLAMA3}},
    {.name = "glm4", .patterns = {LLAMA3}, .ignore_merges = true},
    {.name = "deepseek-r1-qwen", .patterns = {QWEN2}},
    {.name = "stablelm2", .patterns = {QWEN2}},
    {.name = "megrez", .patterns = {QWEN2}},
    {.name = "hunyuan", .patterns = {QWEN2}},
    {.name = "solar-open", .patterns = {QWEN2}},
    {.name = "grok-2", .patterns = {QWEN2}},
    {.name = "kormo", .patterns = {QWEN2}},
    {.name = "seed-coder", .patterns = {SEED_CODER}},
    {.name = "bailingmoe", .patterns = {BAILING}},
    {.name = "bailingmoe2", .patterns = {BAILING}},
    {.name = "llada-moe", .patterns = {BAILING}},
    {.name = "bloom", .patterns = {BLOOM}},
    {.name = "gpt3-finnish", .patterns = {BLOOM}},
    {.name = "poro-chat", .patterns = {BLOOM}},
    {.name = "viking", .patterns = {BLOOM, DIGIT}},
    {.name = "default",
     .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", PRETOKENIZER_GPT2, DIGITS, THREE_DIGITS}},
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])

static size_t count_patterns(const struct pretokenizer_kind *kind)
{
    size_t count = 0;
    while (count < PRETOKENIZER_MAX_PATTERNS && kind->patterns[count] != NULL)
        count++;
    return count;
}

const struct pretokenizer_kind *pretokenizer_find_kind(struct text name)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (text_equals(name, kinds[i].name))
            return &kinds[i];
    }
    return NULL;
}

static bool has_steps_of(const struct pretokenizer *pretokenizer,
                         const struct pretokenizer_kind *kind)
{
    if (pretokenizer->n_steps != count_patterns(kind))
        return false;
    for (size_t i = 0; i < pretokenizer->n_steps; i++) {
        const struct pretokenizer_step *step = &pretokenizer->steps[i];
        if (step->behavior != PRETOKENIZER_ISOLATED ||
            !text_equals(step->pattern.text, kind->patterns[i]))
            return false;
    }
    return true;
}

const struct pretokenizer_kind *pretokenizer_kind_of(const struct pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        if (has_steps_of(pretokenizer, &kinds[i]))
            return &kinds[i];
    }
    return NULL;
}

lckv_status pretokenizer_add_kind(struct pretokenizer *pretokenizer,
                                  const struct pretokenizer_kind *kind)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < count_patterns(kind); i++) {
        struct text pattern = {kind->patterns[i], strlen(kind->patterns[i])};
        status = pretokenizer_add(pretokenizer, pattern, PRETOKENIZER_ISOLATED, false);
    }
    return status;
}

/* ---- Behaviours ---- */

static const char *const behaviors[] = {
    [PRETOKENIZER_ISOLATED] = "Isolated",
    [PRETOKENIZER_REMOVED] = "Removed",
    [PRETOKENIZER_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
    [PRETOKENIZER_MERGED_WITH_NEXT] = "MergedWithNext",
    [PRETOKENIZER_CONTIGUOUS] = "Contiguous",
    [PRETOKENIZER_PREFIX] = "Prefix",
    [PRETOKENIZER_SPELL] = "Spell",
};

const char *pretokenizer_behavior_name(enum pretokenizer_behavior behavior)
{
    return behaviors[behavior];
}

bool pretokenizer_find_behavior(struct text name, enum pretokenizer_behavior *behavior)
{
    for (size_t i = 0; i < sizeof behaviors / sizeof behaviors[0]; i++) {
        if (text_equals(name, behaviors[i])) {
            *behavior = (enum pretokenizer_behavior)i;
            return true;
        }
    }
    return false;
}
