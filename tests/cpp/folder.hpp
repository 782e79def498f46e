/*
 * A folder for the files of a test, which is removed at its end.
 */
#ifndef LCKV_TESTS_FOLDER_HPP
#define LCKV_TESTS_FOLDER_HPP

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

class folder
{
  public:
    folder() : name_((std::filesystem::temp_directory_path() / "lckv-cpp-XXXXXX").string())
    {
        if (mkdtemp(name_.data()) == nullptr)
            throw std::runtime_error("no folder " + name_);
    }
    ~folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(name_, ignored);
    }
    folder(const folder &) = delete;
    folder &operator=(const folder &) = delete;

    std::string path(const std::string &file = "") const
    {
        return name_ + "/" + file;
    }
    void write(const std::string &file, const std::string &text) const
    {
        std::ofstream(path(file), std::ios::binary) << text;
    }

  private:
    std::string name_;
};

#endif
