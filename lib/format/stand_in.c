/*
 * Recognises, by their first bytes, files that stand where others should be. See stand_in.h.
 */
#include "format/stand_in.h"

#include "base/reader.h"
#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define HEAD_BYTES 256

struct kind {
    const char *begin;
    size_t length;
    const char *what;
};

#define BEGIN(bytes) bytes, sizeof bytes - 1

#define PYTORCH "weights saved by PyTorch, which lckv does not read: save them as safetensors"
#define DOWNLOAD "probably a server's answer: download the file again"
#define PAGE "an HTML or XML page, " DOWNLOAD
#define LFS "a Git LFS pointer to the file: fetch it with git lfs pull"

static const struct kind for_templates[] = {
    {BEGIN("version https://git-lfs"), LFS},
    {BEGIN("<!DOCTYPE"), PAGE},
    {BEGIN("<!doctype"), PAGE},
    {BEGIN("<html"), PAGE},
    {BEGIN("<?xml"), PAGE},
};

static const struct kind for_all[] = {
    {BEGIN("version https://git-lfs"), LFS},
    {BEGIN("<"), PAGE},
    {BEGIN("\x1f\x8b"), "compressed with gzip: unpack it first"},
    {BEGIN("\x28\xb5\x2f\xfd"), "compressed with zstd: unpack it first"},
    {BEGIN("\xfd\x37zXZ"), "compressed with xz: unpack it first"},
    {BEGIN("PK\x03\x04"), "a ZIP archive, perhaps " PYTORCH},
};

static const struct kind for_weights[] = {
    {BEGIN("{"), "a JSON text, " DOWNLOAD},
    {BEGIN("\x80\x02"), "a pickle, perhaps " PYTORCH},
    {BEGIN("GGUF"), "a GGUF file: open it by its own path, with a name that ends with .gguf"},
    {BEGIN("tjgg"), "a GGML file from before GGUF: convert the original model again"},
    {BEGIN("fmgg"), "a GGML file from before GGUF: convert the original model again"},
    {BEGIN("lmgg"), "a GGML file from before GGUF: convert the original model again"},
    {BEGIN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "zeros: its download has not come to an end"},
};

static const char *find(const struct kind *kinds, size_t n_kinds, struct text head)
{
    for (size_t i = 0; i < n_kinds; i++) {
        if (head.length >= kinds[i].length &&
            memcmp(head.bytes, kinds[i].begin, kinds[i].length) == 0)
            return kinds[i].what;
    }
    return NULL;
}

/* Leaves out the byte order mark and the white space with which a text may begin. */
static struct text skip_blanks(struct text head)
{
    size_t at = text_begins(head, "\xef\xbb\xbf") ? 3 : 0;
    while (at < head.length && strchr(" \t\r\n", head.bytes[at]) != NULL && head.bytes[at] != '\0')
        at++;
    return (struct text){head.bytes + at, head.length - at};
}

/* Whether the file begins with a length below 2^32 and JSON, as safetensors files do. */
static bool is_safetensors(struct text head)
{
    return head.length > 9 && memcmp(head.bytes + 4, "\0\0\0\0{\"", 6) == 0;
}

static lckv_status refuse(const char *name, const char *what)
{
    return what == NULL ? LCKV_OK : fail(LCKV_BAD_FORMAT, "%s: is %s", name, what);
}

lckv_status stand_in_refuse_text(const char *name, const void *bytes, size_t length)
{
    struct text head = skip_blanks((struct text){bytes, length});
    return refuse(name, find(for_all, sizeof for_all / sizeof for_all[0], head));
}

lckv_status stand_in_refuse_template(const char *name, const void *bytes, size_t length)
{
    struct text head = skip_blanks((struct text){bytes, length});
    return refuse(name, find(for_templates, sizeof for_templates / sizeof for_templates[0], head));
}

lckv_status stand_in_refuse_weights(const struct file *file)
{
    char bytes[HEAD_BYTES];
    size_t length = file->length < sizeof bytes ? (size_t)file->length : sizeof bytes;
    lckv_status status = file_read(file, 0, bytes, length);
    if (status != LCKV_OK)
        return status;
    struct text head = {bytes, length};
    const char *what = find(for_weights, sizeof for_weights / sizeof for_weights[0], head);
    if (what == NULL && is_safetensors(head))
        what = "a safetensors file: open the directory that it is in";
    if (what == NULL && text_begins(skip_blanks(head), "{"))
        what = for_weights[0].what;
    return what != NULL ? refuse(file->name, what)
                        : stand_in_refuse_text(file->name, bytes, length);
}
