#include "vid2vox/core/error.hpp"
int main() { return 0; }
