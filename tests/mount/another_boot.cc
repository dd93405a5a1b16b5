#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

// Preloaded into cofferd by power_cut_test.py: the boot of this machine is the one in $BOOT_ID_FILE, and so another one after a power cut.
extern "C" FILE* fopen64(const char* name, const char* mode) {
  using Open = FILE* (*)(const char*, const char*);
  static const auto kNext = reinterpret_cast<Open>(dlsym(RTLD_NEXT, "fopen64"));
  const char* boot = std::getenv("BOOT_ID_FILE");
  const bool is_asked = boot != nullptr && std::strcmp(name, "/proc/sys/kernel/random/boot_id") == 0;
  return kNext(is_asked ? boot : name, mode);
}
