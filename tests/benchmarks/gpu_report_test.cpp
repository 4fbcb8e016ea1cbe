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

/// What Catch2's XML reporter writes, of a program that was ended during its fourth case.
const std::string kCatchXml = R"(<?xml version="1.0" encoding="UTF-8"?>
<Catch name="test_cuda_a">
  <Group name="test_cuda_a">
    <TestCase name="a &lt;b> &amp;c" tags="[x]" filename="a.cpp" line="5">
      <OverallResult success="true" durationInSeconds="0.5"/>
    </TestCase>
    <TestCase name="wrong" filename="a.cpp" line="9">
      <Expression success="false" type="CHECK" filename="a.cpp" line="10">
        <Original>
          x &lt; 2
        </Original>
        <Expanded>
          3 &lt; 2
        </Expanded>
      </Expression>
      <OverallResult success="false" durationInSeconds="1"/>
    </TestCase>
    <TestCase name="not here" filename="a.cpp" line="19">
      <OverallResult success="true" durationInSeconds="0">
        <StdOut>
[skipped] needs two devices
        </StdOut>
      </OverallResult>
    </TestCase>
    <TestCase name="ended" filename="a.cpp" line="29">
)";

TEST_CASE("the report counts the cases of every program, also of one that was ended") {
  const Folder folder;
  folder.write("tests/test_cuda_a.xml", kCatchXml);
  folder.write("tests/test_cuda_b.xml", "");
  const Json tests = gpu_report(folder.path())["tests"];
  CHECK(tests["passed"] == 1);
  CHECK(tests["failed"] == 1);
  CHECK(tests["skipped"] == 1);
  CHECK(tests["cut"] == 1);
  REQUIRE(tests["cases"].size() == 4);
  CHECK(tests["cases"][0]["program"] == "test_cuda_a");
  CHECK(tests["cases"][0]["name"] == "a <b> &c");
  CHECK(tests["cases"][0]["seconds"].get<double>() == Approx(0.5));
  CHECK(tests["cases"][1]["assertion"] == "3 < 2");
  CHECK(tests["cases"][3]["name"] == "ended");
  CHECK(tests["cases"][3]["outcome"] == "cut");
}

TEST_CASE(
    "a sanitizer's run is clean only with its summary, no error, and a program that ended well") {
  const auto status = [](const std::string& ended, const std::string& log) {
    return sanitizer_result("p", "memcheck", ended, log)["status"].get<std::string>();
  };
  const std::string clean = "========= ERROR SUMMARY: 0 errors\n";
  const std::string hazards =
      "========= RACECHECK SUMMARY: 3 hazards displayed (1 error, 2 warnings)\n";
  CHECK(status("ok", clean) == "clean");
  CHECK(status("ok", "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n") ==
        "clean");
  CHECK(status("ok", "") == "failed");         // nothing was checked
  CHECK(status("failed", clean) == "failed");  // the program failed on its own
  CHECK(status("ok", "[skipped] no device\n" + clean) == "skipped");
  CHECK(status("failed", "========= ERROR SUMMARY: 2 errors\n") == "errors");
  CHECK(status("failed", hazards) == "errors");
  CHECK(status("cut", "") == "cut");
  CHECK(status("not_run", "") == "not_run");
  CHECK(sanitizer_result("p", "racecheck", "failed", hazards)["errors"] == 3);
}

TEST_CASE("the report has every part in order, with what its programs did or why they did not") {
  const Folder folder;
  folder.write("parts.tsv", "smoke\ttest\t88\nceilings\tbench\t24\nmemcheck\tmemcheck\t29\n");
  folder.write("plan.tsv",
               "smoke\ttest_cuda_a\nsmoke\ttest_cuda_b\nceilings\tbench_cuda_c\n"
               "memcheck\ttest_cuda_a\n");
  folder.write("done.tsv",
               "smoke\ttest_cuda_b\tcut\t124\t44\tit had 44 s\n"
               "smoke\ttest_cuda_a\tok\t0\t3\t\n"
               "memcheck\ttest_cuda_a\tok\t0\t5\t\n");
  folder.write("logs/test_cuda_a-memcheck.log", "========= ERROR SUMMARY: 0 errors\n");
  const Json report = gpu_report(folder.path());
  const Json& parts = report["parts"];
  REQUIRE(parts.size() == 3);
  CHECK(parts[0]["part"] == "smoke");
  CHECK(parts[0]["limit_seconds"] == 88);
  CHECK(parts[0]["seconds"] == 47);
  REQUIRE(parts[0]["programs"].size() == 2);
  CHECK(parts[0]["programs"][0]["status"] == "ok");
  CHECK_FALSE(parts[0]["programs"][0].contains("reason"));
  CHECK(parts[0]["programs"][1]["status"] == "cut");
  CHECK(parts[0]["programs"][1]["exit_code"] == "124");
  CHECK(parts[0]["programs"][1]["reason"] == "it had 44 s");
  CHECK(parts[1]["programs"][0]["status"] == "not_reached");
  REQUIRE(report["sanitizer"].size() == 1);
  CHECK(report["sanitizer"][0]["status"] == "clean");
}

TEST_CASE("the report has the facts and the libraries, of an empty folder, nothing") {
  const Folder folder;
  const Json empty = gpu_report(folder.path());
  CHECK(empty["facts"].empty());
  CHECK(empty["benchmarks"].empty());
  CHECK(empty["parts"].empty());
  CHECK_FALSE(empty.contains("missing_libraries"));
  folder.write("facts.tsv", "device\tNVIDIA H\ncommit\tabc\n");
  folder.write("libraries.tsv", "libcudnn.so.9\t/opt/libcudnn.so.9\tthe toolkit\n");
  folder.write("missing.tsv", "libcusolver.so.12\n");
  const Json report = gpu_report(folder.path());
  CHECK(report["facts"]["device"] == "NVIDIA H");
  CHECK(report["libraries"][0]["path"] == "/opt/libcudnn.so.9");
  CHECK(report["libraries"][0]["found_in"] == "the toolkit");
  CHECK(report["missing_libraries"] == Json::array({"libcusolver.so.12"}));
}

}  // namespace
}  // namespace vid2vox::bench
