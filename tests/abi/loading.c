/*
 * Loads the shared library named on the command line and fails if that changed the process: its
 * threads, environment, locale, signal handlers or floating-point mode.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

extern char **environ;

struct state {
    int threads, variables, rounding, exceptions;
    char locale[128];
    void (*handlers[32])(int);
};

static void look(struct state *state)
{
    memset(state, 0, sizeof *state);
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && readdir(tasks) != NULL)
        state->threads++;
    if (tasks != NULL)
        closedir(tasks);
    for (char **v = environ; *v != NULL; v++)
        state->variables++;
    state->rounding = fegetround();
    state->exceptions = fegetexcept();
    snprintf(state->locale, sizeof state->locale, "%s", setlocale(LC_ALL, NULL));
    for (int s = 1; s < 32; s++) {
        struct sigaction action;
        if (sigaction(s, NULL, &action) == 0)
            state->handlers[s] = action.sa_handler;
    }
}

int main(int argc, char **argv)
{
    struct state before, after;
    look(&before);
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    look(&after);
    if (memcmp(&before, &after, sizeof before) != 0) {
        fprintf(stderr, "loading changed the process: %d threads were %d, %d variables were %d\n",
                after.threads, before.threads, after.variables, before.variables);
        return 1;
    }
    return 0;
}
