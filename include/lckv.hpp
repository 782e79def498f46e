/*
 * lckv for C++17 and later: the interface of lckv.h with handles that release themselves,
 * exceptions instead of statuses, and any callable as a callback. There is nothing to link but
 * liblckv.
 *
 *     lckv::model model("stories.gguf");
 *     lckv::cache cache(model);
 *     lckv::session session(cache);
 *     lckv::generate_options options;
 *     options.callback = [](lckv_token, std::string_view text) { std::cout << text; };
 *     session.generate(model.tokenize("Once upon a time"), options);
 *
 * lckv.h says what each function does, in which units, and how it fails: lckv_session_fork is
 * lckv::session::fork here, and lckv_sessions_save is lckv::sessions_save. What needs no wrapper,
 * as lckv_version_string, lckv_dtype_name and the constants, is used as it stands there. This
 * header adds these rules:
 *
 * - A call that fails throws lckv::error with the status and the message. No other exception comes
 *   from the library; std::bad_alloc tells that a container of the wrapper found no memory.
 * - Handles can be moved, and not copied. share() gives a second handle of the same thing, and
 *   get() lends the C handle. A default-constructed or moved-from handle is empty: calls on it
 *   throw LCKV_INVALID_ARGUMENT, but where it says otherwise.
 * - Options are the structs of lckv.h, with their size set, and with standard types in the place of
 *   pointers: strings, vectors and callables, which they own. Members of that kind are understood
 *   by this wrapper only, so do not pass such a struct to a function of lckv.h. Handles in options
 *   stay pointers (`options.pool = pool.get()`); the handle must live until the call has returned.
 * - A callback returns nothing, or true to go on and false to stop the call, as the C callback does
 *   with a number other than 0. It may throw: the library is asked to stop, and when it has
 *   returned, the call throws the exception again. What the call had done by then is as lckv.h says
 *   of a call that is stopped, so that sessions and caches stay good.
 * - Members that give a std::string, a std::vector or a struct give a copy. Those that give a
 *   std::string_view, a lckv::span or a lckv::logits_view give what the library holds, for as long
 *   as lckv.h says.
 * - The thread rule is that of lckv.h: models and plans from any thread, one call at a time on a
 *   cache and its sessions, samplers and detokenizers on one thread at a time. The C++ objects
 *   themselves are as any other: assign, move or destroy one only while no other thread uses it.
 */
#ifndef LCKV_HPP
#define LCKV_HPP

#include "lckv.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

/* Where a compiler can find out that a view outlives what it views, it warns. */
#if defined(__clang__) && defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define LCKV_LIFETIME_BOUND [[clang::lifetimebound]]
#endif
#endif
#ifndef LCKV_LIFETIME_BOUND
#define LCKV_LIFETIME_BOUND
#endif

namespace lckv
{

/* ---- Errors -------------------------------------------------------------------------------- */

/* Exceptions are the same types in every library of a process, also where symbols are hidden. */
#pragma GCC visibility push(default)

/*
 * A failed call: what() is the message of lckv_last_error. All statuses come as this type,
 * LCKV_OUT_OF_MEMORY too, because its message tells what was too large, and because the allocator
 * that returned NULL may be the caller's, with a limit of its own.
 */
class error : public std::runtime_error
{
  public:
    error(lckv_status status, const std::string &message)
        : std::runtime_error(message), status_(status)
    {
    }
    lckv_status status() const noexcept
    {
        return status_;
    }

  private:
    lckv_status status_;
};

/* A failed cache::evaluate or cache::evaluate_cost, with the report that such calls give, too. */
class evaluate_error : public error
{
  public:
    evaluate_error(lckv_status status, const std::string &message,
                   const lckv_evaluate_report &report)
        : error(status, message), report_(report)
    {
    }
    const lckv_evaluate_report &report() const noexcept
    {
        return report_;
    }

  private:
    lckv_evaluate_report report_;
};

namespace detail
{

/*
 * A call that is running on this thread, and the first exception of its callbacks. Callbacks run on
 * the thread that made the call, so the innermost call of the thread is the one that they serve.
 */
class running_call
{
  public:
    running_call() noexcept : outer_(innermost())
    {
        innermost() = this;
    }
    ~running_call()
    {
        innermost() = outer_;
    }
    running_call(const running_call &) = delete;
    running_call &operator=(const running_call &) = delete;

    /*
     * Runs a callback for the library, which reads the result: 0 to go on. After an exception no
     * callback of the call is run again. Without a running call (somebody called lckv.h with the
     * handle) an exception can only stop the library.
     */
    template <class Callback> static int32_t serve(Callback &&callback) noexcept
    {
        running_call *call = innermost();
        if (call != nullptr && call->thrown_ != nullptr)
            return 1;
        try {
            return callback() ? 0 : 1;
        } catch (...) {
            if (call != nullptr)
                call->thrown_ = std::current_exception();
            return 1;
        }
    }

    /* After the library has returned: throws what a callback threw. */
    void rethrow() const
    {
        if (thrown_ != nullptr)
            std::rethrow_exception(thrown_);
    }

  private:
    static running_call *&innermost() noexcept
    {
        static thread_local running_call *call = nullptr;
        return call;
    }

