#include "cpu_report.hpp"

#include <cstdlib>

#include "cpu_table.hpp"
#include "folder.hpp"
#include "support/catch.hpp"

namespace vid2vox::bench {
namespace {

/// An entry as Google Benchmark writes it without repetitions.
std::string entry(const std::string& name, double milliseconds, const std::string& more = "") {
  return R"({"name": ")" + name + R"(/process_time/real_time", "run_name": ")" + name +
         R"(/process_time/real_time", "run_type": "iteration", "real_time": )" +
         std::to_string(milliseconds) + R"(, "time_unit": "ms")" + more + "}";
}
std::string failed(const std::string& name, const std::string& message) {
  return R"({"name": ")" + name + R"(", "run_name": ")" + name +
         R"(", "error_occurred": true, "error_message": ")" + message + R"("})";
}
std::string file(const std::vector<std::string>& entries, const std::string& context = "") {
  std::string text = "{\"context\": {" + context + "}, \"benchmarks\": [";
  for (const std::string& one : entries) text += (&one == entries.data() ? "" : ", ") + one;
  return text + "]}";
}

const std::string kStep = "gpt_train_step/fp32/study_batch1";
const std::string kHalfStep = "gpt_train_step/bf16/study_batch1";

/// Three rounds on a machine that slows down: only ratios within a round say something. Products
/// do 100 GFLOP/s (200 in bf16), streams 10 GB/s.
void write_rounds(const Folder& folder) {
  const double slow[] = {1, 2, 8};
  for (int round = 1; round <= 3; ++round) {
    const double s = slow[round - 1];
    const std::string at = "rounds/" + std::to_string(round) + "/";
    folder.write(at + "bench_cpu_headers-streamproduct.json",
                 file({entry("stream_read/bytes/1GiB/ours_headers", 100, R"(, "bytes": 1e9)"),
                       entry("product/fp32/big/ours_headers", 20, R"(, "flops": 1e9)"),
                       entry("product/fp32/big/onednn", 10, R"(, "flops": 1e9)"),
                       entry("product/bf16/big/onednn", 5, R"(, "flops": 1e9)")},
                      R"("engine": "headers")"));
    folder.write(at + "bench_cpu_headers-gpt_train.json",
                 file({entry(kStep + "/ours_headers", 40 * s, R"(, "flops": 2e9)"),
                       entry(kHalfStep + "/ours_headers", 20 * s, R"(, "flops": 2e9)")}));
    folder.write(at + "bench_cpu_onednn-gpt_train.json",
                 file({entry(kStep + "/ours_onednn", 25 * s, R"(, "flops": 2e9)")}));
    folder.write(
        at + "torch-gpt_train.json",
        file({entry(kStep + "/torch", (60 + 10 * round) * s), entry(kHalfStep + "/torch", 30 * s)},
             R"("torch": "2", "torch_variants": {"a": "b"})"));
  }
}

const Json& find(const Json& benchmarks, const std::string& name) {
  for (const Json& benchmark : benchmarks) {
    if (benchmark["name"] == name) return benchmark;
  }
  FAIL("no benchmark " << name);
  return benchmarks;
}

TEST_CASE("ratios are medians over the rounds, and shares are of the fastest product") {
  const Folder folder;
  write_rounds(folder);
  const Json report = cpu_report(folder.path());
  CHECK(report["rounds"] == 3);
  CHECK(report["ceilings"]["stream_bytes_per_s"].get<double>() == Approx(1e10));
  CHECK(report["ceilings"]["product_flops_per_s"]["fp32"].get<double>() == Approx(1e11));
  CHECK(report["ceilings"]["product_flops_per_s"]["bf16"].get<double>() == Approx(2e11));
  const Json& step = find(report["benchmarks"], kStep);
  CHECK(step["ours"]["headers"]["microseconds"].get<double>() == Approx(80e3));
  CHECK(step["ours"]["headers"]["share_of_floor"].get<double>() == Approx(0.25));  // 20 of 80 ms
  REQUIRE(step["rivals"].size() == 1);
  // 70 / 40, 80 / 40, 90 / 40; the slowing machine takes no part.
  CHECK(step["rivals"][0]["ratio"]["headers"].get<double>() == Approx(2));
  CHECK(step["rivals"][0]["ratio"]["onednn"].get<double>() == Approx(3.2));
  // At the ceiling a step would take 20 ms.
  CHECK(step["rivals"][0]["ratio_at_ceiling"].get<double>() ==
        Approx(step["rivals"][0]["microseconds"].get<double>() / 20e3));
  CHECK(report["context"]["bench_cpu_headers"]["engine"] == "headers");
  CHECK(report["context"]["torch"]["torch_variants"]["a"] == "b");
}

TEST_CASE("16 bits stand beside the rival's 16 and 32 bits") {
  const Folder folder;
  write_rounds(folder);
  const Json report = cpu_report(folder.path());
  const Json& half = find(report["benchmarks"], kHalfStep);
  REQUIRE(half["rivals"].size() == 2);
  CHECK(half["rivals"][0]["precision"] == "bf16");
  CHECK(half["rivals"][0]["ratio"]["headers"].get<double>() == Approx(1.5));
  CHECK(half["rivals"][1]["precision"] == "fp32");
  CHECK(half["rivals"][1]["ratio"]["headers"].get<double>() == Approx(4));
  CHECK_FALSE(half["rivals"][1]["ratio"].contains("onednn"));  // not measured by ours
}

