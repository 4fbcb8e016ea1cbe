#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/base64.hpp"
#include "vid2vox/io/file.hpp"

namespace VID2VOX::report {

/// Text safe inside an element or a quoted attribute.
inline std::string escape_html(std::string_view text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

/// A web page in one file: style and pictures are inside, so that it can be mailed or archived.
/// All text is escaped.
class HtmlReport {
 public:
  explicit HtmlReport(std::string title) : title_(std::move(title)) {}

  void section(std::string_view heading) { body_ += "<h2>" + escape_html(heading) + "</h2>\n"; }

  void paragraph(std::string_view text) { body_ += "<p>" + escape_html(text) + "</p>\n"; }

  /// Large figures with a name below, in one row.
  void key_figures(const std::vector<std::pair<std::string, std::string>>& name_and_value) {
    body_ += "<div class=\"figures\">\n";
    for (const auto& [name, value] : name_and_value) {
      body_ +=
          "<div><b>" + escape_html(value) + "</b><span>" + escape_html(name) + "</span></div>\n";
    }
    body_ += "</div>\n";
  }

  /// Throws Error when a row has another number of cells than the header.
  void table(const std::vector<std::string>& header,
             const std::vector<std::vector<std::string>>& rows, std::string_view caption = {}) {
    std::string text = "<table>\n";
    if (!caption.empty()) text += "<caption>" + escape_html(caption) + "</caption>\n";
    text += table_row(header, "th");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].size() != header.size()) {
        throw Error(std::to_string(rows[i].size()) + " cells under " +
                        std::to_string(header.size()) + " headings",
                    "report table, row " + std::to_string(i), "give one cell a heading");
      }
      text += table_row(rows[i], "td");
    }
    body_ += text + "</table>\n";
  }

  /// Text kept as it is, in a fixed-width font: commands, logs.
  void preformatted(std::string_view text) { body_ += "<pre>" + escape_html(text) + "</pre>\n"; }

  /// Embeds a PNG, GIF or JPEG file, at most `width` pixels wide (0: its own width). Throws Error
  /// when it cannot be read, is larger than 64 MiB or is none of these.
  void picture(const std::filesystem::path& path, std::string_view caption, int width = 0) {
    std::error_code failure;
    const std::uintmax_t size = std::filesystem::file_size(path, failure);
    constexpr std::uintmax_t kLargest = 64U << 20U;
    if (failure || size == 0 || size > kLargest) {
      throw Error("the picture is missing, empty or larger than 64 MiB", path.string(),
                  "give a PNG, GIF or JPEG file");
    }
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::uint8_t> bytes(read.begin(), read.end());
    picture(std::span<const std::uint8_t>(bytes), caption, width, path.string());
  }

  /// The same from memory; `where` names the picture in errors.
  void picture(std::span<const std::uint8_t> bytes, std::string_view caption, int width = 0,
               const std::string& where = "picture in memory") {
    const std::string type = media_type(bytes, where);
    body_ += "<figure><img alt=\"" + escape_html(caption) + "\"";
    if (width > 0) body_ += " style=\"width:" + std::to_string(width) + "px\"";
    body_ += " src=\"data:" + type + ";base64," + io::encode_base64(std::as_bytes(bytes)) + "\">";
    if (!caption.empty()) body_ += "<figcaption>" + escape_html(caption) + "</figcaption>";
    body_ += "</figure>\n";
  }

  [[nodiscard]] std::string text() const {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
           escape_html(title_) + "</title>\n<style>\n" + std::string(kStyle) +
           "</style>\n</head>\n<body>\n<main>\n<h1>" + escape_html(title_) + "</h1>\n" + body_ +
           "</main>\n</body>\n</html>\n";
  }

  /// The file appears under its name only when complete. Throws Error when it cannot be written.
  void save(const std::filesystem::path& path) const {
    io::AtomicFile file(path);
    file.write(text());
    file.commit();
  }

 private:
  static constexpr std::string_view kStyle =
      "body{margin:0;background:#f4f5f7;color:#1a1b20;font:16px/1.55 system-ui,sans-serif}\n"
      "main{max-width:1100px;margin:24px auto;padding:28px 40px 40px;background:#fff;"
      "border-radius:10px;box-shadow:0 1px 6px #0002}\n"
      "h1{font-size:28px;margin:4px 0 12px}\n"
      "h2{font-size:20px;margin:36px 0 10px;padding-bottom:4px;border-bottom:1px solid #dde}\n"
      "p{max-width:75ch}\n"
      "figure{margin:16px 0}\nimg{max-width:100%;height:auto;image-rendering:auto}\n"
      "figcaption,caption{color:#666a75;font-size:14px;text-align:left;padding:4px 0}\n"
      "table{border-collapse:collapse;margin:14px 0;font-size:14px;"
      "font-variant-numeric:tabular-nums}\n"
      "th,td{padding:4px 14px;border-bottom:1px solid #e6e7ec;text-align:right}\n"
      "th{background:#f4f5f7}\nth:first-child,td:first-child{text-align:left}\n"
      ".figures{display:flex;flex-wrap:wrap;gap:14px;margin:18px 0}\n"
      ".figures div{background:#f4f5f7;border-radius:8px;padding:10px 20px;min-width:110px}\n"
      ".figures b{display:block;font-size:24px}\n"
      ".figures span{color:#666a75;font-size:13px}\n"
      "pre{background:#f4f5f7;padding:12px 16px;border-radius:8px;overflow-x:auto;"
      "font-size:13px}\n";

  static std::string table_row(const std::vector<std::string>& cells, const std::string& tag) {
    std::string row = "<tr>";
    for (const std::string& cell : cells) {
      row += "<" + tag + ">" + escape_html(cell) + "</" + tag + ">";
    }
    return row + "</tr>\n";
  }

  static std::string media_type(std::span<const std::uint8_t> bytes, const std::string& where) {
    const auto starts = [&](std::string_view magic) {
      return bytes.size() > magic.size() &&
             std::equal(magic.begin(), magic.end(), bytes.begin(),
                        [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
    };
    if (starts("\x89PNG\r\n")) return "image/png";
    if (starts("GIF8")) return "image/gif";
    if (starts("\xFF\xD8\xFF")) return "image/jpeg";
    throw Error("not a PNG, GIF or JPEG picture", where, "give one of these formats");
  }

  std::string title_;
  std::string body_;
};

}  // namespace VID2VOX::report