    running_call *outer_;
    std::exception_ptr thrown_;
};

} // namespace detail

#pragma GCC visibility pop

/* Throws the failure of a function of lckv.h, right after the call and on the same thread. */
inline void check(lckv_status status)
{
    if (status != LCKV_OK)
        throw error(status, lckv_last_error());
}

/* A struct of lckv.h whose members are 0, but for its size. */
template <class Struct> struct sized : Struct {
    sized() noexcept : Struct()
    {
        this->size = sizeof(Struct);
    }
};

/* ---- Views --------------------------------------------------------------------------------- */

/*
 * Elements that belong to somebody else, as std::span of C++20, which converts to it and from it.
 * Arrays, vectors, strings and everything else with data() and size() convert to it. A span of
 * constants also takes a temporary container, or a list in braces: they live until the end of the
 * full expression, so that a span of them is good as an argument, and for nothing else.
 */
template <class T> class span
{
    template <class Container>
    using elements = std::remove_pointer_t<decltype(std::declval<Container &>().data())>;
    template <class U>
    using enable_if_compatible = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>;
    /* A view gives the same elements when it is constant; a container gives constant ones. */
    template <class Container>
    using is_view = std::is_same<elements<std::remove_cv_t<std::remove_reference_t<Container>>>,
                                 elements<const std::remove_reference_t<Container>>>;
    template <class Container>
    using enable_if_view = std::enable_if_t<is_view<Container>::value, int>;
    /* Changes of a temporary container would be lost. */
    template <class Container>
    using enable_if_container =
        std::enable_if_t<!is_view<Container>::value &&
                             (std::is_lvalue_reference_v<Container> || std::is_const_v<T>),
                         int>;

  public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using iterator = T *;

    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size)
    {
    }
    template <class U, std::size_t n, class = enable_if_compatible<U>>
    constexpr span(U (&array LCKV_LIFETIME_BOUND)[n]) noexcept : data_(array), size_(n)
    {
    }
    template <class Container, enable_if_view<Container> = 0,
              class = std::enable_if_t<!std::is_same_v<std::decay_t<Container>, span>>,
              class = enable_if_compatible<elements<Container>>,
              class = decltype(std::declval<Container &>().size())>
    constexpr span(Container &&view) : data_(view.data()), size_(view.size())
    {
    }
    template <class Container, enable_if_container<Container> = 0,
              class = enable_if_compatible<elements<Container>>,
              class = decltype(std::declval<Container &>().size())>
    constexpr span(Container &&container LCKV_LIFETIME_BOUND)
        : data_(container.data()), size_(container.size())
    {
    }
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr span(std::initializer_list<std::remove_cv_t<U>> list LCKV_LIFETIME_BOUND) noexcept
        : span(list.begin(), list.size())
    {
    }

    constexpr T *data() const noexcept
    {
        return data_;
    }
    constexpr std::size_t size() const noexcept
    {
        return size_;
    }
    constexpr bool empty() const noexcept
    {
        return size_ == 0;
    }
    constexpr T *begin() const noexcept
    {
        return data_;
    }
    constexpr T *end() const noexcept
    {
        return data_ + size_;
    }
    constexpr T &operator[](std::size_t index) const noexcept
    {
        return data_[index];
    }

    /* The elements from `offset` on, at most `count` of them. `offset` is at most size(). */
    constexpr span subspan(std::size_t offset,
                           std::size_t count = static_cast<std::size_t>(-1)) const noexcept
    {
        const std::size_t rest = size_ - offset;
        return span(data_ + offset, count < rest ? count : rest);
    }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/* Rows of logits, float32 [size(), n_vocab()]. */
class logits_view
{
  public:
    logits_view(const float *data, std::size_t n_rows, std::size_t n_vocab) noexcept
        : data_(data), n_rows_(n_rows), n_vocab_(n_vocab)
    {
    }
    const float *data() const noexcept
    {
        return data_;
    }
    std::size_t size() const noexcept
    {
        return n_rows_;
    }
    std::size_t n_vocab() const noexcept
    {
        return n_vocab_;
    }
    span<const float> operator[](std::size_t row) const noexcept
    {
        return {data_ + row * n_vocab_, n_vocab_};
    }
    /* The last row: the logits of the next token. */
    span<const float> back() const noexcept
    {
        return (*this)[n_rows_ - 1];
    }

