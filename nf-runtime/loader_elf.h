/* Looks into an NF's file before its code is let in: is it an image for this machine, and has it
 * writable variables? */
#ifndef RILL_NF_RUNTIME_LOADER_ELF_H
#define RILL_NF_RUNTIME_LOADER_ELF_H

#include "lib/base/error.h"

/* 0; -errno where the file can't be read; -ENOEXEC where it is not a 64-bit ELF shared object for
 * this machine; -EPERM where it has mutable globals. With a line in *err that calls it `name`.
 *
 * Symbols tell the variables' names. An image without local symbols (strip) is judged by the size
 * of its writable sections, so that a variable that fits into the C runtime's own 8 bytes there (a
 * flag of one byte) is not found: keep the symbols. */
int rill_loader_elf_check(const char *path, const char *name, struct rill_error *err);

#endif
