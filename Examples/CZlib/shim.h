// The system's zlib, for the example of a driver.
#include <zlib.h>