  private:
    const float *data_;
    std::size_t n_rows_, n_vocab_;
};

/* ---- Callbacks ----------------------------------------------------------------------------- */

namespace detail
{

/* Pointers, std::function and their like; no lambda, though it converts to a pointer. */
template <class Function, class = bool> struct can_be_null : std::false_type {
};
template <class Function>
struct can_be_null<Function,
                   decltype(static_cast<bool>(std::declval<const Function &>() == nullptr))>
    : std::is_constructible<Function, std::nullptr_t> {
};

} // namespace detail

/*
 * A copy of any callable that returns nothing, or a bool that is false to stop the call. Empty, as
 * when made of a null pointer or of an empty std::function, it lets every call go on.
 */
template <class... Arguments> class callback
{
    template <class Function>
    using enable_if_callable =
        std::enable_if_t<!std::is_same_v<std::decay_t<Function>, callback> &&
                         std::is_invocable_v<std::decay_t<Function> &, Arguments...>>;

    template <class Function> static bool is_empty(const Function &function)
    {
        if constexpr (detail::can_be_null<Function>::value)
            return function == nullptr;
        else
            return false;
    }

  public:
    callback() = default;
    callback(std::nullptr_t) noexcept
    {
    }
    template <class Function, class = enable_if_callable<Function>> callback(Function &&function)
    {
        using callable = std::decay_t<Function>;
        using result = std::invoke_result_t<callable &, Arguments...>;
        static_assert(std::is_void_v<result> || std::is_same_v<result, bool>,
                      "a callback returns nothing, or a bool: true to go on, false to stop");
        callable kept(std::forward<Function>(function));
        if (is_empty(kept))
            return;
        if constexpr (std::is_void_v<result>)
            function_ = [kept = std::move(kept)](Arguments... arguments) mutable {
                std::invoke(kept, arguments...);
                return true;
            };
        else
            function_ = std::move(kept);
    }
    explicit operator bool() const noexcept
    {
        return static_cast<bool>(function_);
    }
    bool operator()(Arguments... arguments) const
    {
        return !function_ || function_(arguments...);
    }

  private:
    std::function<bool(Arguments...)> function_;
};

/* `done` of `total` bytes or tokens. */
using progress_callback = callback<std::uint64_t, std::uint64_t>;
/* A token and the text that is complete now; at the end -1 and the text that is left. */
using token_callback = callback<lckv_token, std::string_view>;
/* The logits, float32 [n_vocab], which it may change before a token is chosen. */
using logits_callback = callback<span<float>>;
/* Bytes that it must not keep. */
using write_callback = callback<std::string_view>;
/* A remark that is no error: one line without a newline. */
using log_callback = std::function<void(std::string_view)>;
/* Puts at least one byte into the span and returns how many; 0 if there are no more. */
using read_callback = std::function<std::size_t(span<char>)>;

namespace detail
{

inline int32_t serve_progress(void *user, uint64_t done, uint64_t total) noexcept
{
    const auto &progress = *static_cast<const progress_callback *>(user);
    return running_call::serve([&] { return progress(done, total); });
}

inline void serve_log(void *user, const char *text, std::size_t length) noexcept
{
    const auto &log = *static_cast<const log_callback *>(user);
    running_call::serve([&] {
        log(std::string_view(text, length));
        return true;
    });
}

inline int32_t serve_logits(void *user, float *logits, std::size_t n_vocab) noexcept
{
    const auto &change = *static_cast<const logits_callback *>(user);
    return running_call::serve([&] { return change(span<float>(logits, n_vocab)); });
}

inline int32_t serve_token(void *user, lckv_token token, const char *text,
                           std::size_t length) noexcept
{
    const auto &take = *static_cast<const token_callback *>(user);
    return running_call::serve([&] { return take(token, std::string_view(text, length)); });
}

inline int32_t serve_write(void *user, const void *bytes, std::size_t length) noexcept
{
    const auto &write = *static_cast<const write_callback *>(user);
    return running_call::serve(
        [&] { return write(std::string_view(static_cast<const char *>(bytes), length)); });
}

inline int32_t serve_read(void *user, void *bytes, std::size_t length, std::size_t *n_read) noexcept
{
    const auto &read = *static_cast<const read_callback *>(user);
    return running_call::serve([&] {
        *n_read = read(span<char>(static_cast<char *>(bytes), length));
        return true;
    });
}

template <class Callback> void *user_of(const Callback &callback) noexcept
{
    return const_cast<Callback *>(&callback);
}

/* Lends the callbacks of options to the C struct that a call gets. */
template <class Struct> void lend_progress(Struct &lent, const progress_callback &progress)
{
    lent.progress = progress ? serve_progress : nullptr;
    lent.progress_user = user_of(progress);
}

/* A log cannot stop a call, so that an exception of it stops the call by the next progress. */
template <class Struct>
void lend_log(Struct &lent, const log_callback &log, const progress_callback &progress)
{
    lend_progress(lent, progress);
    lent.log = log ? serve_log : nullptr;
    lent.log_user = user_of(log);
    if (log)
        lent.progress = serve_progress;
}

/* Text that the library takes up to a NUL. A NUL inside would hide what is behind it. */
inline const char *c_string(const std::string &text)
{
    if (text.find('\0') != std::string::npos)
        throw error(LCKV_INVALID_ARGUMENT, "a path or a name has a NUL in it");
    return text.c_str();
}

inline const char *c_string_or_null(const std::string &text)
{
    return text.empty() ? nullptr : c_string(text);
}

/*
 * Makes a container as large as a call needs that writes into a buffer and tells the needed size.
 * With a good guess of the size, the call is made once.
 */
template <class Container, class Call> Container filled(std::size_t guess, Call call)
{
    Container buffer;
    for (std::size_t size = guess;;) {
        buffer.resize(size);
        const lckv_status status = call(buffer.data(), buffer.size(), &size);
        if (status == LCKV_OK) {
            buffer.resize(size);
            return buffer;
        }
        if (status != LCKV_BUFFER_TOO_SMALL)
            check(status);
    }
}

/* The same for a message, whose length is the result of the call and whose NUL counts. */
template <class Call> std::string message(Call call)
{
    std::string buffer;
    for (std::size_t size = 255;;) {
        buffer.resize(size);
        size = call(&buffer[0], buffer.size() + 1);
        if (size <= buffer.size()) {
            buffer.resize(size);
            return buffer;
        }
    }
}

/* A counted handle of lckv.h. */
template <class Derived, class Type, void (*retain)(Type *), void (*release_handle)(Type *)>
class handle
{
  public:
    handle() noexcept = default;
    /* Takes over a handle of lckv.h: it is released by this object. */
    explicit handle(Type *taken) noexcept : handle_(taken)
    {
    }
    handle(handle &&other) noexcept : handle_(std::exchange(other.handle_, nullptr))
    {
    }
    handle &operator=(handle &&other) noexcept
    {
        handle(std::move(other)).swap(*this);
        return *this;
    }
    ~handle()
    {
        release_handle(handle_);
    }

    /* Another handle of what somebody else holds. */
    [[nodiscard]] static Derived retained(Type *held) noexcept
    {
        retain(held);
        return Derived(held);
    }
    /* Another handle of the same thing, which lives until both are gone. */
    [[nodiscard]] Derived share() const noexcept
    {
        return retained(handle_);
    }
    /* The handle for functions of lckv.h; it still belongs to this object. */
    Type *get() const noexcept
    {
        return handle_;
    }
    /* The handle, which now belongs to the caller. */
    [[nodiscard]] Type *release() noexcept
    {
        return std::exchange(handle_, nullptr);
    }
    explicit operator bool() const noexcept
    {
        return handle_ != nullptr;
    }
    void swap(handle &other) noexcept
    {
        std::swap(handle_, other.handle_);
    }
    friend void swap(Derived &a, Derived &b) noexcept
    {
        a.swap(b);
    }

