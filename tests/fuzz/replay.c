/*
 * Replays inputs without libFuzzer. Each argument is a file or a folder of files, and the target
 * gets each file once. An input may take one second of processor time, unless LCKV_REPLAY_SECONDS
 * says otherwise (0: any time). All other faults end the process through the sanitizers or the
 * target.
 */
#include "fuzz.h"

#include <time.h>

static double seconds_allowed = 1;
static size_t n_replayed;

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    require(file != NULL, "cannot open %s", path);
    require(fseek(file, 0, SEEK_END) == 0, "cannot seek in %s", path);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data =
        malloc(size > 0 ? size : 1); /* the exact size, so that sanitizers see its end */
    require(data != NULL && fread(data, 1, size, file) == size, "cannot read %s", path);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last line names the input that ended the process */
    double begin = processor_seconds();
    LLVMFuzzerTestOneInput(data, size);
    double taken = processor_seconds() - begin;
    require(seconds_allowed == 0 || taken < seconds_allowed, "%s took %.1f s", path, taken);
    n_replayed++;
    free(data);
}

static void replay(const char *path)
{
    DIR *entries = opendir(path);
    if (entries == NULL) {
        replay_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            replay_file(inner);
    }
    closedir(entries);
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("LCKV_REPLAY_SECONDS");
    if (seconds != NULL)
        seconds_allowed = strtod(seconds, NULL);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%zu inputs\n", n_replayed);
    return n_replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
