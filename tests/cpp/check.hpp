/*
 * What the tests of lckv.hpp share: checks that say what failed and where, a main that runs test
 * functions, and the bundled model. After a failed check a test function goes on.
 */
#ifndef LCKV_TESTS_CHECK_HPP
#define LCKV_TESTS_CHECK_HPP

#include "lckv.hpp"

#include <exception>
#include <iostream>
#include <string>

#define BUNDLED "examples/models/stories-lckv-q8_0.gguf"

inline int n_failed = 0;

inline void failed(const char *file, int line, const std::string &what)
{
    std::cerr << "FAIL " << file << ":" << line << ": " << what << std::endl;
    n_failed++;
}

#define CHECK(condition)                            \
    do {                                            \
        if (!(condition))                           \
            failed(__FILE__, __LINE__, #condition); \
    } while (false)

/* The expression throws this type of exception. */
#define CHECK_THROWS(type, ...)                                                         \
    do {                                                                                \
        try {                                                                           \
            static_cast<void>(__VA_ARGS__);                                             \
            failed(__FILE__, __LINE__, #__VA_ARGS__ ": no exception");                  \
        } catch (const type &) {                                                        \
        } catch (const std::exception &other_) {                                        \
            failed(__FILE__, __LINE__, #__VA_ARGS__ ": " + std::string(other_.what())); \
        }                                                                               \
    } while (false)

/* The expression throws lckv::error with this status and a message that has this part. */
#define CHECK_FAILS(expected, part, ...)                                                           \
    do {                                                                                           \
        try {                                                                                      \
            static_cast<void>(__VA_ARGS__);                                                        \
            failed(__FILE__, __LINE__, #__VA_ARGS__ ": no exception");                             \
        } catch (const lckv::error &error_) {                                                      \
            if (error_.status() != (expected) ||                                                   \
                std::string(error_.what()).find(part) == std::string::npos)                        \
                failed(__FILE__, __LINE__,                                                         \
                       #__VA_ARGS__ ": " + std::string(lckv_status_name(error_.status())) + ": " + \
                           error_.what());                                                         \
        }                                                                                          \
    } while (false)

template <std::size_t n> int run(void (*const (&tests)[n])())
{
    for (void (*test)() : tests) {
        try {
            test();
        } catch (const std::exception &error) {
            failed(__FILE__, __LINE__, std::string("exception: ") + error.what());
        }
    }
    return n_failed == 0 ? 0 : 1;
}

/* The bundled model, opened once for a program. */
inline lckv::model &bundled()
{
    static lckv::model model(BUNDLED);
    return model;
}

/* What the cache writes after a prompt: always the same, as long as it works. */
inline std::string story(lckv::cache &cache)
{
    std::string text;
    lckv::session session(cache);
    lckv::generate_options options;
    options.max_tokens = 12;
    options.callback = [&](lckv_token, std::string_view piece) { text += piece; };
    session.generate(cache.model().tokenize("Once upon a time"), options);
    return text;
}

#endif
