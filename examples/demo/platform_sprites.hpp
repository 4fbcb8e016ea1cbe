#pragma once

// Our own pixel art. One letter a pixel, '.' is transparent; the letters' colors are in `ink`.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace vid2vox::demo {

struct Color {
  std::uint8_t r = 0, g = 0, b = 0;
};

constexpr Color ink(char letter) {
  switch (letter) {
    case 'o':
      return {240, 120, 24};  // helmet
    case 'O':
      return {255, 176, 72};  // its light
    case 'w':
      return {252, 252, 252};
    case 'k':
      return {16, 12, 24};
    case 't':
      return {0, 168, 152};  // suit
    case 'T':
      return {0, 120, 116};
    case 'm':
      return {248, 208, 168};  // hands
    case 'y':
      return {255, 224, 64};
    case 'd':
      return {40, 48, 104};  // trousers
    case 'p':
      return {176, 56, 200};  // beetle
    case 'P':
      return {116, 24, 140};
    default:
      return {255, 0, 255};
  }
}

inline constexpr std::array<std::string_view, 12> kPlayerBody = {
    "...oOOOoo...",  //
    "..oOOOoooo..",  //
    ".ooOowwwwww.",  //
    ".oooowwkwkw.",  //
    ".oooowwkwkw.",  //
    ".ooooowwwww.",  //
    "..oooooooo..",  //
    "..ttttttttt.",  //
    ".TtttyytttT.",  //
    "mmTttyyttTmm",  //
    "mmTttttttTmm",  //
    "..TTTTTTTT..",  //
};
inline constexpr std::array<std::string_view, 4> kLegsStand = {
    "..ddd..ddd..",  //
    "..ddd..ddd..",  //
    "..ddd..ddd..",  //
    "..kkkk.kkkk.",  //
};
inline constexpr std::array<std::string_view, 4> kLegsApart = {
    ".dddd..dddd.",  //
    ".ddd....ddd.",  //
    "ddd......ddd",  //
    "kkk......kkk",  //
};
inline constexpr std::array<std::string_view, 4> kLegsTogether = {
    "...dddddd...",  //
    "...dddddd...",  //
    "....dddd....",  //
    "....kkkkk...",  //
};
inline constexpr std::array<std::string_view, 4> kLegsJump = {
    "..dddd.dddd.",  //
    ".dddd...ddd.",  //
    "kkdd....kkk.",  //
    "kk..........",  //
};

inline constexpr std::array<std::string_view, 9> kBeetle = {
    "....pppppp....",  //
    "..ppppPPpppp..",  //
    ".ppppPPPPpppp.",  //
    "pwwwppPPpwwwpp",  //
    "pwkkpppppwkkpp",  //
    "pwkkpppppwkkpp",  //
    "pppppppppppppp",  //
    "PPPPPPPPPPPPPP",  //
    ".PyyyyyyyyyyP.",  //
};
inline constexpr std::array<std::string_view, 3> kBeetleFeetA = {
    "..kkk....kkk..",  //
    "..kkk....kkk..",  //
    ".kkkk...kkkk..",  //
};
inline constexpr std::array<std::string_view, 3> kBeetleFeetB = {
    "....kkk..kkk..",  //
    "....kkk..kkk..",  //
    "....kkkk.kkkk.",  //
};
inline constexpr std::array<std::string_view, 4> kBeetleFlat = {
    "..pppppppppp..",  //
    "pwkkpPPPPpwkkp",  //
    "pppppppppppppp",  //
    "kkkkkkkkkkkkkk",  //
};

}  // namespace vid2vox::demo
