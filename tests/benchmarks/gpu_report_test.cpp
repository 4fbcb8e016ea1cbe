#include "gpu_report.hpp"

#include "folder.hpp"
#include "support/catch.hpp"

namespace vid2vox::bench {
namespace {

/// An entry as Google Benchmark writes it.
std::string entry(const std::string& name, const std::string& aggregate, double time,
                  const std::string& more = "") {
  return R"(    {
      "name": ")" +
         name + "/manual_time_" + aggregate + R"(", "run_name": ")" + name +
         R"(/manual_time", "aggregate_name": ")" + aggregate + R"(", "real_time": )" +
         std::to_string(time) + R"(, "time_unit": "us")" + more + "\n    }";
}

const Json& find(const Json& benchmarks, const std::string& name) {
  for (const Json& benchmark : benchmarks) {
    if (benchmark["name"] == name) return benchmark;
  }
  FAIL("no benchmark " << name);
  return benchmarks;
}

const std::string kAxial = "axial_forward/bf16/64x4x8x8x240";

/// The copy moves 2e9 bytes in 1 ms; products in bf16 do 1e15 operations a second.
void write_benchmarks(const Folder& folder) {
  folder.write("bench/bench_cuda_ceilings.json",
               "{\"context\": {\"device\": \"A\"},\n  \"benchmarks\": [\n" +
                   entry("ceiling_copy/bytes/1GiB/ours", "median", 1000, R"(, "bytes": 2e9)") +
                   ",\n" +
                   entry("ceiling_product/bf16/8192/ours", "median", 1000, R"(, "flops": 1e12)") +
                   "\n  ]\n}\n");
  folder.write(
      "bench/bench_cuda_axial_attention.json",
      "{\"context\": {},\n  \"benchmarks\": [\n" +
          entry(kAxial + "/ours", "mean", 999, R"(, "bytes": 1e8)") + ",\n" +
          entry(kAxial + "/ours", "median", 100, R"(, "bytes": 1e8, "flops": 2e10)") + ",\n" +
          entry(kAxial + "/ours", "cv", 0.02) + ",\n" +
          entry(kAxial + "/cublas_and_copies", "median", 250, R"(, "bytes": 1e8)") +
          ",\n    {\n      \"name\": \"" + kAxial +
          "/cudnn_strided/manual_time\", \"run_name\": \"" + kAxial +
          "/cudnn_strided/manual_time\", \"error_occurred\": true, \"error_message\": \"no plan\"" +
          "\n    }\n  ]\n}\n");
  folder.write("bench/torch_rivals.json",
               R"({"context": {"torch": "2"}, "benchmarks": [{"name": ")" + kAxial +
                   R"(/torch_sdpa", "run_name": ")" + kAxial +
                   R"(/torch_sdpa", "real_time": 400, "time_unit": "us"}]})");
}

TEST_CASE("the report pairs ours with rivals, and gives rates and shares of the ceilings") {
  const Folder folder;
  write_benchmarks(folder);
  const Json report = gpu_report(folder.path());
  CHECK(report["ceilings"]["copy_bytes_per_s"].get<double>() == Approx(2e12));
  CHECK(report["ceilings"]["product_flops_per_s"]["bf16"].get<double>() == Approx(1e15));
  const Json& axial = find(report["benchmarks"], kAxial);
  const Json& ours = axial["ours"];
  CHECK(ours["microseconds"].get<double>() == Approx(100));  // the median, not the mean
  CHECK(ours["spread"].get<double>() == Approx(0.02));
  CHECK(ours["bytes_per_s"].get<double>() == Approx(1e12));
  CHECK(ours["share_of_copy_bandwidth"].get<double>() == Approx(0.5));
  CHECK(ours["flops_per_s"].get<double>() == Approx(2e14));
  CHECK(ours["share_of_product_ceiling"].get<double>() == Approx(0.2));
  CHECK(ours["share_of_floor"].get<double>() == Approx(0.5));  // 50 us of bytes, 20 us of products
  std::map<std::string, Json> rivals;
  for (const Json& rival : axial["rivals"]) rivals[rival["who"]] = rival;
  REQUIRE(rivals.size() == 3);
  CHECK(rivals["cublas_and_copies"]["ratio"].get<double>() == Approx(2.5));
  CHECK(rivals["torch_sdpa"]["ratio"].get<double>() == Approx(4));
  CHECK(rivals["cudnn_strided"]["error"] == "no plan");
  CHECK_FALSE(rivals["cudnn_strided"].contains("ratio"));
}