  private:
    Type *handle_ = nullptr;
};

} // namespace detail

/* ---- Library ------------------------------------------------------------------------------- */

/* The names of all kernel sets, "portable" first; lckv_kernel_set_available tells which can run. */
inline std::vector<std::string_view> kernel_sets()
{
    std::vector<std::string_view> names;
    while (const char *name = lckv_kernel_set_name(names.size()))
        names.emplace_back(name);
    return names;
}

inline lckv_dtype dtype_from_name(const std::string &name)
{
    lckv_dtype dtype = LCKV_DTYPE_DEFAULT;
    check(lckv_dtype_from_name(detail::c_string(name), &dtype));
    return dtype;
}

/* ---- Layer plans --------------------------------------------------------------------------- */

class plan : public detail::handle<plan, const lckv_plan, lckv_plan_retain, lckv_plan_release>
{
  public:
    using handle::handle;
    plan() noexcept = default;
    plan(std::string_view text, std::uint32_t n_layers)
        : plan(parse(text.data() != nullptr ? text : std::string_view(""), n_layers))
    {
    }
    /* The plan in which every layer is its own source. */
    static plan standard(std::uint32_t n_layers)
    {
        return parse(std::string_view(), n_layers);
    }

    lckv_plan_info info() const
    {
        sized<lckv_plan_info> info;
        check(lckv_plan_get_info(get(), &info));
        return info;
    }
    lckv_layer_info layer(std::uint32_t layer) const
    {
        sized<lckv_layer_info> info;
        check(lckv_plan_get_layer(get(), layer, &info));
        return info;
    }
    lckv_slot_info slot(std::uint32_t slot) const
    {
        sized<lckv_slot_info> info;
        check(lckv_plan_get_slot(get(), slot, &info));
        return info;
    }
    lckv_group_info group(std::uint32_t group) const
    {
        sized<lckv_group_info> info;
        check(lckv_plan_get_group(get(), group, &info));
        return info;
    }
    std::string text() const
    {
        return detail::filled<std::string>(64, [&](char *buffer, std::size_t size, auto *needed) {
            return lckv_plan_text(get(), buffer, size + 1, needed);
        });
    }
    std::string describe() const
    {
        return detail::filled<std::string>(4096, [&](char *buffer, std::size_t size, auto *needed) {
            return lckv_plan_describe(get(), buffer, size + 1, needed);
        });
    }

  private:
    static plan parse(std::string_view text, std::uint32_t n_layers)
    {
        lckv_plan *made = nullptr;
        check(lckv_plan_parse(text.data(), text.size(), n_layers, &made));
        return plan(made);
    }
};

/* ---- Memory planner ------------------------------------------------------------------------ */

struct memory_request : sized<lckv_memory_request> {
    std::vector<lckv_kv_shape> kv_shapes; /* of each layer, if they differ */
};

inline lckv_memory_report memory_estimate(const memory_request &request)
{
    lckv_memory_request lent = request;
    lent.kv_shapes = request.kv_shapes.empty() ? nullptr : request.kv_shapes.data();
    lent.n_kv_shapes = request.kv_shapes.size();
    sized<lckv_memory_report> report;
    check(lckv_memory_estimate(&lent, &report));
    return report;
}

/* ---- Threads ------------------------------------------------------------------------------- */

class pool : public detail::handle<pool, lckv_pool, lckv_pool_retain, lckv_pool_release>
{
  public:
    using handle::handle;
    pool() noexcept = default;
    /* `n_threads` 0: one for each physical core that this process may use. */
    static pool create(std::uint32_t n_threads)
    {
        lckv_pool *made = nullptr;
        check(lckv_pool_create(n_threads, &made));
        return pool(made);
    }
};

/* ---- Models -------------------------------------------------------------------------------- */

struct model_options : sized<lckv_model_options> {
    std::string kernel_set; /* "portable", "avx2", ...; "": $LCKV_CPU, else the fastest here */
    log_callback log;
    progress_callback progress;
};

/* One message of a conversation. Role and content must live as long as it does. */
struct message : lckv_message {
    message(std::string_view of_role, std::string_view with_content) noexcept
        : lckv_message{of_role.data(), of_role.size(), with_content.data(), with_content.size()}
    {
    }
};

/* The bytes of a token, which live as long as the model, and its type. */
struct token_text {
    std::string_view text;
    lckv_token_type type;
};

class model : public detail::handle<model, const lckv_model, lckv_model_retain, lckv_model_release>
{
  public:
    using handle::handle;
    model() noexcept = default;
    explicit model(const std::string &path, const model_options &options = {})
        : model(open(options, [&](const lckv_model_options *lent, lckv_model **made) {
              return lckv_model_open(detail::c_string(path), lent, made);
          }))
    {
    }
    /* Opens the bytes of a GGUF file, which may be freed afterwards. */
    static model from_memory(const void *bytes, std::size_t length,
                             const model_options &options = {})
    {
        return open(options, [&](const lckv_model_options *lent, lckv_model **made) {
            return lckv_model_open_memory(bytes, length, lent, made);
        });
    }

    lckv_model_info info() const
    {
        sized<lckv_model_info> info;
        check(lckv_model_get_info(get(), &info));
        return info;
    }
    lckv_model_layer layer(std::uint32_t layer) const
    {
        sized<lckv_model_layer> info;
        check(lckv_model_get_layer(get(), layer, &info));
        return info;
    }
    std::uint64_t fingerprint() const
    {
        std::uint64_t fingerprint = 0;
        check(lckv_model_fingerprint(get(), &fingerprint));
        return fingerprint;
    }
    /* A handle of the model's plan; empty if the model was opened without understanding it. */
    lckv::plan plan() const noexcept
    {
        return lckv::plan::retained(lckv_model_plan(get()));
    }
    std::string last_error() const
    {
        return detail::message([&](char *buffer, std::size_t size) {
            return lckv_model_last_error(get(), buffer, size);
        });
    }
    std::string metadata(const std::string &key) const
    {
        const char *name = detail::c_string(key);
        return detail::filled<std::string>(64, [&](char *buffer, std::size_t size, auto *needed) {
            return lckv_model_metadata(get(), name, buffer, size + 1, needed);
        });
    }
    /* The keys live as long as the model. */
    std::vector<std::string_view> metadata_keys() const
    {
        std::vector<std::string_view> keys;
        while (const char *key = lckv_model_metadata_key(get(), keys.size()))
            keys.emplace_back(key);
        return keys;
    }

