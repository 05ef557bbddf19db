// Boost.JSON compiled into fuzz builds, so that the sanitizers and the fuzzer see inside it.
#include <boost/json/src.hpp>