TEST_CASE("without ceilings or bytes the shares are left out") {
  const Folder folder;
  write_benchmarks(folder);
  fs::remove(folder.path() / "bench/bench_cuda_ceilings.json");
  const Json report = gpu_report(folder.path());
  const Json& ours = find(report["benchmarks"], kAxial)["ours"];
  CHECK(ours.contains("bytes_per_s"));
  CHECK_FALSE(ours.contains("share_of_copy_bandwidth"));
  CHECK_FALSE(ours.contains("share_of_floor"));
}

TEST_CASE("of a file whose program was ended, the finished entries count") {
  const Folder folder;
  folder.write("bench/a.json", "{\"context\": {},\n  \"benchmarks\": [\n" +
                                   entry(kAxial + "/ours", "median", 7) +
                                   ",\n    {\n      \"name\": \"axial_b");
  folder.write("bench/b.json", "{\"conte");
  const Json report = gpu_report(folder.path());
  CHECK(find(report["benchmarks"], kAxial)["ours"]["microseconds"].get<double>() == Approx(7));
  CHECK(report["unreadable"] == Json::array({"b.json"}));
}

TEST_CASE("the report counts the tests of ctest's file") {
  const Json tests = test_results(
      "<testsuite name=\"x\">\n"
      "\t<testcase name=\"a &lt;b&gt; &amp;c\" classname=\"a\" time=\"0.5\" status=\"run\">\n"
      "\t<testcase name=\"d\" classname=\"d\" time=\"1\" status=\"fail\">\n"
      "\t<testcase name=\"e\" classname=\"e\" time=\"0\" status=\"notrun\"/>\n</testsuite>");
  CHECK(tests["passed"] == 1);
  CHECK(tests["failed"] == 1);
  CHECK(tests["skipped"] == 1);
  CHECK(tests["cases"][0]["name"] == "a <b> &c");
  CHECK(tests["cases"][0]["seconds"].get<double>() == Approx(0.5));
}

TEST_CASE("a sanitizer's run is clean only with its summary, no error, and exit code 0") {
  const auto status = [](const std::string& code, const std::string& log) {
    return sanitizer_result("p", "memcheck", code, 1, log)["status"].get<std::string>();
  };
  const std::string clean = "========= ERROR SUMMARY: 0 errors\n";
  const std::string hazards =
      "========= RACECHECK SUMMARY: 3 hazards displayed (1 error, 2 warnings)\n";
  CHECK(status("0", clean) == "clean");
  CHECK(status("0", "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n") ==
        "clean");
  CHECK(status("0", "") == "failed");     // nothing was checked
  CHECK(status("1", clean) == "failed");  // the program failed on its own
  CHECK(status("0", "[skipped] no device\n" + clean) == "skipped");
  CHECK(status("9", "========= ERROR SUMMARY: 2 errors\n") == "errors");
  CHECK(status("9", hazards) == "errors");
  CHECK(status("124", "") == "out_of_time");
  CHECK(status("137", clean) == "out_of_time");
  CHECK(status("not_run", "") == "not_run");
  CHECK(sanitizer_result("p", "racecheck", "9", 1, hazards)["errors"] == 3);
}

TEST_CASE("the report has the facts, the steps and the targets, of an empty folder, nothing") {
  const Folder folder;
  const Json empty = gpu_report(folder.path());
  CHECK(empty["facts"].empty());
  CHECK(empty["benchmarks"].empty());
  CHECK_FALSE(empty.contains("tests"));
  folder.write("facts.tsv", "device\tNVIDIA H\ncommit\tabc\n");
  folder.write("steps.tsv", "build\tok\t12\t0 programs missing\ntest\tfailed\t3\n");
  folder.write("targets.tsv", "test_cuda_a\tbuilt\ntest_cuda_b\tmissing\n");
  folder.write("sanitizer/a.log", "========= ERROR SUMMARY: 0 errors\n");
  folder.write("sanitizer.tsv", "test_cuda_a\tmemcheck\t0\t4\tsanitizer/a.log\n");
  folder.write("bench.tsv", "bench_cuda_a\t124\t60\n");
  const Json report = gpu_report(folder.path());
  CHECK(report["facts"]["device"] == "NVIDIA H");
  CHECK(report["steps"]["build"]["seconds"] == 12);
  CHECK(report["steps"]["test"]["outcome"] == "failed");
  CHECK(report["targets"]["missing"] == Json::array({"test_cuda_b"}));
  CHECK(report["sanitizer"][0]["status"] == "clean");
  CHECK(report["programs"][0]["exit_code"] == "124");
}

}  // namespace
}  // namespace vid2vox::bench
