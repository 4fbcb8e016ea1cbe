// The same tests, compiled for any x86-64 processor.
#include "ops/packed_product_test.cpp"