    /* `flags` are those of LCKV_TOKENIZE_..., LCKV_DETOKENIZE_... and LCKV_CHAT_... */
    std::vector<lckv_token> tokenize(std::string_view text, std::uint32_t flags = 0) const
    {
        using tokens = std::vector<lckv_token>;
        return detail::filled<tokens>(
            text.size() / 2 + 8, [&](lckv_token *buffer, std::size_t size, auto *needed) {
                return lckv_tokenize(get(), text.data() != nullptr ? text.data() : "", text.size(),
                                     flags, buffer, size, needed);
            });
    }
    std::string detokenize(span<const lckv_token> tokens, std::uint32_t flags = 0) const
    {
        return detail::filled<std::string>(
            8 * tokens.size() + 8, [&](char *buffer, std::size_t size, auto *needed) {
                return lckv_detokenize(get(), tokens.data(), tokens.size(), flags, buffer, size,
                                       needed);
            });
    }
    std::vector<lckv_token> chat_tokenize(span<const message> messages, std::uint32_t flags) const
    {
        using tokens = std::vector<lckv_token>;
        return detail::filled<tokens>(256, [&](lckv_token *buffer, std::size_t size, auto *needed) {
            return lckv_chat_tokenize(get(), messages.data(), sizeof(message), messages.size(),
                                      flags, buffer, size, needed);
        });
    }
    std::string chat_format(span<const message> messages, std::uint32_t flags) const
    {
        return detail::filled<std::string>(1024, [&](char *buffer, std::size_t size, auto *needed) {
            return lckv_chat_format(get(), messages.data(), sizeof(message), messages.size(), flags,
                                    buffer, size, needed);
        });
    }
    /* The id, or -1. */
    lckv_token special_token(lckv_special special) const noexcept
    {
        return lckv_model_special_token(get(), special);
    }
    bool is_end_token(lckv_token token) const noexcept
    {
        return lckv_model_is_end_token(get(), token) != 0;
    }
    token_text token(lckv_token token) const
    {
        const char *text = nullptr;
        std::size_t length = 0;
        lckv_token_type type = 0;
        check(lckv_model_token(get(), token, &text, &length, &type));
        return {std::string_view(text, length), type};
    }

  private:
    template <class Open> static model open(const model_options &options, Open call)
    {
        lckv_model_options lent = options;
        lent.kernel_set = detail::c_string_or_null(options.kernel_set);
        detail::lend_log(lent, options.log, options.progress);
        detail::running_call running;
        lckv_model *made = nullptr;
        const lckv_status status = call(&lent, &made);
        model opened(made);
        running.rethrow();
        check(status);
        return opened;
    }
};

/* ---- Text, token by token ------------------------------------------------------------------ */

class detokenizer : public detail::handle<detokenizer, lckv_detokenizer, lckv_detokenizer_retain,
                                          lckv_detokenizer_release>
{
  public:
    using handle::handle;
    detokenizer() noexcept = default;
    explicit detokenizer(const model &model, std::uint32_t flags = 0)
        : detokenizer(create(model, flags))
    {
    }
    /* The text that is complete now, perhaps none; it is valid until the next call. */
    std::string_view push(lckv_token token)
    {
        const char *text = nullptr;
        std::size_t length = 0;
        check(lckv_detokenizer_push(get(), token, &text, &length));
        return {text, length};
    }
    std::string_view flush()
    {
        const char *text = nullptr;
        std::size_t length = 0;
        check(lckv_detokenizer_flush(get(), &text, &length));
        return {text, length};
    }

  private:
    static detokenizer create(const model &model, std::uint32_t flags)
    {
        lckv_detokenizer *made = nullptr;
        check(lckv_detokenizer_create(model.get(), flags, &made));
        return detokenizer(made);
    }
};

/* ---- Conversion ---------------------------------------------------------------------------- */

struct convert_options : sized<lckv_convert_options> {
    std::string plan;       /* "": the model's own */
    std::string kernel_set; /* the set to pack for; "": $LCKV_CPU, else the fastest here */
    log_callback log;
    progress_callback progress;
};

inline lckv_convert_report convert(const std::string &input, const std::string &output,
                                   const convert_options &options = {})
{
    lckv_convert_options lent = options;
    lent.plan = detail::c_string_or_null(options.plan);
    lent.kernel_set = detail::c_string_or_null(options.kernel_set);
    detail::lend_log(lent, options.log, options.progress);
    sized<lckv_convert_report> report;
    detail::running_call running;
    const lckv_status status =
        lckv_convert(detail::c_string(input), detail::c_string(output), &lent, &report);
    running.rethrow();
    check(status);
    return report;
}

/* ---- Caches -------------------------------------------------------------------------------- */

struct cache_options : sized<lckv_cache_options> {
};

struct evaluate_options : sized<lckv_evaluate_options> {
    progress_callback progress; /* in tokens */
};

struct item;

class cache : public detail::handle<cache, lckv_cache, lckv_cache_retain, lckv_cache_release>
{
  public:
    using handle::handle;
    cache() noexcept = default;
    explicit cache(const lckv::model &model, const cache_options &options = {})
        : cache(create(model, options))
    {
    }
    /* What a cache with these options would take, for sessions of `context` tokens each. */
    static lckv_cache_estimate_report estimate(const lckv::model &model,
                                               const cache_options &options,
                                               std::uint64_t context = 0)
    {
        sized<lckv_cache_estimate_report> report;
        check(lckv_cache_estimate(model.get(), &options, context, &report));
        return report;
    }

