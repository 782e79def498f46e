/*
 * Measures how long a model takes to open, beside one thread that reads the file into fresh memory.
 *
 *     build/bench/opening MODEL...
 *
 * Both run in turns, with the file in the page cache; it prints the median and the least. A packed
 * file is mapped, so opening it reads next to nothing.
 */
#include "lckv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TURNS 9
#define PIECE ((size_t)1 << 20)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double open_seconds(const char *path)
{
    lckv_model *model;
    double begin = now();
    if (lckv_model_open(path, NULL, &model) != LCKV_OK) {
        fprintf(stderr, "opening: %s\n", lckv_last_error());
        exit(1);
    }
    double seconds = now() - begin;
    lckv_model_release(model);
    return seconds;
}

/* Reads by read(2), in pieces, into pages that the process has not touched before. */
static double read_seconds(const char *path)
{
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0) {
        perror(path);
        exit(1);
    }
    size_t length = (size_t)about.st_size, done = 0;
    double begin = now();
    char *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (bytes != MAP_FAILED && done < length) {
        size_t piece = length - done < PIECE ? length - done : PIECE;
        ssize_t n = read(file, bytes + done, piece);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    double seconds = now() - begin;
    if (done < length) {
        perror(path);
        exit(1);
    }
    munmap(bytes, length);
    close(file);
    return seconds;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_times(const char *what, double *seconds)
{
    qsort(seconds, TURNS, sizeof *seconds, ascending);
    printf("  %-24s %9.2f ms  %9.2f ms\n", what, 1e3 * seconds[TURNS / 2], 1e3 * seconds[0]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: build/bench/opening MODEL...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        double opened[TURNS], plain[TURNS];
        read_seconds(argv[i]); /* so that the page cache has it */
        for (int turn = 0; turn < TURNS; turn++) {
            opened[turn] = open_seconds(argv[i]);
            plain[turn] = read_seconds(argv[i]);
        }
        printf("%s\n  %-24s %12s  %12s\n", argv[i], "", "median", "least");
        print_times("lckv_model_open", opened);
        print_times("read by one thread", plain);
    }
    return 0;
}
