// getaddrinfo as the file `names` says: a name and its addresses a line. Without an address it never answers.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef int (*resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **answer) {
  resolver real = (resolver)dlsym(RTLD_NEXT, "getaddrinfo");
  char line[1000], *rest, *word;
  FILE *file = fopen("names", "r");
  while (file && node && fgets(line, sizeof line, file)) {
    if (strcmp(strtok_r(line, " \n", &rest), node)) continue;
    fclose(file);
    struct addrinfo **end = answer;
    *answer = NULL;
    while ((word = strtok_r(NULL, " \n", &rest))) {
      int status = real(word, service, hints, end);
      if (status) return status;
      end = &(*end)->ai_next;
    }
    while (!*answer) pause();
    return 0;
  }
  if (file) fclose(file);
  return real(node, service, hints, answer);
}