    lckv::model model() const noexcept
    {
        return lckv::model::retained(lckv_cache_model(get()));
    }
    lckv_cache_stats stats() const
    {
        sized<lckv_cache_stats> stats;
        check(lckv_cache_get_stats(get(), &stats));
        return stats;
    }
    /* From any thread, from a callback, and from a signal handler. */
    void cancel() const noexcept
    {
        lckv_cache_cancel(get());
    }
    std::string last_error() const
    {
        return detail::message([&](char *buffer, std::size_t size) {
            return lckv_cache_last_error(get(), buffer, size);
        });
    }

    /*
     * Appends the tokens of all items to their sessions, or changes nothing and throws
     * evaluate_error, which has the report.
     */
    lckv_evaluate_report evaluate(span<const item> items, const evaluate_options &options = {});
    lckv_evaluate_report evaluate_cost(span<const item> items,
                                       const evaluate_options &options = {}) const;
    /* The same for items that lie in larger structs, `stride` bytes from one to the next. */
    lckv_evaluate_report evaluate(const lckv_item *items, std::size_t stride, std::size_t n_items,
                                  const evaluate_options &options = {})
    {
        return call(lckv_evaluate, items, stride, n_items, options);
    }
    lckv_evaluate_report evaluate_cost(const lckv_item *items, std::size_t stride,
                                       std::size_t n_items,
                                       const evaluate_options &options = {}) const
    {
        return call(lckv_evaluate_cost, items, stride, n_items, options);
    }

