// A source for the targets that precompile support/precompiled.hpp.