TEST_CASE("a rival that is not here, or wrong, has no ratio but says why") {
  const Folder folder;
  folder.write("rounds/1/bench_cpu_headers-a.json",
               file({entry("product/fp32/big/ours_headers", 20, R"(, "flops": 1e9)"),
                     failed("product/fp32/big/openblas", "vid2vox: not here, OpenBLAS"),
                     failed("product/fp32/big/onednn", "the relative error is 1")}));
  const Json report = cpu_report(folder.path());
  const Json& product = find(report["benchmarks"], "product/fp32/big");
  for (const Json& rival : product["rivals"]) CHECK_FALSE(rival.contains("ratio"));
  const std::string tables = cpu_tables(report);
  CHECK(tables.find("| openblas fp32 | not here | - |") != std::string::npos);
  CHECK(tables.find("| onednn fp32 | the relative error is 1 | - |") != std::string::npos);
}

TEST_CASE("the table has a row for each rival, with the engines side by side") {
  const Folder folder;
  write_rounds(folder);
  folder.write("facts.tsv", "processor\tX\nthreads\t2\n");
  const std::string tables = cpu_tables(cpu_report(folder.path()));
  CHECK(tables.find("- processor: X\n") != std::string::npos);
  CHECK(tables.find("| gpt_train_step study_batch1 | fp32 | 80.0 ms | 25% | 50.0 ms | 40% | "
                    "torch fp32 | 160 ms | 2.00x | 3.20x | 8.00x |\n") != std::string::npos);
  CHECK(tables.find("| gpt_train_step study_batch1 | bf16 | 40.0 ms | 25% | - | - | "
                    "torch bf16 | 60.0 ms | 1.50x | - | 6.00x |\n") != std::string::npos);
}

TEST_CASE("memory is a share of the smallest rival's, and compiling is within its budget or not") {
  const Folder folder;
  const std::string step = "vqvae_train_step_memory/fp32/study_batch1/";
  folder.write("memory/a.json", file({entry(step + "ours_headers", 1, R"(, "peak_bytes": 1e9)")}));
  folder.write("memory/b.json", file({entry(step + "torch_kept", 1, R"(, "peak_bytes": 3e9)")}));
  folder.write("memory/c.json", file({entry(step + "torch_usual", 1, R"(, "peak_bytes": 2e9)")}));
  folder.write("compile/a.json", file({entry("compile_time/cpp/train.cpp/c++", 61e3,
                                             R"(, "peak_bytes": 1e9, "cpu_seconds": 30)")}));
  folder.write("compile/b.json",
               file({entry("compile_time/cpp/train.cpp/clang", 59e3, R"(, "peak_bytes": 1e9)")}));
  const std::string tables = cpu_tables(cpu_report(folder.path()));
  CHECK(tables.find("| ours_headers | 1.00 | 50% |") != std::string::npos);
  CHECK(tables.find("| torch_kept | 3.00 | - |") != std::string::npos);
  CHECK(tables.find("| train.cpp | c++ | 61.0 | 30.0 | 1.00 | no |") != std::string::npos);
  CHECK(tables.find("| train.cpp | clang | 59.0 | 0.00 | 1.00 | yes |") != std::string::npos);
}

TEST_CASE("of an empty folder there is a report with nothing in it") {
  const Folder folder;
  const Json report = cpu_report(folder.path());
  CHECK(report["rounds"] == 0);
  CHECK(report["benchmarks"].empty());
  CHECK(cpu_tables(report).find('|') == std::string::npos);
}

TEST_CASE("tables replace what stands between a document's marks") {
  const std::string begin = "<!-- tables of ./run bench -->\n";
  const std::string end = "<!-- end of tables -->";
  const std::string document = "a\n" + begin + "old\n" + end + "\nb\n";
  CHECK(with_tables(document, "new\n") == "a\n" + begin + "new\n" + end + "\nb\n");
  CHECK(with_tables(with_tables(document, "x\n"), "new\n") == with_tables(document, "new\n"));
  CHECK_THROWS(with_tables("a\n" + begin, "new\n"));
  CHECK_THROWS(with_tables(end + begin, "new\n"));
}

TEST_CASE("a command's seconds and memory are measured, and its failure is told") {
  const Folder folder;
  const std::string result = (folder.path() / "a.json").string();
  const auto run = [&](const std::string& command) {
    return std::system(
        (std::string(VID2VOX_MEASURE_COMMAND) + " " + result + " a/b/c/d " + command).c_str());
  };
  // awk grows one string to more than 40 MB.
  REQUIRE(run("awk 'BEGIN { s = \"xxxxxxxxxx\"; while (length(s) < 4e7) s = s s }'") == 0);
  const auto good = measurements(Json::parse(read_text(result))).at("a/b/c/d");
  CHECK(good.error.empty());
  CHECK(good.seconds > 0);
  CHECK(good.counters.at("peak_bytes") > 4e7);
  CHECK(good.counters.at("cpu_seconds") > 0);
  CHECK(run("false") != 0);
  CHECK_FALSE(measurements(Json::parse(read_text(result))).at("a/b/c/d").error.empty());
  CHECK(run("/no/such/program") != 0);
}

}  // namespace
}  // namespace vid2vox::bench
