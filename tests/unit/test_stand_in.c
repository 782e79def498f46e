/*
 * Files that stand in place of a model's, and files that a directory lacks: messages name the
 * cause.
 */
#include "base/status.h"
#include "format/checkpoint_open.h"

#include <unistd.h>

#include "folder.h"
#include "support.h"

static struct checkpoint checkpoint;

#define LFS                                        \
    "version https://git-lfs.github.com/spec/v1\n" \
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
#define BYTES(bytes) bytes, sizeof bytes - 1

/* Each stands as a GGUF file, and as the weights of a directory. */
static const struct {
    const char *bytes;
    size_t length;
    const char *message;
} weights[] = {
    {BYTES(LFS), "a Git LFS pointer to the file: fetch it with git lfs pull"},
    {BYTES("<!DOCTYPE html>\n<html><body>404"), "an HTML or XML page, probably a server's answer"},
    {BYTES("\r\n  <html>   "), "an HTML or XML page"},
    {BYTES("{\"error\": \"Repository not found\"}"), "a JSON text, probably a server's answer"},
    {BYTES("\xef\xbb\xbf {\"error\": 1}"), "a JSON text"},
    {BYTES("\x1f\x8b\x08\0\0\0\0\0\0\0"), "compressed with gzip: unpack it first"},
    {BYTES("PK\x03\x04\0\0\x08\x08"), "a ZIP archive, perhaps weights saved by PyTorch"},
    {BYTES("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9"), "a pickle, perhaps weights saved by PyTorch"},
    {BYTES("tjgg\x03\0\0\0\0}\0\0"), "a GGML file from before GGUF"},
    {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "zeros: its download"},
};

START_TEST(what_is_no_gguf_file_is_called_what_it_is)
{
    const char *path = folder_path("model.gguf");
    folder_write("model.gguf", weights[_i].bytes, weights[_i].length);
    ck_assert_status(checkpoint_open(&checkpoint, path, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("/model.gguf: is ");
    ck_assert_error_has(weights[_i].message);
}
END_TEST

START_TEST(what_is_no_safetensors_file_is_called_what_it_is)
{
    folder_write_text("config.json", "{}");
    folder_write("model.safetensors", weights[_i].bytes, weights[_i].length);
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("/model.safetensors: ");
    ck_assert_error_has(weights[_i].message);
}
END_TEST

START_TEST(weights_under_the_suffix_of_others_are_called_so)
{
    folder_write("model.gguf", BYTES("\x60\0\0\0\0\0\0\0{\"a\":{}}"));
    ck_assert_status(
        checkpoint_open(&checkpoint, folder_path("model.gguf"), &memory_default_allocator),
        LCKV_BAD_FORMAT);
    ck_assert_error_has("is a safetensors file: open the directory");
    folder_write_text("config.json", "{}");
    folder_write("model.safetensors", BYTES("GGUF\3\0\0\0\0\0\0\0"));
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("is a GGUF file: open it by its own path");
}
END_TEST

START_TEST(a_directory_says_what_stands_in_it)
{
    folder_write_text("config.json", LFS);
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("/config.json: is a Git LFS pointer");
    folder_write_text("config.json", "{}");
    folder_write_text("model.safetensors.index.json", LFS);
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("/model.safetensors.index.json: is a Git LFS pointer");
    unlink(folder_path("model.safetensors.index.json"));
    folder_write_text("pytorch_model.bin", "PK");
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("has its weights in pytorch_model.bin only");
    unlink(folder_path("pytorch_model.bin"));
    unlink(folder_path("config.json"));
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("no config.json in ");
    ck_assert_error_has("or the path of a GGUF file");
}
END_TEST

START_TEST(links_that_lead_nowhere_are_called_so)
{
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "model.safetensors.index.json"};
    folder_write_text("config.json", "{}");
    unlink(folder_path(names[_i]));
    ck_assert_int_eq(symlink("../blobs/1234", folder_path(names[_i])), 0);
    ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator), LCKV_IO);
    ck_assert_error_has(names[_i]);
    ck_assert_error_has("the symbolic link leads to \"../blobs/1234\", which does not exist");
    ck_assert_status(
        checkpoint_open(&checkpoint, folder_path(names[_i]), &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("the symbolic link leads to");
}
END_TEST

/* A model needs no tokenizer: it opens, and says why it has none. */
static void expect_no_tokenizer(const char *reason)
{
    ck_assert_ok(checkpoint_open(&checkpoint, folder, &memory_default_allocator));
    if (reason == NULL)
        ck_assert_ptr_null(checkpoint.no_tokenizer);
    else
        ck_assert_msg(checkpoint.no_tokenizer != NULL &&
                          strstr(checkpoint.no_tokenizer, reason) != NULL,
                      "%s", checkpoint.no_tokenizer);
    checkpoint_close(&checkpoint);
}

START_TEST(a_tokenizer_that_is_not_there_does_not_stop_the_open)
{
    folder_write_text("config.json", "{}");
    folder_write("model.safetensors", BYTES("\x02\0\0\0\0\0\0\0{}"));
    expect_no_tokenizer(NULL);
    folder_write_text("tokenizer.model", "\x0a\x0e");
    expect_no_tokenizer(NULL);
    folder_write_text("tokenizer.model", LFS);
    expect_no_tokenizer("/tokenizer.model: is a Git LFS pointer");
    unlink(folder_path("tokenizer.model"));
    folder_write_text("vocab.json", "{}");
    expect_no_tokenizer("has a vocab.json but no tokenizer.json, which lckv reads");
    folder_write_text("tokenizer.json", LFS);
    expect_no_tokenizer("/tokenizer.json: is a Git LFS pointer");
    unlink(folder_path("tokenizer.json"));
    ck_assert_int_eq(symlink("gone", folder_path("tokenizer.json")), 0);
    expect_no_tokenizer("/tokenizer.json: cannot open: the symbolic link leads to \"gone\"");
    unlink(folder_path("tokenizer.json"));
    folder_write_text("tokenizer.json", "{}");
    expect_no_tokenizer(NULL);
}
END_TEST

/* An interrupted download leaves files of no bytes, which are not the same as no files. */
START_TEST(empty_files_are_called_empty)
{
    static const char *const required[] = {"config.json", "generation_config.json"};
    static const char *const of_tokenizer[] = {"tokenizer.json", "tokenizer_config.json",
                                               "special_tokens_map.json", "chat_template.jinja"};
    folder_write("model.safetensors", BYTES("\x02\0\0\0\0\0\0\0{}"));
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        folder_write_text("config.json", "{}");
        folder_write_text(required[i], "");
        ck_assert_status(checkpoint_open(&checkpoint, folder, &memory_default_allocator),
                         LCKV_BAD_FORMAT);
        ck_assert_error_has(required[i]);
        ck_assert_error_has(": is empty: download the file again");
    }
    folder_write_text("config.json", "{}");
    folder_write_text("generation_config.json", "{}");
    for (size_t i = 0; i < sizeof of_tokenizer / sizeof of_tokenizer[0]; i++) {
        folder_write_text(of_tokenizer[i], "");
        expect_no_tokenizer(": is empty: download the file again");
        unlink(folder_path(of_tokenizer[i]));
    }
}
END_TEST

