#pragma once

// Inline code depends on the instruction set that it is compiled for: vectors are as wide as its
// registers. Two units of one program that are compiled for different ones must not share a
// function, so the library's names are in an inline namespace that is named after the instruction
// set. Users write vid2vox::io::ClipSet whatever it is.
//
// Functions that a compiled library defines (vid2vox::cuda_kernels, vid2vox::runtime) are outside
// of it: the library and its caller may be compiled for different instruction sets.

#if defined(__AVX512FP16__)
#define VID2VOX_ISA avx512_fp16
#elif defined(__AVX512BF16__)
#define VID2VOX_ISA avx512_bf16
#elif defined(__AVX512F__)
#define VID2VOX_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define VID2VOX_ISA avx2_fma
#elif defined(__AVX__)
#define VID2VOX_ISA avx
#elif defined(__SSE4_2__)
#define VID2VOX_ISA sse4
#else
#define VID2VOX_ISA baseline
#endif

/// Opens the library's namespace: `namespace VID2VOX::io {`.
#define VID2VOX vid2vox::inline VID2VOX_ISA
