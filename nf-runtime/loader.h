/* Loads an NF's shared object. I/O: not part of the cores.
 *
 * Refuses, with one line that names the file and what to do: a file that is not there (and lists
 * the NFs that are), no ELF, no RILL_NF entry, another ABI (both numbers), unresolved symbols, a
 * descriptor with holes, and mutable globals (naming the first such symbol): units of one process
 * share the image, so a writable variable would be shared state that no one moves or recovers.
 */
#ifndef RILL_NF_RUNTIME_LOADER_H
#define RILL_NF_RUNTIME_LOADER_H

#include "nf-runtime/nf_host.h"

struct rill_nf_image {
    void *handle;
    const struct rill_nf_descriptor *descriptor;
    int memory; /* of an image that came as bytes; -1: it is a file */
};

/* `name` is a plain name ("nat": looked for as NAME.so in the folders of `search`, a list separated
 * by ':') or a path (holds a '/'). 0, or a negative errno with *err set and *image zeroed. */
int rill_nf_load(const char *name, const char *search, struct rill_nf_image *image,
                 struct rill_error *err);
/* The same for an image that came as bytes, from the network say; lines call it `name`. */
int rill_nf_load_bytes(const char *name, const void *bytes, size_t size,
                       struct rill_nf_image *image, struct rill_error *err);
void rill_nf_unload(struct rill_nf_image *image);

#endif
