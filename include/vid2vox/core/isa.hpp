#pragma once

// Inline code depends on the instruction set that it is compiled for: vectors are as wide as its
// registers. Two units of one program that are compiled for different ones must not share a
// function, so the library's names are in an inline namespace that is named after the instruction
// set. Users write vid2vox::io::ClipSet whatever it is.
//
// Functions that vid2vox::cuda_kernels defines are outside of it, and so are the types that they
// take or throw: that library and its caller may be compiled for different instruction sets.
// vid2vox::runtime and its callers must be compiled for the same one, or they do not link.
//
// The name is a level, and what a processor has beyond it. avx2 and avx512 are x86-64-v3 and
// x86-64-v4; sse4 is x86-64-v2.

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__BMI2__) && \
    defined(__LZCNT__)
#define VID2VOX_ISA_HASWELL
#endif

#if defined(VID2VOX_ISA_HASWELL) && defined(__AVX512F__) && defined(__AVX512CD__) && \
    defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define VID2VOX_ISA_LEVEL avx512
#elif defined(__AVX512F__)
#define VID2VOX_ISA_LEVEL avx512f
#elif defined(VID2VOX_ISA_HASWELL)
#define VID2VOX_ISA_LEVEL avx2
#elif defined(__AVX2__)
#define VID2VOX_ISA_LEVEL part_of_avx2
#elif defined(__AVX__)
#define VID2VOX_ISA_LEVEL avx
#elif defined(__SSE4_2__)
#define VID2VOX_ISA_LEVEL sse4
#elif defined(__SSE4_1__)
#define VID2VOX_ISA_LEVEL sse4_1
#elif defined(__SSSE3__)
#define VID2VOX_ISA_LEVEL ssse3
#elif defined(__ARM_FEATURE_SVE2)
#define VID2VOX_ISA_LEVEL sve2
#elif defined(__ARM_FEATURE_SVE)
#define VID2VOX_ISA_LEVEL sve
#elif defined(__ARM_NEON)
#define VID2VOX_ISA_LEVEL neon
#else
#define VID2VOX_ISA_LEVEL baseline
#endif

#if defined(__FMA__) && !defined(VID2VOX_ISA_HASWELL)
#define VID2VOX_ISA_FMA _fma
#else
#define VID2VOX_ISA_FMA
#endif
#if defined(__F16C__) && !defined(VID2VOX_ISA_HASWELL)
#define VID2VOX_ISA_F16C _f16c
#else
#define VID2VOX_ISA_F16C
#endif
#if defined(__BMI2__) && !defined(VID2VOX_ISA_HASWELL)
#define VID2VOX_ISA_BITS _bmi2
#else
#define VID2VOX_ISA_BITS
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
#define VID2VOX_ISA_DOT _dot
#else
#define VID2VOX_ISA_DOT
#endif
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define VID2VOX_ISA_BF16 _bf16
#else
#define VID2VOX_ISA_BF16
#endif
#if defined(__AVX512FP16__) || defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
#define VID2VOX_ISA_FP16 _fp16
#else
#define VID2VOX_ISA_FP16
#endif

#define VID2VOX_ISA_PASTE(level, fma, f16c, bits, dot, bf16, fp16) \
  level##fma##f16c##bits##dot##bf16##fp16
#define VID2VOX_ISA_NAME(...) VID2VOX_ISA_PASTE(__VA_ARGS__)
#define VID2VOX_ISA                                                                        \
  VID2VOX_ISA_NAME(VID2VOX_ISA_LEVEL, VID2VOX_ISA_FMA, VID2VOX_ISA_F16C, VID2VOX_ISA_BITS, \
                   VID2VOX_ISA_DOT, VID2VOX_ISA_BF16, VID2VOX_ISA_FP16)

/// Opens the library's namespace: `namespace VID2VOX::io {`.
#define VID2VOX vid2vox::inline VID2VOX_ISA
/// The same for what backends define inline: `namespace VID2VOX_BACKEND_CPU {`.
#define VID2VOX_BACKEND_CPU vid2vox::backend::cpu::inline VID2VOX_ISA
#define VID2VOX_BACKEND_CUDA vid2vox::backend::cuda::inline VID2VOX_ISA
