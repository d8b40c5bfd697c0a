// Asks the thread's simulated kernel, if it has one, and the real one otherwise. Only in builds that are to be simulated.

#include "CSplice.h"

#ifdef CSPLICE_SIMULATION

static _Thread_local struct csplice_kernel *simulated;

struct csplice_kernel *csplice_thread_kernel(void) { return simulated; }
void csplice_thread_set_kernel(struct csplice_kernel *kernel) { simulated = kernel; }

#define ASK(result, name, parameters, arguments)                                   \
  result real_##name parameters __asm__("csplice_real_" #name);                    \
  result csplice_##name parameters {                                               \
    return simulated ? simulated->name arguments : real_##name arguments;          \
  }
CSPLICE_SIMULATED(ASK)

#endif
