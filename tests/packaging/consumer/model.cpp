#include "vid2vox/vid2vox.hpp"
int main() { return 0; }
