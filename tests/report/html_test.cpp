#include "vid2vox/report/html.hpp"

#include <array>
#include <fstream>
#include <iterator>
#include <string>

#include "report/pixels.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::testing::contains;
using vid2vox::testing::error_of;
using vid2vox::testing::TemporaryFolder;

TEST_CASE("text is escaped everywhere") {
  const std::string evil = "<script>\"&'";
  const std::string safe = "&lt;script&gt;&quot;&amp;&#39;";
  CHECK(escape_html(evil) == safe);
  HtmlReport report(evil);
  report.section(evil);
  report.paragraph(evil);
  report.preformatted(evil);
  report.key_figures({{evil, evil}});
  report.table({evil}, {{evil}}, evil);
  const std::array<std::uint8_t, 8> gif = {'G', 'I', 'F', '8', '9', 'a', 0, 0};
  report.picture(gif, evil);
  const std::string text = report.text();
  CHECK_FALSE(contains(text, "<script"));
  std::size_t count = 0;
  for (std::size_t at = text.find(safe); at != std::string::npos; at = text.find(safe, at + 1)) {
    ++count;
  }
  CHECK(count == 12);  // title twice, alt and caption of the picture, and the others once or twice
}

TEST_CASE("the page holds its pictures and refers to nothing outside") {
  const TemporaryFolder folder;
  const Figure figure(20, 10, 1);
  figure.save_png(folder.path() / "map.png");
  HtmlReport report("Report");
  report.section("Map");
  report.picture(folder.path() / "map.png", "the map", 300);
  report.table({"stage", "seconds"}, {{"game", "1.5"}, {"training", "90"}});
  report.save(folder.path() / "report.html");
  std::ifstream file(folder.path() / "report.html");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text == report.text());
  CHECK(contains(text, "src=\"data:image/png;base64,iVBORw0KGgo"));
  CHECK(contains(text, "width:300px"));
  CHECK(contains(text, "<td>90</td>"));
  CHECK_FALSE(contains(text, "http"));
  CHECK_FALSE(contains(text, "url("));
  CHECK_FALSE(contains(text, "@import"));
  CHECK_FALSE(contains(text, "<link"));
  CHECK_FALSE(contains(text, "<script"));
  std::size_t sources = 0;
  for (std::size_t at = text.find("src="); at != std::string::npos;
       at = text.find("src=", at + 1)) {
    CHECK(text.compare(at, 10, "src=\"data:") == 0);
    ++sources;
  }
  CHECK(sources == 1);
}

TEST_CASE("bad pictures and tables are refused by name") {
  const TemporaryFolder folder;
  HtmlReport report("Report");
  CHECK(
      contains(error_of([&] { report.picture(folder.path() / "absent.png", ""); }), "absent.png"));
  std::ofstream(folder.path() / "text.png") << "no picture at all";
  CHECK(contains(error_of([&] { report.picture(folder.path() / "text.png", ""); }), "text.png"));
  std::ofstream(folder.path() / "empty.png").flush();
  CHECK(contains(error_of([&] { report.picture(folder.path() / "empty.png", ""); }), "empty.png"));
  CHECK(contains(error_of([&] { report.table({"a", "b"}, {{"1", "2"}, {"3"}}); }), "row 1"));
  CHECK_FALSE(contains(report.text(), "<table"));
  CHECK(contains(error_of([&] { report.save(folder.path() / "absent" / "r.html"); }), "r.html"));
}

}  // namespace