  private:
    static cache create(const lckv::model &model, const cache_options &options)
    {
        lckv_cache *made = nullptr;
        check(lckv_cache_create(model.get(), &options, &made));
        return cache(made);
    }
    template <class Function>
    lckv_evaluate_report call(Function function, const lckv_item *items, std::size_t stride,
                              std::size_t n_items, const evaluate_options &options) const
    {
        lckv_evaluate_options lent = options;
        detail::lend_progress(lent, options.progress);
        sized<lckv_evaluate_report> report;
        detail::running_call running;
        const lckv_status status = function(get(), items, stride, n_items, &lent, &report);
        running.rethrow();
        if (status != LCKV_OK)
            throw evaluate_error(status, lckv_last_error(), report);
        return report;
    }
};

/* ---- Sampling ------------------------------------------------------------------------------ */

class session;

struct sampler_options : sized<lckv_sampler_options> {
    std::vector<lckv_logit_bias> logit_bias;
    logits_callback callback; /* lives as long as the sampler, its clones and shared handles */
};

/*
 * Clones and shared handles use the same callback, so that a callback with a state must expect
 * calls from each of them. An empty sampler stands for the most likely token in session::generate.
 */
class sampler
    : public detail::handle<sampler, lckv_sampler, lckv_sampler_retain, lckv_sampler_release>
{
  public:
    using handle::handle;
    sampler() noexcept = default;
    explicit sampler(const sampler_options &options)
        : callback_(options.callback ? std::make_shared<logits_callback>(options.callback)
                                     : nullptr)
    {
        lckv_sampler_options lent = options;
        lent.logit_bias = options.logit_bias.data();
        lent.n_logit_bias = options.logit_bias.size();
        lent.callback = callback_ != nullptr ? detail::serve_logits : nullptr;
        lent.callback_user = callback_.get();
        lckv_sampler *made = nullptr;
        check(lckv_sampler_create(&lent, &made));
        handle::operator=(handle(made));
    }
    [[nodiscard]] sampler share() const noexcept
    {
        return sampler(handle::share(), callback_);
    }
    [[nodiscard]] sampler clone() const
    {
        lckv_sampler *made = nullptr;
        check(lckv_sampler_clone(get(), &made));
        return sampler(sampler(made), callback_);
    }
    /* Nobody else could keep the callback alive. */
    lckv_sampler *release() = delete;
    void swap(sampler &other) noexcept
    {
        handle::swap(other);
        callback_.swap(other.callback_);
    }

    /* Chooses a token and does not accept it. */
    lckv_token sample(span<const float> logits)
    {
        return sampled([&](lckv_sampler *kept, lckv_token *token) {
            return lckv_sampler_sample(kept, logits.data(), logits.size(), token);
        });
    }
    /* The same, from the last row of logits that the cache holds for the session. */
    lckv_token sample(const session &session);
    void accept(lckv_token token)
    {
        check(lckv_sampler_accept(get(), token));
    }
    void reset()
    {
        check(lckv_sampler_reset(get()));
    }

  private:
    friend class session;
    sampler(sampler &&taken, std::shared_ptr<logits_callback> callback) noexcept
        : sampler(std::move(taken))
    {
        callback_ = std::move(callback);
    }
    template <class Sample> lckv_token sampled(Sample sample)
    {
        /* The callback may replace this sampler; both live until the call has returned. */
        const lckv::sampler kept = share();
        detail::running_call running;
        lckv_token token = 0;
        const lckv_status status = sample(kept.get(), &token);
        running.rethrow();
        check(status);
        return token;
    }

    std::shared_ptr<logits_callback> callback_;
};

/* Computes log(softmax(logits)). */
inline std::vector<float> log_probabilities(span<const float> logits)
{
    std::vector<float> result(logits.size());
    check(lckv_log_probabilities(logits.data(), logits.size(), result.data()));
    return result;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

struct generate_options : sized<lckv_generate_options> {
    std::vector<std::string> stops; /* the text ends before the first of these */
    token_callback callback;
};

/* Keys and values of positions of a slot, each float32 [positions, n_kv_heads, head_dim]. */
struct keys_and_values {
    std::vector<float> keys, values;
    lckv_kv_shape shape;
};

class session
    : public detail::handle<session, lckv_session, lckv_session_retain, lckv_session_release>
{
  public:
    using handle::handle;
    session() noexcept = default;
    /* An empty session. */
    explicit session(const lckv::cache &cache) : session(create(cache))
    {
    }

    lckv::cache cache() const noexcept
    {
        return lckv::cache::retained(lckv_session_cache(get()));
    }
    std::uint64_t length() const
    {
        std::uint64_t length = 0;
        check(lckv_session_length(get(), &length));
        return length;
    }
    std::uint64_t min_length() const
    {
        std::uint64_t length = 0;
        check(lckv_session_min_length(get(), &length));
        return length;
    }
    std::vector<lckv_token> tokens() const
    {
        return detail::filled<std::vector<lckv_token>>(
            static_cast<std::size_t>(length()),
            [&](lckv_token *buffer, std::size_t size, auto *needed) {
                return lckv_session_tokens(get(), buffer, size, needed);
            });
    }
    /* The tokens at positions [begin, end). */
    std::vector<lckv_token> read_tokens(std::uint64_t begin, std::uint64_t end) const
    {
        std::vector<lckv_token> tokens(positions(begin, end));
        check(lckv_session_read_tokens(get(), begin, end, tokens.data()));
        return tokens;
    }
    void truncate(std::uint64_t length)
    {
        check(lckv_session_truncate(get(), length));
    }
    [[nodiscard]] session fork() const
    {
        lckv_session *made = nullptr;
        check(lckv_session_fork(get(), &made));
        return session(made);
    }
    /* How many of the tokens the session, which is empty, begins with now. */
    std::size_t reuse(span<const lckv_token> tokens)
    {
        std::size_t n_reused = 0;
        check(lckv_session_reuse(get(), tokens.data(), tokens.size(), &n_reused));
        return n_reused;
    }
    /* The logits that the cache holds for the session, until the next evaluate on the cache. */
    logits_view logits() const
    {
        const float *logits = nullptr;
        std::size_t n_rows = 0;
        check(lckv_session_logits(get(), &logits, &n_rows));
        sized<lckv_model_info> info;
        check(lckv_model_get_info(lckv_cache_model(lckv_session_cache(get())), &info));
        return {logits, n_rows, info.n_vocab};
    }
    keys_and_values read_kv(std::uint32_t slot, std::uint64_t begin, std::uint64_t end) const
    {
        const lckv_model *model = lckv_cache_model(lckv_session_cache(get()));
        sized<lckv_slot_info> written;
        sized<lckv_model_layer> layer;
        check(lckv_plan_get_slot(lckv_model_plan(model), slot, &written));
        check(lckv_model_get_layer(model, written.layer, &layer));
        const std::size_t n =
            positions(begin, end) * layer.kv_shape.n_kv_heads * layer.kv_shape.head_dim;
        keys_and_values read{std::vector<float>(n), std::vector<float>(n), layer.kv_shape};
        check(lckv_session_read_kv(get(), slot, begin, end, read.keys.data(), read.values.data()));
        return read;
    }

    /* Appends the prompt and generates; without a sampler, the most likely tokens. */
    lckv_generate_report generate(span<const lckv_token> prompt,
                                  const generate_options &options = {})
    {
        return generate(lckv::sampler(), prompt, options);
    }
    /* The same with a temporary sampler. It is deduced, since braces never stand for a sampler. */
    template <class Sampler, class = std::enable_if_t<std::is_same_v<Sampler, lckv::sampler>>>
    lckv_generate_report generate(Sampler &&sampler, span<const lckv_token> prompt,
                                  const generate_options &options = {})
    {
        return generate(sampler, prompt, options);
    }
    lckv_generate_report generate(lckv::sampler &sampler, span<const lckv_token> prompt,
                                  const generate_options &options = {})
    {
        std::vector<lckv_string> stops;
        for (const std::string &stop : options.stops)
            stops.push_back({stop.data(), stop.size()});
        lckv_generate_options lent = options;
        lent.stops = stops.data();
        lent.n_stops = stops.size();
        lent.callback = options.callback ? detail::serve_token : nullptr;
        lent.callback_user = detail::user_of(options.callback);
        sized<lckv_generate_report> report;
        /* A callback may replace both objects; they live until the call has returned. */
        const lckv::sampler kept = sampler.share();
        const session working = share();
        detail::running_call running;
        const lckv_status status =
            lckv_generate(working.get(), kept.get(), prompt.data(), prompt.size(), &lent, &report);
        running.rethrow();
        check(status);
        return report;
    }

  private:
    static session create(const lckv::cache &cache)
    {
        lckv_session *made = nullptr;
        check(lckv_session_create(cache.get(), &made));
        return session(made);
    }
    /* How many positions these are, if the session has them: room for them can be made. */
    std::size_t positions(std::uint64_t begin, std::uint64_t end) const
    {
        const std::uint64_t known = length();
        if (begin > end || end > known)
            throw error(LCKV_INVALID_ARGUMENT, "positions " + std::to_string(begin) + " to " +
                                                   std::to_string(end) + "; the session has " +
                                                   std::to_string(known) + " tokens");
        return static_cast<std::size_t>(end - begin);
    }
};

inline lckv_token sampler::sample(const session &session)
{
    return sampled([&](lckv_sampler *kept, lckv_token *token) {
        return lckv_sampler_sample_session(kept, session.get(), token);
    });
}

/* ---- Evaluation ---------------------------------------------------------------------------- */

/*
 * A session, the tokens to append to it, and LCKV_WANT_... The item and its copies keep a temporary
 * vector and a list in braces. Other tokens are not copied: they must live until the call.
 */
struct item : lckv_item {
    item(lckv::session &to, span<const lckv_token> appended LCKV_LIFETIME_BOUND,
         std::uint32_t wanted) noexcept
        : lckv_item()
    {
        session = to.get();
        tokens = appended.data();
        n_tokens = appended.size();
        want = wanted;
    }
    template <class Allocator>
    item(lckv::session &to, std::vector<lckv_token, Allocator> &&appended, std::uint32_t wanted)
        : item(to, span<const lckv_token>(), wanted)
    {
        keep(std::make_shared<const std::vector<lckv_token, Allocator>>(std::move(appended)));
    }
    item(lckv::session &to, std::initializer_list<lckv_token> appended, std::uint32_t wanted)
        : item(to, std::vector<lckv_token>(appended), wanted)
    {
    }
    /* The wanted logits go there, float32 [rows, n_vocab], and the cache holds none. */
    item &logits_to(span<float> rows) noexcept
    {
        logits = rows.data();
        logits_capacity = rows.size();
        return *this;
    }
    /* The wanted hidden states go there, float32 [rows, hidden_size]. */
    item &hidden_to(span<float> rows) noexcept
    {
        hidden = rows.data();
        hidden_capacity = rows.size();
        return *this;
    }

  private:
    template <class Vector> void keep(std::shared_ptr<const Vector> vector) noexcept
    {
        tokens = vector->data();
        n_tokens = vector->size();
        kept_ = std::move(vector);
    }

    std::shared_ptr<const void> kept_; /* what `tokens` points into, if it is the item's own */
};

inline lckv_evaluate_report cache::evaluate(span<const item> items, const evaluate_options &options)
{
    return evaluate(items.data(), sizeof(item), items.size(), options);
}

inline lckv_evaluate_report cache::evaluate_cost(span<const item> items,
                                                 const evaluate_options &options) const
{
    return evaluate_cost(items.data(), sizeof(item), items.size(), options);
}

/* ---- Saved sessions ------------------------------------------------------------------------ */

struct save_options : sized<lckv_save_options> {
    std::string note; /* bytes of the caller's own that are saved, too */
    progress_callback progress;
};

struct restore_options : sized<lckv_restore_options> {
    write_callback note; /* gets the bytes of the note, in pieces, before the sessions */
    progress_callback progress;
};

namespace detail
{

template <class Save> void save(const save_options &options, Save call)
{
    lckv_save_options lent = options;
    lent.note = options.note.empty() ? nullptr : options.note.data();
    lent.note_length = options.note.size();
    lend_progress(lent, options.progress);
    running_call running;
    const lckv_status status = call(&lent);
    running.rethrow();
    check(status);
}

template <class Restore>
std::vector<session> restore(const cache &cache, const restore_options &options, Restore call)
{
    lckv_restore_options lent = options;
    lent.note = options.note ? serve_write : nullptr;
    lent.note_user = user_of(options.note);
    lend_progress(lent, options.progress);
    /* A stream is read once, so there must be room for as many sessions as the cache can have. */
    const std::size_t capacity = cache.stats().max_sessions;
    std::vector<lckv_session *> made(capacity);
    std::vector<session> sessions;
    sessions.reserve(capacity);
    std::size_t n_saved = 0;
    running_call running;
    const lckv_status status = call(&lent, made.data(), capacity, &n_saved);
    for (std::size_t i = 0; status == LCKV_OK && i < n_saved; i++)
        sessions.emplace_back(made[i]);
    running.rethrow();
    if (status == LCKV_BUFFER_TOO_SMALL)
        throw error(LCKV_CACHE_FULL, std::to_string(n_saved) +
                                         " sessions were saved; the cache can have " +
                                         std::to_string(capacity));
    check(status);
    return sessions;
}

} // namespace detail

/* Saves sessions of one cache: sessions_save_file({a.get(), b.get()}, path). */
inline void sessions_save(span<lckv_session *const> sessions, const write_callback &write,
                          const save_options &options = {})
{
    detail::save(options, [&](const lckv_save_options *lent) {
        return lckv_sessions_save(sessions.data(), sessions.size(),
                                  write ? detail::serve_write : nullptr, detail::user_of(write),
                                  lent);
    });
}

inline void sessions_save_file(span<lckv_session *const> sessions, const std::string &path,
                               const save_options &options = {})
{
    detail::save(options, [&](const lckv_save_options *lent) {
        return lckv_sessions_save_file(sessions.data(), sessions.size(), detail::c_string(path),
                                       lent);
    });
}

/* The saved sessions, in the order in which they were given. */
inline std::vector<session> sessions_restore(const cache &cache, const read_callback &read,
                                             const restore_options &options = {})
{
    return detail::restore(cache, options,
                           [&](const lckv_restore_options *lent, lckv_session **sessions,
                               std::size_t capacity, std::size_t *n_sessions) {
                               return lckv_sessions_restore(
                                   cache.get(), read ? detail::serve_read : nullptr,
                                   detail::user_of(read), lent, sessions, capacity, n_sessions);
                           });
}

inline std::vector<session> sessions_restore_file(const cache &cache, const std::string &path,
                                                  const restore_options &options = {})
{
    return detail::restore(cache, options,
                           [&](const lckv_restore_options *lent, lckv_session **sessions,
                               std::size_t capacity, std::size_t *n_sessions) {
                               return lckv_sessions_restore_file(cache.get(),
                                                                 detail::c_string(path), lent,
                                                                 sessions, capacity, n_sessions);
                           });
}

} // namespace lckv

#if __cplusplus >= 202002L
/* A view that outlives its span, so that a temporary one converts to std::span. */
template <class T> inline constexpr bool std::ranges::enable_borrowed_range<lckv::span<T>> = true;
template <class T> inline constexpr bool std::ranges::enable_view<lckv::span<T>> = true;
#endif

#undef LCKV_LIFETIME_BOUND

#endif
