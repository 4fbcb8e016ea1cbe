// cpu_report FOLDER REPORT.json [DOCUMENT.md]: writes the report of what `./run bench` has left in
// the folder, prints its tables and, if asked, puts them into the document.
#include <exception>
#include <iostream>

#include "cpu_table.hpp"

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text).flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vid2vox::bench;
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: cpu_report FOLDER REPORT.json [DOCUMENT.md]\n";
    return 2;
  }
  try {
    const Json report = cpu_report(argv[1]);
    write(argv[2], report.dump(1) + "\n");
    const std::string tables = cpu_tables(report);
    std::cout << tables;
    if (argc == 4) write(argv[3], with_tables(read_text(argv[3]), tables));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
