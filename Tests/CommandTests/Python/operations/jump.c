// The clock of the day is as many days off as the file `jump` says.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
  int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  FILE *file = clock == CLOCK_REALTIME ? fopen("jump", "r") : NULL;
  long days = 0;
  if (file) {
    if (fscanf(file, "%ld", &days) == 1) time->tv_sec += days * 86400;
    fclose(file);
  }
  return result;
}
