/*
 * C++: handles that release themselves, a callback that may throw, and a decode loop written out,
 * with the streaming detokenizer, which never gives half a UTF-8 character.
 *
 *     c++ -std=c++17 stream.cpp $(pkg-config --cflags --libs lckv) -o stream && ./stream MODEL
 */
#include <lckv.hpp>

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace
{

void stream(const std::string &path)
{
    lckv::model model(path);
    lckv::cache cache(model);
    lckv::session session(cache);
    lckv::detokenizer detokenizer(model, LCKV_DETOKENIZE_CONTINUES);
    lckv::sampler_options sampling;
    sampling.temperature = 0.7f;
    sampling.seed = 3;
    lckv::sampler sampler(sampling);

    /* If std::clog cannot be written, it throws: the call stops, and throws the exception again. */
    lckv::evaluate_options options;
    options.progress = [](std::uint64_t done, std::uint64_t total) {
        if (done < total)
            std::clog << done << " of " << total << " tokens\n";
    };

    const std::string prompt = "One day, a little girl";
    std::vector<lckv_token> next = model.tokenize(prompt);
    std::cout << prompt;
    for (int i = 0; i < 64; i++) {
        cache.evaluate({{session, next, LCKV_WANT_LAST}}, options);
        const lckv_token token = sampler.sample(session);
        sampler.accept(token);
        if (model.is_end_token(token))
            break;
        std::cout << detokenizer.push(token) << std::flush;
        next = {token};
    }
    std::cout << detokenizer.flush() << '\n';
}

} // namespace

int main(int argc, char **argv)
{
    std::cout.exceptions(std::ios::failbit | std::ios::badbit);
    std::clog.exceptions(std::ios::failbit | std::ios::badbit);
    try {
        stream(argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf");
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
