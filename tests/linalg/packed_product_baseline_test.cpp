// The same tests, compiled for any x86-64 processor.
#include "linalg/packed_product_test.cpp"