START_TEST(a_chat_template_may_begin_with_a_tag)
{
    folder_write_text("config.json", "{}");
    folder_write("model.safetensors", BYTES("\x02\0\0\0\0\0\0\0{}"));
    folder_write_text("chat_template.jinja", "<|im_start|>{{ messages[0].content }}");
    expect_no_tokenizer(NULL);
    folder_write_text("chat_template.jinja", "<!DOCTYPE html>");
    expect_no_tokenizer("/chat_template.jinja: is an HTML or XML page");
    folder_write_text("chat_template.jinja", LFS);
    expect_no_tokenizer("/chat_template.jinja: is a Git LFS pointer");
}
END_TEST

START_TEST(a_json_file_is_not_the_model_that_it_is_part_of)
{
    folder_write_text("model.safetensors.index.json", "{}");
    ck_assert_status(checkpoint_open(&checkpoint, folder_path("model.safetensors.index.json"),
                                     &memory_default_allocator),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("or the directory of a Hugging Face model, which such a file is in");
}
END_TEST

static void add_stand_ins(Suite *suite)
{
    TCase *tcase = tcase_create("stand-ins");
    int n = sizeof weights / sizeof weights[0];
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_loop_test(tcase, what_is_no_gguf_file_is_called_what_it_is, 0, n);
    tcase_add_loop_test(tcase, what_is_no_safetensors_file_is_called_what_it_is, 0, n);
    tcase_add_test(tcase, weights_under_the_suffix_of_others_are_called_so);
    tcase_add_test(tcase, a_directory_says_what_stands_in_it);
    tcase_add_loop_test(tcase, links_that_lead_nowhere_are_called_so, 0, 3);
    tcase_add_test(tcase, a_tokenizer_that_is_not_there_does_not_stop_the_open);
    tcase_add_test(tcase, empty_files_are_called_empty);
    tcase_add_test(tcase, a_chat_template_may_begin_with_a_tag);
    tcase_add_test(tcase, a_json_file_is_not_the_model_that_it_is_part_of);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("stand-ins", add_stand_ins)
